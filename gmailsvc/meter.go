package gmailsvc

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A meter is an http.RoundTripper that lets each attempt go when the quota has room for it, and tells what became of it.
type meter struct {
	limiter *quota.Limiter // nil: nothing is paced
	prices  quota.Prices
	user    string
	class   quota.Class
	observe func(Call) // nil: nobody is told
	next    http.RoundTripper
}

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	if m.limiter == nil && m.observe == nil {
		return m.next.RoundTrip(req)
	}
	call := Call{Method: quota.MethodOf(req), User: m.user, Attempt: attemptOf(req.Context())}
	var err error
	if call.Units, call.Parts, err = m.prices.Cost(req); err != nil {
		closeBody(req)
		return nil, &finalError{err}
	}
	if call.Method == "" && call.Parts > 1 {
		call.Method = "batch"
	}
	asked := time.Now()
	permit, err := m.acquire(req.Context(), quota.Request{User: m.user, Units: call.Units, Calls: call.Parts, Class: m.class})
	if err != nil {
		closeBody(req)
		return nil, &finalError{err}
	}
	sent := time.Now()
	call.Waited = sent.Sub(asked)
	resp, err := m.next.RoundTrip(req)
	call.Took, call.Err = time.Since(sent), err
	if err != nil {
		permit.done()
		m.tell(call)
		return nil, err
	}
	a := answerOf(resp)
	call.Status, call.Rejected = a.status, a.rejected.Rejected
	if a.refusal != nil {
		permit.done(a.rejected)
	} else {
		resp.Body = &meteredBody{ReadCloser: resp.Body, done: func() { permit.done(a.rejected) }}
	}
	m.tell(call)
	return resp, nil
}

func (m *meter) tell(c Call) {
	if m.observe != nil {
		m.observe(c)
	}
}

// A permit is a *quota.Permit, or nothing where nothing is paced.
type permit struct{ p *quota.Permit }

func (m *meter) acquire(ctx context.Context, r quota.Request) (permit, error) {
	if m.limiter == nil {
		return permit{}, nil
	}
	p, err := m.limiter.Acquire(ctx, r)
	return permit{p}, err
}

func (p permit) done(outcomes ...quota.Outcome) {
	if p.p != nil {
		p.p.Done(outcomes...)
	}
}

// A meteredBody ends the permit of its call when it has been read or closed: until then the call is in flight.
type meteredBody struct {
	io.ReadCloser
	once sync.Once
	done func()
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.done)
	}
	return n, err
}

// Close implements io.Closer.
func (b *meteredBody) Close() error {
	b.once.Do(b.done)
	return b.ReadCloser.Close()
}

type attemptKey struct{}

// withAttempt notes in ctx which attempt of a call follows.
func withAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, n)
}

func attemptOf(ctx context.Context) int {
	if n, ok := ctx.Value(attemptKey{}).(int); ok {
		return n
	}
	return 1
}
