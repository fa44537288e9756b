package gmailsvc

import (
	"net/http"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A guard is an http.RoundTripper that refuses calls before they leave the process. A scope permits more than its name says:
// gmail.modify permits sending.
type guard struct {
	mode guardMode
	next http.RoundTripper
}

type guardMode uint8

const (
	unguarded guardMode = iota
	noSend
	readOnly
)

func (m guardMode) String() string {
	if m == readOnly {
		return "ReadOnly"
	}
	return "NoSend"
}

// sends are the methods that make Gmail send mail, now or whenever some comes in.
var sends = map[string]bool{
	"gmail.users.messages.send":                       true,
	"gmail.users.drafts.send":                         true,
	"gmail.users.settings.delegates.create":           true,
	"gmail.users.settings.filters.create":             true, // which may forward
	"gmail.users.settings.forwardingAddresses.create": true,
	"gmail.users.settings.sendAs.create":              true,
	"gmail.users.settings.sendAs.verify":              true,
	"gmail.users.settings.updateAutoForwarding":       true,
	"gmail.users.settings.updateVacation":             true,
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	method := quota.MethodOf(req)
	reads := req.Method == "" || req.Method == http.MethodGet || req.Method == http.MethodHead
	// Google's servers may take another verb from that header.
	overridden := req.Header.Get("X-HTTP-Method-Override") != ""
	// A batch holds calls that this does not see; FetchMessages' own don't come by here.
	if reads && !overridden || g.mode == noSend && !overridden && method != "" && !sends[method] {
		return g.next.RoundTrip(req)
	}
	closeBody(req)
	return nil, &ForbiddenCallError{Method: method, Mode: g.mode.String()}
}
