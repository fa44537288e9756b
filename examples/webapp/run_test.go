package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTheApplicationServesUntilItIsTold(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, writer, io.Discard)
		writer.Close()
		ended <- err
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err, <-ended)
	}
	address := strings.Fields(strings.TrimPrefix(line, "The application is at "))[0]
	res, err := new(http.Client).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(body), "Continue with Google") {
		t.Errorf("%s shows %v:\n%s", address, err, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("told to end, it ends with %v", err)
	}
}
