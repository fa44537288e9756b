package integration_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// A process is one of a fleet, as the test sees it.
type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	orders  *json.Encoder
	replies *json.Decoder
	stderr  bytes.Buffer // to be read after the process has ended
}

// start starts a process that ends with the test.
func (d duty) start(tb testing.TB) *process {
	tb.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0])} // it ends with its standard input, not with a context that kills it
	// Else the race detector holds each process up for a second at its end.
	p.cmd.Env = append(os.Environ(), workerVariable+"="+string(text), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.orders, p.replies = json.NewEncoder(p.stdin), json.NewDecoder(stdout)
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if p.cmd.ProcessState != nil {
			return // it was killed
		}
		p.stdin.Close()
		if err := p.cmd.Wait(); err != nil || p.stderr.Len() > 0 {
			tb.Errorf("a process ended with %v, saying:\n%s", err, &p.stderr)
		}
	})
	return p
}

// tell gives the process an order and does not wait.
func (p *process) tell(tb testing.TB, o order) {
	tb.Helper()
	if err := p.orders.Encode(o); err != nil {
		tb.Fatalf("tell a process: %v", err)
	}
}

// hear waits until the process has carried out the oldest order that it was not heard about.
func (p *process) hear(tb testing.TB) reply {
	tb.Helper()
	var r reply
	if err := p.replies.Decode(&r); err != nil {
		tb.Fatalf("hear from a process: %v", err)
	}
	if r.Error != "" {
		tb.Fatalf("a process failed: %s", r.Error)
	}
	return r
}

// kill ends the process as kill -9 does, and waits until it is gone and, where somebody reads what it says, until all of
// that is read.
func (p *process) kill(tb testing.TB, read ...<-chan struct{}) {
	tb.Helper()
	killed := p.cmd.Process.Kill()
	for _, all := range read {
		<-all // Wait closes the pipe
	}
	_ = p.cmd.Wait() // it says that it was killed
	if killed != nil || p.stderr.Len() > 0 {
		tb.Errorf("a process was not killed (%v), or had said:\n%s", killed, &p.stderr)
	}
}
