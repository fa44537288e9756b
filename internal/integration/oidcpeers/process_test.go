package oidcpeers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// A fleet is processes with the same duty.
type fleet []*process

func (d duty) start(tb testing.TB, processes int) fleet {
	tb.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		tb.Fatal(err)
	}
	f := make(fleet, processes)
	for i := range f {
		f[i] = startProcess(tb, string(text))
	}
	return f
}

// round has all goroutines of all processes ask for a token at once.
func (f fleet) round(tb testing.TB, o order) []reply {
	tb.Helper()
	var replies []reply
	for _, o := range []order{o, {Ask: true}} {
		replies = nil
		for _, p := range f {
			if err := p.orders.Encode(o); err != nil {
				tb.Fatalf("tell a process: %v", err)
			}
		}
		for _, p := range f {
			var r reply
			if err := p.replies.Decode(&r); err != nil || r.Failed != "" {
				tb.Fatalf("a process failed: %v %s", err, r.Failed)
			}
			replies = append(replies, r)
		}
	}
	return replies
}

// A process is one of a fleet, as the test sees it.
type process struct {
	orders  *json.Encoder
	replies *json.Decoder
}

// startProcess starts a process that ends with its standard input, which is at the end of the test.
func startProcess(tb testing.TB, text string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	// Else the race detector holds each process up for a second at its end.
	cmd.Env = append(os.Environ(), workerVariable+"="+text, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	var log bytes.Buffer
	cmd.Stderr = &log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil || log.Len() > 0 {
			tb.Errorf("a process ended with %v, saying:\n%s", err, &log)
		}
	})
	return &process{json.NewEncoder(stdin), json.NewDecoder(stdout)}
}
