package gmailtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"
)

// A Fault changes how an operation answers; see [Server.Inject]. Delay comes first and goes with
// everything else. Of Hang, Drop, DropAfter, CutAfter, Handler and Status or Body the first that is set, in this
// order, decides the answer; with none of them the operation answers as ever, only later.
type Fault struct {
	// Op names the operation, as Count does; patterns such as "token.*" are allowed. Empty: every operation.
	Op string

	// Times is how many requests the fault hits before it is gone. 0: all of them, until it is removed.
	Times int

	// Match, where set, says which requests the fault hits. It gets a copy of the request, body included,
	// and may be called from several goroutines at once.
	Match func(*http.Request) bool

	// Delay holds the request for so long, or until the client gives up or the server closes.
	Delay time.Duration

	// Hang never answers: the request ends when the client gives up or the server closes.
	Hang bool

	// Drop breaks the connection before anything happened. An http.Transport over a socket may send
	// a GET again by itself when a connection that it has used before breaks; in process it doesn't.
	Drop bool

	// DropAfter lets the operation take effect and loses its answer.
	DropAfter bool

	// CutAfter lets the operation take effect and breaks the connection after so many bytes of its answer's
	// body, packed as it may be; the header says how many there should be. At least the last byte of the answer
	// is missing.
	CutAfter int

	// Reset has Drop and DropAfter break the connection by a TCP reset, where it else ends in good order. Over
	// HTTP/2 both only reset the request's own stream.
	Reset bool

	// Handler answers instead of the operation.
	Handler http.Handler

	// Status, Header and Body are the answer instead of the operation's. Status defaults to 200 where Body
	// is set, and the Content-Type to that of JSON where Body is.
	Status int
	Header http.Header
	Body   string
}

// faults holds the injected ones, oldest first.
type faults struct {
	mu     sync.Mutex
	active []*injected
}

type injected struct {
	Fault
	left int // where Times is set: how many requests are still to be hit
}

// Inject makes requests meet f, and returns a function that removes it again. Where several faults match a
// request, the one injected first is met. The operation "batch" is that of the whole request; each call in it is an
// operation of its own, which a fault hits alone unless it breaks the connection. Inject panics where f.Op is
// not a valid pattern.
func (s *Server) Inject(f Fault) (remove func()) {
	if _, err := path.Match(f.Op, ""); err != nil {
		panic(fmt.Sprintf("gmailtest: Inject: Fault.Op %q is not a pattern that path.Match understands", f.Op))
	}
	f.Header = f.Header.Clone()
	in := &injected{Fault: f, left: f.Times}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, in)
	return func() { s.faults.remove(in) }
}

func (fs *faults) remove(f *injected) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.active = slices.DeleteFunc(slices.Clone(fs.active), func(x *injected) bool { return x == f })
}

// hold reports whether there is a fault that could hold an operation up.
func (fs *faults) hold() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.ContainsFunc(fs.active, func(f *injected) bool { return f.Delay > 0 || f.Hang })
}

// take returns the fault that r meets, or nil, and uses up one of its times.
func (fs *faults) take(op string, r *http.Request) *injected {
	fs.mu.Lock()
	active := slices.Clone(fs.active)
	fs.mu.Unlock()
	for _, f := range active {
		if matched, _ := path.Match(cmp.Or(f.Op, "*"), op); !matched {
			continue
		}
		// Match is the test's own code: it runs without the lock.
		if f.Match != nil && !f.Match(copyRequest(r)) {
			continue
		}
		if fs.use(f) {
			return f
		}
	}
	return nil
}

// use takes one of f's times and reports whether there was one left.
func (fs *faults) use(f *injected) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !slices.Contains(fs.active, f) {
		return false
	}
	if f.Times > 0 {
		if f.left--; f.left == 0 {
			fs.active = slices.DeleteFunc(slices.Clone(fs.active), func(x *injected) bool { return x == f })
		}
	}
	return true
}

func copyRequest(r *http.Request) *http.Request {
	c := r.Clone(r.Context())
	if r.GetBody != nil {
		c.Body, _ = r.GetBody() // reads memory
	}
	return c
}

// serve answers r as the fault says; h is the operation.
func (f *injected) serve(w http.ResponseWriter, r *http.Request, h http.Handler, done <-chan struct{}) {
	if f.Delay > 0 && !wait(r.Context(), f.Delay, done) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-done:
		}
		panic(http.ErrAbortHandler)
	case f.Drop:
		f.breakConnection(w)
	case f.DropAfter:
		h.ServeHTTP(newResponseBuffer(), r)
		f.breakConnection(w)
	case f.CutAfter > 0:
		answer := newResponseBuffer()
		h.ServeHTTP(answer, r)
		answer.cutInto(w, f.CutAfter)
	case f.Handler != nil:
		f.Handler.ServeHTTP(w, r)
	case f.Status != 0 || f.Body != "":
		if json.Valid([]byte(f.Body)) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		maps.Copy(w.Header(), f.Header)
		w.WriteHeader(cmp.Or(f.Status, http.StatusOK))
		_, _ = io.WriteString(w, f.Body) // the client may have gone
	default:
		h.ServeHTTP(w, r)
	}
}

// TokenError returns the Fault that answers a token request as Google's token endpoint answers errors: an
// error code such as "invalid_grant" or "invalid_client", and a description. Its Op is "token.*", its
// status 401 for invalid_client and unauthorized_client, else 400.
func TokenError(code, description string) Fault {
	e := &oauthError{code: code, description: description}
	return Fault{Op: "token.*", Status: e.status(), Body: e.body()}
}

// RateLimited returns the Fault that refuses an operation as Gmail does when a user or project goes too
// fast: 429, RESOURCE_EXHAUSTED, reason rateLimitExceeded. Where retryAfter is set, the message names that
// time, as Gmail's does; like Gmail it sends no Retry-After header, which the caller can add to the Fault.
func RateLimited(op string, retryAfter time.Time) Fault {
	return APIError(op, http.StatusTooManyRequests, "rateLimitExceeded", rateMessage(retryAfter))
}

func rateMessage(retryAfter time.Time) string {
	if retryAfter.IsZero() {
		return "Resource has been exhausted (e.g. check quota)."
	}
	return "User-rate limit exceeded.  Retry after " + retryAfter.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// QuotaExceeded returns the Fault that refuses an operation with 403 and one of the reasons "rateLimitExceeded",
// "userRateLimitExceeded" and "dailyLimitExceeded", the older of Gmail's two ways to say that a limit was hit.
func QuotaExceeded(op, reason string) Fault {
	return APIError(op, http.StatusForbidden, reason, quotaMessage(reason))
}

func quotaMessage(reason string) string {
	switch reason {
	case "rateLimitExceeded":
		return "Rate Limit Exceeded"
	case "userRateLimitExceeded":
		return "User Rate Limit Exceeded"
	case "dailyLimitExceeded":
		return "Daily Limit Exceeded"
	}
	return "Quota Exceeded"
}

// APIError returns the Fault that refuses an operation of the Gmail API in the form of Google's errors.
// reason is the machine's word, such as "backendError", message the human's.
func APIError(op string, code int, reason, message string) Fault {
	e := &apiError{code: code, reason: reason, message: message}
	return Fault{Op: op, Status: code, Body: string(e.body())}
}
