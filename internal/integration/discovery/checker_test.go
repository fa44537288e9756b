package discovery_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

// roundTripper answers every request alike.
type roundTripper struct {
	status      int
	contentType string
	body        string
}

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: r.status,
		Header:     http.Header{"Content-Type": {r.contentType}},
		Body:       io.NopCloser(strings.NewReader(r.body)),
		Request:    req,
	}, nil
}

func TestCheckerSeesWhatIsNotGmails(t *testing.T) {
	t.Parallel()
	const (
		json     = "application/json; charset=UTF-8"
		notFound = `{"error":{"code":404,"message":"Requested entity was not found.",` +
			`"errors":[{"message":"Requested entity was not found.","domain":"global","reason":"notFound"}],"status":"NOT_FOUND"}}`
	)
	for name, tc := range map[string]struct {
		request string // method, path and query
		body    string
		answer  roundTripper
		wrong   string // what the error must name; "": nothing is wrong
	}{
		"a good answer":                      {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{200, json, `{"historyId":"1"}`}},
		"a good error":                       {request: "GET /gmail/v1/users/me/messages/1", answer: roundTripper{404, json, notFound}},
		"a good request with a body":         {request: "POST /gmail/v1/users/me/messages/1/modify", body: `{"addLabelIds":["A"]}`, answer: roundTripper{200, json, `{}`}},
		"a good answer without a body":       {request: "DELETE /gmail/v1/users/me/messages/1", answer: roundTripper{status: 204}},
		"a repeated parameter that may be":   {request: "GET /gmail/v1/users/me/messages?labelIds=A&labelIds=B", answer: roundTripper{200, json, `{}`}},
		"a parameter of every method":        {request: "GET /gmail/v1/users/me/messages?fields=id&alt=json", answer: roundTripper{200, json, `{}`}},
		"a path that does not exist":         {request: "GET /gmail/v1/users/me/mail", answer: roundTripper{200, json, `{}`}, wrong: "no such method"},
		"a path with too little":             {request: "GET /gmail/v1/users//messages", answer: roundTripper{200, json, `{}`}, wrong: "no such method"},
		"the wrong HTTP method":              {request: "PUT /gmail/v1/users/me/profile", answer: roundTripper{200, json, `{}`}, wrong: "no such method"},
		"an unknown parameter":               {request: "GET /gmail/v1/users/me/messages?limit=5", answer: roundTripper{200, json, `{}`}, wrong: `"limit"`},
		"a parameter of another method":      {request: "GET /gmail/v1/users/me/labels?q=x", answer: roundTripper{200, json, `{}`}, wrong: `"q"`},
		"a variable of the path in query":    {request: "GET /gmail/v1/users/me/labels/A?id=B", answer: roundTripper{200, json, `{}`}, wrong: `"id"`},
		"a repeated parameter that may not":  {request: "GET /gmail/v1/users/me/messages?q=a&q=b", answer: roundTripper{200, json, `{}`}, wrong: `"q" is given 2 times`},
		"an answer of another method":        {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{200, json, `{"messages":[]}`}, wrong: "messages: unknown property"},
		"an answer that is not JSON":         {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{200, "text/html", `{}`}, wrong: "content type"},
		"an empty answer":                    {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{200, json, ``}, wrong: "empty, want Profile"},
		"an answer where there is none":      {request: "DELETE /gmail/v1/users/me/messages/1", answer: roundTripper{200, json, `{}`}, wrong: "2 bytes, want none"},
		"a request with a wrong body":        {request: "POST /gmail/v1/users/me/messages/1/modify", body: `{"add":[]}`, answer: roundTripper{200, json, `{}`}, wrong: "request: add: unknown property"},
		"an error in the form of OAuth":      {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{400, json, `{"error":"invalid_grant"}`}, wrong: "error: error"},
		"an error with another code":         {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{403, json, notFound}, wrong: "code 404 under HTTP status 403"},
		"an error without its list":          {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{404, json, `{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}`}, wrong: "missing"},
		"an error without a reason":          {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{404, json, `{"error":{"code":404,"message":"m","status":"NOT_FOUND","errors":[{"message":"m","domain":"global"}]}}`}, wrong: "reason is missing"},
		"an error that is not Google's form": {request: "GET /gmail/v1/users/me/profile", answer: roundTripper{500, "text/plain", "oops"}, wrong: "content type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, target, _ := strings.Cut(tc.request, " ")
			req, err := http.NewRequestWithContext(t.Context(), method, "https://gmail.googleapis.com"+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.body != "" {
				req.Header.Set("Content-Type", "application/json")
				req.Body = io.NopCloser(strings.NewReader(tc.body))
			}
			checker := &discovery.Checker{Document: gmailDocument(t), Base: tc.answer}
			res, err := checker.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != tc.answer.body {
				t.Errorf("the body reads %q, %v; want %q as it was", body, err, tc.answer.body)
			}
			switch err := checker.Err(); {
			case tc.wrong == "" && err != nil:
				t.Errorf("nothing is wrong, but got %v", err)
			case tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)):
				t.Errorf("got %v, want an error that names %q", err, tc.wrong)
			}
		})
	}
}
