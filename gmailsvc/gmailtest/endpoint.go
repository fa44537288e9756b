package gmailtest

import (
	"encoding/json"
	"net/http"
)

// AuthURL returns the address of the consent page. A server that doesn't listen has Google's real one, here
// and in the methods below; its Transport serves them.
func (s *Server) AuthURL() string {
	return s.endpoint("https://accounts.google.com", "/o/oauth2/v2/auth")
}

// TokenURL returns the address of the token endpoint.
func (s *Server) TokenURL() string { return s.endpoint("https://oauth2.googleapis.com", "/token") }

// RevokeURL returns the address of the revocation endpoint.
func (s *Server) RevokeURL() string { return s.endpoint("https://oauth2.googleapis.com", "/revoke") }

// UserInfoURL returns the address of the OpenID Connect userinfo endpoint, which answers with sub.
// Version 2, which answers with id instead, is at /oauth2/v2/userinfo.
func (s *Server) UserInfoURL() string {
	return s.endpoint("https://openidconnect.googleapis.com", "/v1/userinfo")
}

// JWKSURL returns the address of the keys that sign ID tokens.
func (s *Server) JWKSURL() string {
	return s.endpoint("https://www.googleapis.com", "/oauth2/v3/certs")
}

// APIURL returns the root of the Gmail API, with a trailing slash, as option.WithEndpoint of
// Google's client wants it.
func (s *Server) APIURL() string { return s.endpoint("https://gmail.googleapis.com", "/") }

func (s *Server) endpoint(google, path string) string {
	if s.URL != "" {
		return s.URL + path
	}
	return google + path
}

// Client returns an HTTP client that reaches the server: over its socket where it listens, else in process.
// Like any http.Client it follows redirects.
func (s *Server) Client() *http.Client {
	if s.socket != nil {
		return &http.Client{Transport: s.socket}
	}
	return &http.Client{Transport: s.Transport()}
}

// ClientSecretsJSON returns the client_secret.json that Google Cloud Console would write for the first
// client of the Config, as a web application, with this server's endpoints. redirectURIs stand in for the
// client's own where given.
func (s *Server) ClientSecretsJSON(redirectURIs ...string) []byte {
	client := s.cfg.Clients[0]
	if len(redirectURIs) == 0 {
		redirectURIs = client.RedirectURIs
	}
	type web struct {
		ClientID     string   `json:"client_id"`
		ProjectID    string   `json:"project_id"`
		AuthURI      string   `json:"auth_uri"`
		TokenURI     string   `json:"token_uri"`
		CertsURL     string   `json:"auth_provider_x509_cert_url"`
		ClientSecret string   `json:"client_secret"`
		RedirectURIs []string `json:"redirect_uris,omitempty"`
	}
	file, _ := json.Marshal(struct { // marshaling strings cannot fail
		Web web `json:"web"`
	}{web{
		ClientID:     client.ID,
		ProjectID:    s.cfg.ProjectID,
		AuthURI:      s.AuthURL(),
		TokenURI:     s.TokenURL(),
		CertsURL:     s.endpoint("https://www.googleapis.com", "/oauth2/v1/certs"),
		ClientSecret: client.Secret,
		RedirectURIs: redirectURIs,
	}})
	return file
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                s.cfg.Issuer,
		"authorization_endpoint":                s.AuthURL(),
		"token_endpoint":                        s.TokenURL(),
		"revocation_endpoint":                   s.RevokeURL(),
		"userinfo_endpoint":                     s.UserInfoURL(),
		"jwks_uri":                              s.JWKSURL(),
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "email", "profile"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"code_challenge_methods_supported":      []string{"S256"},
		"claims_supported": []string{
			"aud", "email", "email_verified", "exp", "hd", "iat", "iss", "name", "sub",
		},
		"authorization_response_iss_parameter_supported": s.cfg.SendIss,
	})
}

// writeJSON answers as the OAuth endpoints do. RFC 6749, section 5.1, wants no cache to keep it.
func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}
