package discovery_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

// loadGmail returns the discovery document of the Gmail API as it lies beside the official client.
var loadGmail = sync.OnceValues(func() (*discovery.Document, error) {
	const pkg = "google.golang.org/api/gmail/v1"
	dir, err := exec.CommandContext(context.Background(), "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return nil, err
	}
	return discovery.Load(filepath.Join(strings.TrimSpace(string(dir)), "gmail-api.json"))
})

func gmailDocument(t *testing.T) *discovery.Document {
	t.Helper()
	d, err := loadGmail()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		schema string
		body   string
		wrong  []string // what the error must name; none: the text is valid
	}{
		"a full message is valid": {
			schema: "Message",
			body: `{"id":"18c2","threadId":"18c2","labelIds":["INBOX"],"snippet":"Hi","historyId":"12","internalDate":"-1",
				"sizeEstimate":5,"payload":{"partId":"","mimeType":"multipart/mixed","filename":"","headers":[{"name":"To","value":"a"}],
				"body":{"size":0},"parts":[{"partId":"0","body":{"size":2,"data":"_-8="}}]}}`,
		},
		"an empty object is valid":               {schema: "Message", body: `{}`},
		"an unknown property":                    {schema: "Message", body: `{"id":"1","subject":"x"}`, wrong: []string{"subject: unknown property"}},
		"an unknown property holding a tree":     {schema: "Message", body: `{"x":{"id":[1,{"y":null}]}}`, wrong: []string{"x: unknown property"}},
		"a repeated property":                    {schema: "Message", body: `{"id":"1","id":"1"}`, wrong: []string{"id: repeated"}},
		"a property in the wrong case":           {schema: "Message", body: `{"threadID":"1"}`, wrong: []string{"threadID: unknown property"}},
		"a number for a string":                  {schema: "Message", body: `{"id":1}`, wrong: []string{"id: 1, want a string"}},
		"a null":                                 {schema: "Message", body: `{"id":null}`, wrong: []string{"id: null, want a string"}},
		"a null for an object":                   {schema: "Message", body: `{"payload":null}`, wrong: []string{"payload: null, want object"}},
		"a null for an array":                    {schema: "Message", body: `{"labelIds":null}`, wrong: []string{"labelIds: null, want array"}},
		"a string for a number":                  {schema: "Message", body: `{"sizeEstimate":"5"}`, wrong: []string{"sizeEstimate"}},
		"a fraction for a whole number":          {schema: "Message", body: `{"sizeEstimate":5.0}`, wrong: []string{"sizeEstimate"}},
		"a number beyond 32 bits":                {schema: "Message", body: `{"sizeEstimate":2147483648}`, wrong: []string{"sizeEstimate"}},
		"a negative unsigned number":             {schema: "ListMessagesResponse", body: `{"resultSizeEstimate":-1}`, wrong: []string{"resultSizeEstimate"}},
		"an int64 as a number":                   {schema: "Message", body: `{"internalDate":5}`, wrong: []string{"internalDate: 5, want a string"}},
		"an int64 that is no number":             {schema: "Message", body: `{"internalDate":"today"}`, wrong: []string{"internalDate"}},
		"an int64 with a plus":                   {schema: "Message", body: `{"internalDate":"+5"}`, wrong: []string{"internalDate"}},
		"a negative uint64":                      {schema: "Message", body: `{"historyId":"-5"}`, wrong: []string{"historyId"}},
		"a uint64 with leading zeros":            {schema: "Message", body: `{"historyId":"05"}`, wrong: []string{"historyId"}},
		"bytes in the standard alphabet":         {schema: "Message", body: `{"raw":"+/8="}`, wrong: []string{"raw"}},
		"bytes without padding":                  {schema: "Message", body: `{"raw":"_-8"}`, wrong: []string{"raw"}},
		"a truth value":                          {schema: "AutoForwarding", body: `{"enabled":true}`},
		"a word for a truth value":               {schema: "AutoForwarding", body: `{"enabled":"true"}`, wrong: []string{"enabled: \"true\", want a boolean"}},
		"an object for an array":                 {schema: "Message", body: `{"labelIds":{}}`, wrong: []string{"labelIds: an object, want array"}},
		"an array for an object":                 {schema: "Message", body: `{"payload":[]}`, wrong: []string{"payload: an array, want object"}},
		"an array for a string":                  {schema: "Message", body: `{"id":["1"]}`, wrong: []string{"id: an array, want string"}},
		"a wrong item":                           {schema: "Message", body: `{"labelIds":["A",2]}`, wrong: []string{"labelIds[1]: 2"}},
		"a value that the enumeration lacks":     {schema: "Label", body: `{"type":"folder"}`, wrong: []string{`type: "folder" is none of`}},
		"a wrong value two references down":      {schema: "ListMessagesResponse", body: `{"messages":[{},{"payload":{"parts":[{"body":{"size":"1"}}]}}]}`, wrong: []string{"messages[1].payload.parts[0].body.size"}},
		"several mistakes are all named":         {schema: "Profile", body: `{"emailAddress":1,"historyId":2,"x":3}`, wrong: []string{"emailAddress", "historyId", "x: unknown"}},
		"the wrong kind of answer":               {schema: "Profile", body: `[]`, wrong: []string{"the document: an array, want object"}},
		"a second answer after the first":        {schema: "Profile", body: `{} {}`, wrong: []string{"more follows"}},
		"an answer that breaks off":              {schema: "Profile", body: `{"emailAddress":`, wrong: []string{"not JSON"}},
		"an answer that breaks off in its arms":  {schema: "Message", body: `{"labelIds":["A"`, wrong: []string{"EOF"}},
		"an answer that is a page of HTML":       {schema: "Profile", body: `<!DOCTYPE html>`, wrong: []string{"not JSON"}},
		"no answer":                              {schema: "Profile", wrong: []string{"not JSON"}},
		"a truth value for a string in a header": {schema: "MessagePart", body: `{"headers":[{"name":true}]}`, wrong: []string{"headers[0].name: true, want a string"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := gmailDocument(t).Validate(&discovery.Schema{Ref: tc.schema}, []byte(tc.body))
			if len(tc.wrong) == 0 {
				if err != nil {
					t.Errorf("valid, but got %v", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("no error, want one that names %q", tc.wrong)
			}
			for _, want := range tc.wrong {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in the error\n%v", want, err)
				}
			}
		})
	}
}
