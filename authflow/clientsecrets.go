package authflow

import (
	"encoding/json"
	"errors"
)

// ConfigFromJSON reads the client_secret.json that Google Cloud Console writes for a "web" or an "installed"
// client, and returns a Config that asks for scopes. The first redirect URI is taken; set RedirectURL for
// another one. Of the endpoints the file names two; the others are Google's, so for another provider set Provider to what
// Discover finds. Store and Keys are still to be filled in. New checks the endpoints that the file names: https only, and
// none on a loopback, link-local or private address unless AllowPrivateEndpoints is set.
//
// Errors: *ConfigError.
func ConfigFromJSON(data []byte, scopes ...string) (Config, error) {
	type client struct {
		ClientID     string   `json:"client_id"`
		ClientSecret string   `json:"client_secret"`
		RedirectURIs []string `json:"redirect_uris"`
		AuthURI      string   `json:"auth_uri"`
		TokenURI     string   `json:"token_uri"`
	}
	var file struct {
		Web       *client `json:"web"`
		Installed *client `json:"installed"`
		Type      string  `json:"type"`
	}
	const field = "client_secret.json"
	if err := json.Unmarshal(data, &file); err != nil {
		return Config{}, &ConfigError{Field: field, Problem: "is not valid JSON of the expected form; download it again", Err: jsonPosition(err)}
	}
	c := file.Web
	switch {
	case file.Web != nil && file.Installed != nil:
		return Config{}, &ConfigError{Field: field, Problem: `holds both a "web" and an "installed" client; keep one`}
	case file.Installed != nil:
		c = file.Installed
	case file.Web == nil && file.Type != "":
		return Config{}, &ConfigError{Field: field, Problem: "is the key of a service account or another kind of credential, not of an OAuth client"}
	case file.Web == nil:
		return Config{}, &ConfigError{Field: field, Problem: `holds neither a "web" nor an "installed" client`}
	}
	switch {
	case c.ClientID == "":
		return Config{}, &ConfigError{Field: field, Problem: "has no client_id"}
	case c.ClientSecret == "":
		return Config{}, &ConfigError{Field: field, Problem: "has no client_secret"}
	case len(c.RedirectURIs) == 0:
		return Config{}, &ConfigError{Field: field, Problem: "has no redirect_uris; register one in Google Cloud Console and download the file again"}
	}
	cfg := Config{
		ClientID:     c.ClientID,
		ClientSecret: c.ClientSecret,
		RedirectURL:  c.RedirectURIs[0],
		Scopes:       scopes,
		Provider:     Google(),
	}
	if c.AuthURI != "" {
		cfg.Provider.AuthURL = c.AuthURI
	}
	if c.TokenURI != "" {
		cfg.Provider.TokenURL = c.TokenURI
	}
	return cfg, nil
}

// jsonPosition returns what of an error of encoding/json can't quote the input: it may be a secret.
func jsonPosition(err error) error {
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return errors.New("wrong type at " + wrongType.Field)
	}
	return errors.New("syntax error")
}
