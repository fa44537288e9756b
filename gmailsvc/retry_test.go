package gmailsvc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A reply is what a scripted Gmail answers.
type reply struct {
	status int
	body   string
	header http.Header
	err    error
	takes  time.Duration
}

const (
	bodyUserRate = `{"error":{"code":403,"message":"User-rate limit exceeded","errors":[{"reason":"userRateLimitExceeded"}]}}`
	bodyRate     = `{"error":{"code":403,"message":"Rate Limit Exceeded","errors":[{"reason":"rateLimitExceeded"}]}}`
	bodyTooMany  = `{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}`
	bodyDaily    = `{"error":{"code":403,"message":"Daily Limit Exceeded","errors":[{"reason":"dailyLimitExceeded"}]}}`
	bodyDomain   = `{"error":{"code":403,"message":"The domain administrators have disabled Gmail apps.","errors":[{"reason":"domainPolicy"}]}}`
	bodyScope    = `{"error":{"code":403,"message":"Request had insufficient authentication scopes.","errors":[{"reason":"insufficientPermissions"}]}}`
	bodyGone     = `{"error":{"code":404,"message":"Requested entity was not found.","errors":[{"reason":"notFound"}]}}`
)

// A script answers one reply after another, the last one again and again.
type script struct {
	replies []reply
	asked   []time.Time
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	r := s.replies[min(len(s.asked), len(s.replies)-1)]
	s.asked = append(s.asked, time.Now())
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	select {
	case <-time.After(r.takes):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	header := r.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	header.Set("Content-Type", "application/json")
	return &http.Response{
		StatusCode: r.status, Header: header, Body: io.NopCloser(strings.NewReader(r.body)), Request: req, ContentLength: -1,
	}, nil
}

func scripted(t *testing.T, s *script, change func(*gmailsvc.Config), opts ...gmailsvc.ServiceOption) *gmailsvc.Service {
	t.Helper()
	cfg := gmailsvc.Config{HTTPClient: &http.Client{Transport: s}}
	if change != nil {
		change(&cfg)
	}
	creds := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.static"})
	svc, err := gmailsvc.New(cfg).BuildService(t.Context(), creds, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

// The calls that the table below makes.
var calls = map[string]func(context.Context, *gmailsvc.Service) error{
	"get": func(ctx context.Context, s *gmailsvc.Service) error {
		_, err := s.Users.Messages.Get("me", "m1").Context(ctx).Do()
		return err
	},
	"modify": func(ctx context.Context, s *gmailsvc.Service) error {
		_, err := s.Users.Messages.Modify("me", "m1", new(gmail.ModifyMessageRequest)).Context(ctx).Do()
		return err
	},
	"insert": func(ctx context.Context, s *gmailsvc.Service) error {
		_, err := s.Users.Messages.Insert("me", &gmail.Message{Raw: "eA"}).Context(ctx).Do()
		return err
	},
	"send": func(ctx context.Context, s *gmailsvc.Service) error {
		_, err := s.Users.Messages.Send("me", &gmail.Message{Raw: "eA"}).Context(ctx).Do()
		return err
	},
}

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	ok := reply{status: 200, body: `{"id":"m1"}`}
	reset := reply{err: errors.New("connection reset by peer")}
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	uncertain := func(err error) bool { return errors.As(err, new(*gmailsvc.SendUncertainError)) }
	limited := func(err error) bool {
		return errors.As(err, new(*gmailsvc.RateLimitError)) && errors.As(err, new(*googleapi.Error))
	}
	plain := func(err error) bool { return errors.As(err, new(*googleapi.Error)) }
	none := is(nil)
	for name, c := range map[string]struct {
		call     string
		replies  []reply
		attempts int
		want     func(error) bool
	}{
		"a get after 503":                      {"get", []reply{{status: 503}, ok}, 2, none},
		"a get after 500, 502 and 504":         {"get", []reply{{status: 500}, {status: 502}, {status: 504}, ok}, 4, none},
		"a get after a reset":                  {"get", []reply{reset, ok}, 2, none},
		"a get, 5 times at most":               {"get", []reply{{status: 503}}, 5, plain},
		"a get over the user's rate":           {"get", []reply{{status: 403, body: bodyUserRate}, ok}, 2, none},
		"a get over the project's rate":        {"get", []reply{{status: 403, body: bodyRate}, ok}, 2, none},
		"a get after 429":                      {"get", []reply{{status: 429, body: bodyTooMany}, ok}, 2, none},
		"a get that is always over a rate":     {"get", []reply{{status: 429, body: bodyTooMany}}, 5, limited},
		"not a get over the limit of the day":  {"get", []reply{{status: 403, body: bodyDaily}}, 1, limited},
		"not a get against the domain's rules": {"get", []reply{{status: 403, body: bodyDomain}}, 1, plain},
		"not a get of what is gone":            {"get", []reply{{status: 404, body: bodyGone}}, 1, plain},
		"not a bad request":                    {"get", []reply{{status: 400}}, 1, plain},
		"a modify after 503":                   {"modify", []reply{{status: 503}, ok}, 2, none},
		"a modify after a reset":               {"modify", []reply{reset, ok}, 2, none},
		"not an insert after 503":              {"insert", []reply{{status: 503}}, 1, plain},
		"not an insert after a reset":          {"insert", []reply{reset}, 1, is(reset.err)},
		"an insert over a rate":                {"insert", []reply{{status: 429, body: bodyTooMany}, ok}, 2, none},
		"not a send after 503":                 {"send", []reply{{status: 503}}, 1, uncertain},
		"not a send after a reset":             {"send", []reply{reset}, 1, uncertain},
		"a send over a rate":                   {"send", []reply{{status: 403, body: bodyUserRate}, ok}, 2, none},
		"not a send that is refused":           {"send", []reply{{status: 400}}, 1, func(err error) bool { return plain(err) && !uncertain(err) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{replies: c.replies}
				err := calls[c.call](t.Context(), scripted(t, s, nil))
				if !c.want(err) {
					t.Errorf("the error is %v", err)
				}
				if len(s.asked) != c.attempts {
					t.Errorf("%d attempts, want %d", len(s.asked), c.attempts)
				}
			})
		})
	}
}

