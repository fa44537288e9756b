package gmailsvc_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

func TestAGuardedServiceLetsOutOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	type verdict struct{ readOnly, noSend bool } // whether the call is let out
	const root = "https://gmail.googleapis.com"
	for call, want := range map[string]verdict{
		"GET /gmail/v1/users/me/messages/m1":                      {true, true},
		"GET /gmail/v1/users/me/messages?q=x":                     {true, true},
		"GET /gmail/v1/users/me/history":                          {true, true},
		"POST /gmail/v1/users/me/messages/m1/modify":              {false, true},
		"POST /gmail/v1/users/me/messages/batchModify":            {false, true},
		"DELETE /gmail/v1/users/me/messages/m1":                   {false, true},
		"POST /gmail/v1/users/me/drafts":                          {false, true},
		"POST /gmail/v1/users/me/watch":                           {false, true},
		"POST /gmail/v1/users/me/messages/send":                   {false, false},
		"POST /upload/gmail/v1/users/me/messages/send":            {false, false},
		"POST /gmail/v1/users/ada%40example.com/messages/send":    {false, false},
		"POST /gmail/v1/users/me/messages/%73end":                 {false, false},
		"POST /gmail/v1/users/me/messages/send/":                  {false, false},
		"POST //gmail/v1/users/me/messages/send":                  {false, false},
		"POST /gmail/v1/users/me/drafts/send":                     {false, false},
		"POST /batch/gmail/v1":                                    {false, false},
		"POST /batch":                                             {false, false},
		"PUT /gmail/v1/users/me/settings/autoForwarding":          {false, false},
		"PUT /gmail/v1/users/me/settings/vacation":                {false, false},
		"POST /gmail/v1/users/me/settings/filters":                {false, false},
		"POST /gmail/v1/users/me/settings/forwardingAddresses":    {false, false},
		"POST /gmail/v1/users/me/settings/delegates":              {false, false},
		"PATCH /gmail/v1/users/me/labels/l1":                      {false, true},
		"POST /gmail/v2/users/me/messages/anything":               {false, false},
		"GET+override /gmail/v1/users/me/messages/send":           {false, false},
		"POST /gmail/v1/users/me/../../../gmail/v1/messages/send": {false, false},
	} {
		for mode, c := range map[string]struct {
			option gmailsvc.ServiceOption
			out    bool
		}{"ReadOnly": {gmailsvc.ReadOnly(), want.readOnly}, "NoSend": {gmailsvc.NoSend(), want.noSend}} {
			t.Run(mode+" "+call, func(t *testing.T) {
				t.Parallel()
				s := &script{replies: []reply{{status: 200, body: "{}"}}}
				var client *http.Client
				svc := scripted(t, s, nil, c.option)
				client = svc.Client()
				verb, path, _ := strings.Cut(call, " ")
				req, err := http.NewRequestWithContext(t.Context(), strings.TrimSuffix(verb, "+override"), root+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(verb, "+override") {
					req.Header.Set("X-HTTP-Method-Override", "POST")
				}
				resp, err := client.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				if out := len(s.asked) == 1; out != c.out {
					t.Errorf("let out: %t, %v", out, err)
				}
				if forbidden := errors.As(err, new(*gmailsvc.ForbiddenCallError)); forbidden == c.out {
					t.Errorf("the error is %v", err)
				}
			})
		}
	}
}

func TestAServiceThatIsBothReadsOnly(t *testing.T) {
	t.Parallel()
	s := &script{replies: []reply{{status: 200, body: "{}"}}}
	svc := scripted(t, s, nil, gmailsvc.ReadOnly(), gmailsvc.NoSend())
	_, err := svc.Users.Labels.Create("me", &gmail.Label{Name: "x"}).Context(t.Context()).Do()
	e, ok := errors.AsType[*gmailsvc.ForbiddenCallError](err)
	if !ok || e.Mode != "ReadOnly" || e.Method != "gmail.users.labels.create" || len(s.asked) != 0 {
		t.Errorf("%v, %d calls left", err, len(s.asked))
	}
}
