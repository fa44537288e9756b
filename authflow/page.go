package authflow

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/mailgrant/mailgrant/tokenstore"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// A page is what a person is told where they could not be connected or disconnected.
type page string

const (
	pageDenied     page = "denied"
	pagePolicy     page = "policy"
	pageApplicant  page = "application"
	pageScopes     page = "scopes"
	pageAccount    page = "account"
	pageDomain     page = "domain"
	pageExpired    page = "expired"
	pageUsed       page = "used"
	pageForeign    page = "foreign"
	pageMalformed  page = "malformed"
	pageProvider   page = "provider"
	pageNoGrant    page = "no-grant"
	pageCrossSite  page = "cross-site"
	pageAsk        page = "ask"
	pageUnexpected page = "unexpected"
)

type pageText struct {
	status      int
	Title, Text string
}

// pageTexts tell a person what happened and what they can do, and nothing of what the provider or the application said.
var pageTexts = map[page]pageText{
	pageDenied: {
		http.StatusForbidden, "Not connected",
		"You chose not to give access. Nothing was stored, and you can change your mind at any time.",
	},
	pagePolicy: {
		http.StatusForbidden, "Your organization does not allow this",
		"A policy of your organization keeps this application from your account. Its administrator can allow it.",
	},
	pageApplicant: {
		http.StatusBadGateway, "This application is not set up correctly",
		"The provider refused the application, not you. Whoever runs it has to mend its settings.",
	},
	pageScopes: {
		http.StatusForbidden, "Some permissions are missing",
		"The application needs every permission that it asks for. Start again, and leave all boxes ticked.",
	},
	pageAccount: {
		http.StatusForbidden, "That was another account",
		"You chose another account than the one to be reconnected. Nothing was changed. Start again, and choose that one.",
	},
	pageDomain: {
		http.StatusForbidden, "That account is of another organization",
		"Only accounts of one organization can be connected here. Start again, and choose one of them.",
	},
	pageExpired: {
		http.StatusBadRequest, "That took too long",
		"For your safety a connection has to be finished within 10 minutes. Nothing was stored.",
	},
	pageUsed: {
		http.StatusBadRequest, "This link was used before",
		"It works only once, and it has been used. If you are not connected yet, start again.",
	},
	pageForeign: {
		http.StatusBadRequest, "No connection is waiting for this",
		"A connection has to be finished in the browser in which it was started, within 10 minutes, and with cookies " +
			"switched on. Nothing was changed.",
	},
	pageMalformed: {
		http.StatusBadRequest, "This link is damaged",
		"The address that you came here by is not one that the provider makes. Nothing was stored.",
	},
	pageProvider: {
		http.StatusBadGateway, "The provider did not answer as it should",
		"Your account could not be connected for now. Please try again in a moment.",
	},
	pageNoGrant: {
		http.StatusNotFound, "This account is not connected",
		"It never was, or it has been disconnected already.",
	},
	pageCrossSite: {
		http.StatusForbidden, "This came from another site",
		"Another site sent your browser here. Nothing was changed.",
	},
	pageAsk: {
		http.StatusForbidden, "The provider has a question",
		"It can't connect your account without asking you something. Start again, and answer it.",
	},
	pageUnexpected: {
		http.StatusInternalServerError, "Something went wrong",
		"That is not your fault. Please try again in a moment.",
	},
}

// pageOf returns the page that tells a person of err.
func pageOf(err error) page {
	if e, ok := errors.AsType[*CallbackError](err); ok {
		switch e.Reason {
		case CallbackExpired:
			return pageExpired
		case CallbackUsed:
			return pageUsed
		case CallbackForeign, CallbackForged:
			return pageForeign
		case CallbackRepeated:
			return e.page
		}
		return pageMalformed
	}
	if e, ok := errors.AsType[*AuthorizationDeniedError](err); ok {
		switch {
		case e.ByUser():
			return pageDenied
		case e.temporary():
			return pageProvider
		case strings.HasSuffix(e.Code, "_required"): // prompt=none was asked for
			return pageAsk
		case e.Code == codeOrgInternal:
			return pageDomain
		case e.byPolicy():
			return pagePolicy
		}
		return pageApplicant
	}
	if e, ok := errors.AsType[*AccountMismatchError](err); ok {
		if e.wrongUser() {
			return pageAccount
		}
		return pageDomain
	}
	if e, ok := errors.AsType[*ProviderError](err); ok {
		switch {
		case e.applicationsFault():
			return pageApplicant
		case e.Code == codeOrgInternal:
			return pageDomain
		case e.Code == codeAdminPolicy:
			return pagePolicy
		}
	}
	switch {
	case errors.As(err, new(*MissingScopesError)):
		return pageScopes
	case errors.As(err, new(*crossSiteError)):
		return pageCrossSite
	case errors.As(err, new(*CodeExchangeError)), errors.As(err, new(*NoUserIDError)), errors.As(err, new(*NoRefreshTokenError)):
		return pageProvider
	case errors.Is(err, tokenstore.ErrNotFound), errors.As(err, new(*ReauthorizationRequiredError)):
		return pageNoGrant
	}
	return pageUnexpected
}

// What Google's consent page and token endpoint say of an organization.
const (
	codeAdminPolicy = "admin_policy_enforced" // the person's own does not allow the application
	codeOrgInternal = "org_internal"          // the application is for accounts of another
)

// failed is a request that came to nothing.
type failed struct {
	err   error
	login string // where the person starts again; empty: nowhere
	back  string // where the person goes otherwise; empty: nowhere
}

// fail answers with failure, or with a page.
func (f *Flow) fail(w http.ResponseWriter, r *http.Request, failure FailureFunc, why failed) {
	level := slog.LevelWarn
	if denied, ok := errors.AsType[*AuthorizationDeniedError](why.err); ok && denied.ByUser() {
		level = slog.LevelInfo
	}
	if refused, ok := errors.AsType[*CallbackError](why.err); ok && refused.Reason == CallbackForeign {
		level = slog.LevelInfo // any scanner makes one
	}
	f.log.LogAttrs(r.Context(), level, "mailgrant: a person was not served",
		slog.String("path", r.URL.Path), slog.Any("error", why.err))
	if failure != nil {
		failure(w, r, why.err)
		return
	}
	text, ok := pageTexts[pageOf(why.err)]
	if !ok {
		text = pageTexts[pageUnexpected]
	}
	var body bytes.Buffer
	err := pageTemplate.Execute(&body, struct {
		pageText
		CSS         template.CSS
		Again, Back string
	}{text, template.CSS(pageCSS), why.login, why.back}) //nolint:gosec // the style sheet is our own
	if err != nil {
		http.Error(w, text.Title, text.status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicyHeader)
	w.WriteHeader(text.status)
	_, _ = body.WriteTo(w)
}

// setPageHeaders sets what every answer here has: nobody frames, stores or learns its URL, which has a code in it.
func setPageHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

var pagePolicyHeader = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

func refuseMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	http.Error(w, "method not allowed; use "+allowed, http.StatusMethodNotAllowed)
}
