package gmailsvc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestARejectedTokenIsReplacedOnceAndTheCallRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.deliver(t, 1)[0]
	svc := w.service(t, w.consent(t), nil)
	w.google.ExpireAccessTokens(ada)
	msg, err := svc.Users.Messages.Get("me", id).Context(t.Context()).Do()
	if err != nil || msg.Id != id {
		t.Fatalf("got %v, %v; want message %s", msg, err, id)
	}
	if calls, refreshes := w.google.Count("gmail.users.messages.get"), w.google.Count("token.refresh"); calls != 2 || refreshes != 1 {
		t.Errorf("%d calls and %d refreshes, want 2 and 1", calls, refreshes)
	}
}

func TestARequestWithABodyIsRepeatedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.deliver(t, 1)[0]
	svc := w.service(t, w.consent(t), nil)
	w.google.ExpireAccessTokens(ada)
	change := &gmail.ModifyMessageRequest{AddLabelIds: []string{"STARRED"}, RemoveLabelIds: []string{"UNREAD"}}
	if _, err := svc.Users.Messages.Modify("me", id, change).Context(t.Context()).Do(); err != nil {
		t.Fatal(err)
	}
	labels, err := w.box.Labels(id)
	if got := strings.Join(labels, " "); err != nil || !strings.Contains(got, "STARRED") || strings.Contains(got, "UNREAD") {
		t.Errorf("labels %v, %v; want STARRED in and UNREAD out", labels, err)
	}
}

func TestManyCallsWithOneRejectedTokenRefreshOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver(t, 1)
		svc := w.service(t, w.consent(t), nil)
		w.google.ExpireAccessTokens(ada)
		w.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: time.Second})
		errs := make(chan error)
		for range 50 {
			go func() {
				_, err := svc.Users.GetProfile("me").Context(t.Context()).Do()
				errs <- err
			}()
		}
		for range 50 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := w.google.Count("token.refresh"); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	})
}

func TestAnEndedGrantComesOutOfAnOrdinaryCall(t *testing.T) {
	t.Parallel()
	for name, rejected := range map[string]func(w *world){
		"when Gmail rejects the token":    func(*world) {},
		"when the token expired long ago": func(*world) { <-time.After(2 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				creds := w.consent(t)
				svc := w.service(t, creds, nil)
				w.google.Revoke(ada)
				rejected(w)
				_, err := svc.Users.GetProfile("me").Context(t.Context()).Do()
				var ended *authflow.ReauthorizationRequiredError
				if !errors.As(err, &ended) {
					t.Fatalf("got %v, want *ReauthorizationRequiredError", err)
				}
				if ended.UserID != creds.UserID || ended.Reason != tokenstore.ReasonInvalidGrant || ended.AuthorizationURL == "" {
					t.Errorf("got %+v, want user, reason and URL", ended)
				}
				if _, err := list(t.Context(), svc, gmailsvc.Query{}); !errors.As(err, &ended) {
					t.Errorf("a listing answers %v, want *ReauthorizationRequiredError", err)
				}
			})
		})
	}
}

func TestASecondRejectionIsFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := w.service(t, w.consent(t), nil)
	w.google.Inject(gmailtest.Fault{Op: "gmail.users.getProfile", Status: http.StatusUnauthorized, Body: `{}`})
	_, err := svc.Users.GetProfile("me").Context(t.Context()).Do()
	var final *gmailsvc.UnauthorizedError
	if !errors.As(err, &final) || final.Method != http.MethodGet || !strings.HasSuffix(final.Path, "/profile") {
		t.Errorf("got %v, want *UnauthorizedError for GET …/profile", err)
	}
	if calls, refreshes := w.google.Count("gmail.users.getProfile"), w.google.Count("token.refresh"); calls != 2 || refreshes != 1 {
		t.Errorf("%d calls and %d refreshes, want 2 and 1", calls, refreshes)
	}
}

func TestAnyTokenSourceWillDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, err := w.consent(t).Token()
	if err != nil {
		t.Fatal(err)
	}
	svc := w.service(t, oauth2.StaticTokenSource(token), nil)
	if _, err := svc.Users.GetProfile("me").Context(t.Context()).Do(); err != nil {
		t.Error(err)
	}
	w.google.ExpireAccessTokens(ada)
	_, err = svc.Users.GetProfile("me").Context(t.Context()).Do()
	var refused *googleapi.Error
	if !errors.As(err, &refused) || refused.Code != http.StatusUnauthorized {
		t.Errorf("got %v; want Gmail's own 401 where the source can't refresh", err)
	}
}

// failing is a token source that can't.
type failing struct{ err error }

func (f failing) Token() (*oauth2.Token, error) { return nil, f.err }

func TestNothingIsSentWithoutAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cause := errors.New("no token today")
	svc := w.service(t, failing{cause}, nil)
	_, err := svc.Users.GetProfile("me").Context(t.Context()).Do()
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the source's error", err)
	}
	if n := w.google.Count("gmail.users.getProfile"); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestTheCallersRequestIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	creds := w.consent(t)
	var sent atomic.Pointer[http.Request]
	svc := w.service(t, creds, roundTripper(func(r *http.Request) (*http.Response, error) {
		sent.Store(r)
		return w.google.Transport().RoundTrip(r)
	}))
	call := svc.Users.GetProfile("me").Context(t.Context())
	call.Header().Set("X-Caller", "kept")
	if _, err := call.Do(); err != nil {
		t.Fatal(err)
	}
	got := sent.Load().Header
	if got.Get("X-Caller") != "kept" || !strings.HasPrefix(got.Get("Authorization"), "Bearer ") {
		t.Errorf("sent headers %v, want the caller's and a bearer token", got)
	}
	if !strings.Contains(got.Get("User-Agent"), "gzip") {
		t.Errorf("User-Agent %q; without gzip in it Google does not compress", got.Get("User-Agent"))
	}
}

func TestTheCallersContextEndsTheWaitForAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		svc := w.service(t, w.consent(t), nil)
		w.google.ExpireAccessTokens(ada)
		w.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 9 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := svc.Users.GetProfile("me").Context(ctx).Do()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want the deadline's error after 1s", err, time.Since(start))
		}
	})
}
