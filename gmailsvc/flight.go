package gmailsvc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A flight is one request with the parts that it carries: a batch, or one part by itself.
type flight struct {
	parts []*part
	units int

	token       string // the access token that it was sent with
	status      int
	err         error // why parts are unanswered
	fatal       error // what no other flight would escape either
	unsupported bool  // the server knows no batches
	waited      time.Duration
	took        time.Duration // until the answer began
}

// An event is what a flight tells its pipeline.
type event struct {
	flight *flight
	landed bool // else it has just been let go
}

// fly waits for the quota, makes the request and reads the answers.
func (p *pipeline) fly(f *flight) {
	defer func() { p.events <- event{f, true} }()
	asked := time.Now()
	permit, err := p.limiter.Acquire(p.ctx, quota.Request{
		User: p.user, Units: f.units, Calls: len(f.parts), Class: p.transport.class,
	})
	p.events <- event{f, false}
	if err != nil {
		f.fatal = err
		return
	}
	defer permit.Cancel()
	f.waited = time.Since(asked)
	f.send(p)
	if f.unsupported {
		return
	}
	outcomes := f.outcomes()
	permit.Done(outcomes...)
	f.tell(p.transport, outcomes)
	if f.fatal == nil {
		f.renew(p.ctx, p.transport.creds)
	}
}

// flightKey is the key under which the context of a request has its flight.
type flightKey struct{}

func (f *flight) send(p *pipeline) {
	req, err := p.request(context.WithValue(p.ctx, flightKey{}, f), f.parts)
	if err != nil {
		f.fatal = err
		return
	}
	sent := time.Now()
	resp, err := p.service.client.Do(req)
	f.took = time.Since(sent)
	if final, ok := errors.AsType[*finalError](err); ok {
		f.fatal = final.err
		return
	}
	if f.err = err; err != nil {
		return
	}
	defer drain(resp)
	f.status = resp.StatusCode
	header := func() http.Header { return resp.Header }
	switch boundary := boundaryOf(resp); {
	case len(f.parts) == 1:
		d := newDecoder(nil)
		defer d.free()
		cut := &cutReader{Reader: resp.Body}
		f.parts[0].read(resp.StatusCode, header, cut, d)
		f.unread(f.parts[0], cut.err)
	case boundary != "":
		f.readBatch(resp.Body, boundary)
	case resp.StatusCode < 400, resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusMethodNotAllowed:
		f.unsupported = true
	default: // the batch was refused, and so was each part
		whole := answerOf(resp)
		for _, part := range f.parts {
			part.state, part.answer = refused, whole
		}
	}
}

// readBatch matches answers to parts by their Content-IDs: they come in any order.
func (f *flight) readBatch(body io.Reader, boundary string) {
	in := newBatchAnswer(body, boundary)
	defer in.free()
	d := newDecoder(nil)
	defer d.free()
	for in.next() {
		if in.index < 0 || in.index >= len(f.parts) || f.parts[in.index].state != unanswered {
			continue
		}
		f.parts[in.index].read(in.status, in.httpHeader, in, d)
		f.unread(f.parts[in.index], in.err)
	}
	if f.err = in.err; f.err == nil {
		f.err = errors.New("the answer to the batch lacks one to this call")
	}
}

// unread makes a part whose answer broke off one without an answer.
func (f *flight) unread(p *part, cut error) {
	if cut != nil {
		p.state, f.err = unanswered, cut
	} else if p.state == unanswered {
		f.err = p.err
	}
}

// A cutReader notes why a stream broke off.
type cutReader struct {
	io.Reader
	err error
}

func (r *cutReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// outcomes returns what the parts' answers say of Google's limits.
func (f *flight) outcomes() []quota.Outcome {
	var all []quota.Outcome
	for _, part := range f.parts {
		if part.state != unanswered {
			all = append(all, part.answer.rejected)
		}
	}
	return all
}

// tell tells the Observer.
func (f *flight) tell(t *userTransport, outcomes []quota.Outcome) {
	observe := t.builder.cfg.Observer
	if observe == nil {
		return
	}
	call := Call{
		Method: "batch", User: t.user, Units: f.units, Parts: len(f.parts),
		Waited: f.waited, Took: f.took, Status: f.status, Err: f.fatal,
	}
	if f.status == 0 && call.Err == nil {
		call.Err = f.err
	}
	if len(f.parts) == 1 {
		call.Method = f.parts[0].method()
	}
	for _, part := range f.parts {
		call.Attempt = max(call.Attempt, part.attempts)
	}
	for _, o := range outcomes {
		if call.Rejected == quota.NotRejected {
			call.Rejected = o.Rejected
		}
	}
	observe(call)
}

// renew has the token replaced where a part of a batch was refused for it. The request's own 401 the authorizer has seen to.
func (f *flight) renew(ctx context.Context, creds any) {
	refresher, ok := creds.(Refresher)
	if !ok || f.status == http.StatusUnauthorized {
		return
	}
	for _, part := range f.parts {
		if part.state == refused && part.answer.status == http.StatusUnauthorized && !part.renewed {
			_, f.fatal = refresher.Refresh(ctx, f.token)
			return
		}
	}
}