func TestASendThatNeverLeftIsTriedAgain(t *testing.T) {
	t.Parallel()
	refused, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := refused.Addr().String()
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	var attempts int
	svc, err := gmailsvc.New(gmailsvc.Config{
		Endpoint: "http://" + address, HTTPClient: &http.Client{Transport: &http.Transport{}},
		Retry:    gmailsvc.RetryPolicy{Attempts: 3, FirstPause: time.Millisecond, LongestPause: time.Millisecond},
		Observer: func(c gmailsvc.Call) { attempts = c.Attempt },
	}).BuildService(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.static"}))
	if err != nil {
		t.Fatal(err)
	}
	err = calls["send"](t.Context(), svc)
	if errors.As(err, new(*gmailsvc.SendUncertainError)) || err == nil || attempts != 3 {
		t.Errorf("%d attempts, %v; want 3 and no doubt about what became of it", attempts, err)
	}
}

func TestPausesGrowAndRespectWhatGmailAsksFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503}, {status: 503}, {status: 429, body: bodyTooMany, header: http.Header{"Retry-After": {"90"}}}, {status: 503}}}
		_ = calls["get"](t.Context(), scripted(t, s, nil))
		for i, bounds := range [][2]time.Duration{{0, time.Second}, {0, 2 * time.Second}, {90 * time.Second, 90 * time.Second}, {0, 8 * time.Second}} {
			if pause := s.asked[i+1].Sub(s.asked[i]); pause < bounds[0] || pause > bounds[1] {
				t.Errorf("pause %d is %v, want %v", i+1, pause, bounds)
			}
		}
	})
}

func TestAnAttemptThatCannotEndInTimeIsNotStarted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first    reply
		deadline time.Duration
	}{
		"the pause is too long":      {reply{status: 429, body: bodyTooMany, header: http.Header{"Retry-After": {"60"}}}, 59 * time.Second},
		"the call itself takes long": {reply{status: 503, takes: 20 * time.Second}, 39 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				s := &script{replies: []reply{c.first}}
				began := time.Now()
				err := calls["get"](ctx, scripted(t, s, nil))
				if !errors.As(err, new(*googleapi.Error)) || len(s.asked) != 1 || time.Since(began) > c.first.takes {
					t.Errorf("%d attempts, %v after %v; want Gmail's answer at once", len(s.asked), err, time.Since(began))
				}
			})
		})
	}
}

func TestAnOutageIsNotMultipliedByRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{replies: []reply{{status: 503}}}
		svc := scripted(t, s, nil)
		for range 1000 {
			_ = calls["get"](t.Context(), svc)
		}
		if retries := len(s.asked) - 1000; retries != 50 {
			t.Errorf("1,000 calls were retried %d times in an outage, want the reserve of 50", retries)
		}
		s.replies = []reply{{status: 200, body: `{}`}}
		for range 100 {
			_ = calls["get"](t.Context(), svc)
		}
		s.replies, s.asked = []reply{{status: 503}}, nil
		for range 100 {
			_ = calls["get"](t.Context(), svc)
		}
		if retries := len(s.asked) - 100; retries != 20 {
			t.Errorf("100 calls that succeeded earned %d retries, want a fifth", retries)
		}
	})
}

func TestRefusalsAreTyped(t *testing.T) {
	t.Parallel()
	t.Run("a scope that is missing", func(t *testing.T) {
		t.Parallel()
		err := calls["send"](t.Context(), scripted(t, &script{replies: []reply{{status: 403, body: bodyScope}}}, nil))
		e, ok := errors.AsType[*gmailsvc.InsufficientScopeError](err)
		if !ok || e.Method != "gmail.users.messages.send" || len(e.AnyOf) == 0 || e.AnyOf[0] != gmail.GmailSendScope || e.Err.Code != 403 {
			t.Errorf("%+v", err)
		}
	})
	t.Run("a scope that Gmail names", func(t *testing.T) {
		t.Parallel()
		header := http.Header{"Www-Authenticate": {`Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="https://a https://b"`}}
		err := calls["get"](t.Context(), scripted(t, &script{replies: []reply{{status: 403, body: bodyScope, header: header}}}, nil))
		e, ok := errors.AsType[*gmailsvc.InsufficientScopeError](err)
		if !ok || strings.Join(e.AnyOf, " ") != "https://a https://b" {
			t.Errorf("%+v", err)
		}
	})
	t.Run("a message that is gone", func(t *testing.T) {
		t.Parallel()
		err := calls["get"](t.Context(), scripted(t, &script{replies: []reply{{status: 404, body: bodyGone}}}, nil))
		e, ok := errors.AsType[*gmailsvc.NotFoundError](err)
		if !ok || e.Method != "gmail.users.messages.get" || e.Err.Code != 404 || !strings.Contains(err.Error(), "Requested entity was not found") {
			t.Errorf("%+v", err)
		}
	})
	t.Run("a rate", func(t *testing.T) {
		t.Parallel()
		once := func(cfg *gmailsvc.Config) { cfg.Retry.Attempts = 1 }
		header := http.Header{"Retry-After": {"7"}}
		err := calls["get"](t.Context(), scripted(t, &script{replies: []reply{{status: 403, body: bodyUserRate, header: header}}}, once))
		e, ok := errors.AsType[*gmailsvc.RateLimitError](err)
		if !ok || e.Limit != quota.UserRate || e.RetryAfter != 7*time.Second || e.Err.Code != 403 {
			t.Errorf("%+v", err)
		}
	})
	t.Run("a token that is refused again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		refuse := &script{replies: []reply{{status: 401, body: `{"error":{"code":401,"message":"Invalid Credentials"}}`}}}
		err := calls["get"](t.Context(), w.service(t, w.consent(t), refuse))
		e, ok := errors.AsType[*gmailsvc.UnauthorizedError](err)
		if !ok || e.Err == nil || e.Err.Code != 401 || len(refuse.asked) != 2 {
			t.Errorf("%+v after %d attempts", err, len(refuse.asked))
		}
	})
}

func TestWhatTheCredentialsAnswerIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	creds := w.consent(t)
	w.google.Revoke(ada)
	w.google.ExpireAccessTokens(ada)
	svc := w.service(t, creds, nil)
	before := w.google.Count("gmail.users.messages.get")
	if err := calls["get"](t.Context(), svc); err == nil {
		t.Fatal("the call of a revoked grant succeeded")
	}
	if n := w.google.Count("gmail.users.messages.get") - before; n > 1 {
		t.Errorf("%d attempts", n)
	}
}

func TestAnErrorWithoutAnAnswerWrapsNone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		new(gmailsvc.NotFoundError), new(gmailsvc.RateLimitError), new(gmailsvc.InsufficientScopeError), new(gmailsvc.UnauthorizedError),
	} {
		if e, ok := errors.AsType[*googleapi.Error](err); ok {
			t.Errorf("%T wraps %v", err, e)
		}
	}
}
