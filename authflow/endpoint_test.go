package authflow_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// recording returns a client that reaches Google in process and writes down what it asks.
func (x *fixture) recording(asked *[]string) *http.Client {
	return &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		*asked = append(*asked, req.URL.Host+req.URL.Path)
		return x.google.Transport().RoundTrip(req)
	})}
}

var endpointFields = map[string]func(p *authflow.Provider, url string){
	"Provider.AuthURL":     func(p *authflow.Provider, url string) { p.AuthURL = url },
	"Provider.TokenURL":    func(p *authflow.Provider, url string) { p.TokenURL = url },
	"Provider.RevokeURL":   func(p *authflow.Provider, url string) { p.RevokeURL = url },
	"Provider.UserInfoURL": func(p *authflow.Provider, url string) { p.UserInfoURL = url },
	"Provider.JWKSURL":     func(p *authflow.Provider, url string) { p.JWKSURL = url },
}

func TestEndpointsInsideTheCallersNetworkAreRefused(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	for url, permitted := range map[string]bool{ // whether AllowPrivateEndpoints permits it
		"http://oauth2.googleapis.com/token":     true,
		"http://127.0.0.1:8080/token":            true,
		"https://127.0.0.1/token":                true,
		"https://127.8.9.10/token":               true,
		"https://127.0.0.1./token":               true,
		"https://localhost/token":                true,
		"https://LocalHost:8443/token":           true,
		"https://localhost./token":               true,
		"https://tokens.localhost/token":         true,
		"https://tokens.localhost./token":        true,
		"https://0.0.0.0/token":                  true,
		"https://0.1.2.3/token":                  true,
		"https://10.1.2.3/token":                 true,
		"https://172.16.0.1/token":               true,
		"https://192.168.1.1/token":              true,
		"https://100.64.0.1/token":               true,
		"https://169.254.169.254/token":          true,
		"https://224.0.0.1/token":                true,
		"https://255.255.255.255/token":          true,
		"https://[::1]/token":                    true,
		"https://[::]/token":                     true,
		"https://[fc00::1]/token":                true,
		"https://[fd12:3456::1]/token":           true,
		"https://[fe80::1]/token":                true,
		"https://[fe80::1%25eth0]/token":         true,
		"https://[::ffff:127.0.0.1]/token":       true,
		"https://[::ffff:7f00:1]/token":          true,
		"https://[::ffff:10.0.0.1]/token":        true,
		"https://[::127.0.0.1]/token":            true,
		"https://[64:ff9b::127.0.0.1]/token":     true,
		"https://2130706433/token":               true,
		"https://0x7f000001/token":               true,
		"https://0x7f.1/token":                   true,
		"https://0177.0.0.1/token":               true,
		"https://127.1/token":                    true,
		"https://:443/token":                     false,
		"https://user:pw@oauth2.googleapis.com/": false,
		"https://oauth2.googleapis.com/#token":   false,
		"https:///token":                         false,
		"https:token":                            false,
		"/token":                                 false,
		"oauth2.googleapis.com/token":            false,
		"ftp://oauth2.googleapis.com/token":      false,
		"file:///etc/passwd":                     false,
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			for field, set := range endpointFields {
				cfg := x.config()
				cfg.Provider = authflow.Google()
				set(&cfg.Provider, url)
				flow, err := authflow.New(cfg)
				if wrong, ok := errors.AsType[*authflow.ConfigError](err); !ok || wrong.Field != field || flow != nil {
					t.Errorf("%s: New: %v; want *ConfigError", field, err)
				}
				cfg.AllowPrivateEndpoints = true
				if _, err := authflow.New(cfg); (err == nil) != permitted {
					t.Errorf("%s with AllowPrivateEndpoints: New: %v", field, err)
				}
			}
			file := strings.ReplaceAll(webFile, "https://oauth2.googleapis.com/token", url)
			cfg, err := authflow.ConfigFromJSON([]byte(file), gmailReadonly)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Store, cfg.Keys = x.store, x.keys
			if _, err := authflow.New(cfg); err == nil {
				t.Error("in a client_secret.json it is accepted")
			}
		})
	}
}

func TestPublicEndpointsAreAccepted(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	for _, url := range []string{
		"https://login.example.org/token", "https://login.example.org:8443/token?tenant=1", "https://8.8.8.8/token",
		"https://[2001:4860:4860::8888]/token", "https://localhost.example.org/token", "https://notlocalhost/token",
		"https://1password.example/token", "https://0xdead.example/token",
	} {
		for field, set := range endpointFields {
			cfg := x.config()
			cfg.Provider = authflow.Google()
			set(&cfg.Provider, url)
			flow, err := authflow.New(cfg)
			if err != nil {
				t.Errorf("%s %s: %v", field, url, err)
				continue
			}
			_ = flow.Close()
		}
	}
}

// serveNames makes every name resolve to address, for as long as the test runs. It changes net.DefaultResolver: such a test is
// not parallel.
func serveNames(t *testing.T, address [4]byte) {
	t.Helper()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerNames(server, address)
		return client, nil
	}}
}

// answerNames answers DNS queries (RFC 1035 §4) on a stream: for an IPv4 address with address, for anything else with nothing.
func answerNames(conn net.Conn, address [4]byte) {
	defer conn.Close()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		msg := make([]byte, size)
		if _, err := io.ReadFull(conn, msg); err != nil {
			return
		}
		end := 12 // of the header; then comes the name, in labels
		for msg[end] != 0 {
			end += int(msg[end]) + 1
		}
		end += 5 // the root label, type and class
		kind := binary.BigEndian.Uint16(msg[end-4:])
		answer := append([]byte{msg[0], msg[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, msg[12:end]...)
		if kind == 1 {
			answer[7] = 1
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
			answer = append(answer, address[:]...)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func TestANameThatResolvesIntoTheCallersNetworkIsNotDialed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var dialed atomic.Int32
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			dialed.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	serveNames(t, [4]byte{127, 0, 0, 1})
	x := newFixture(t, gmailtest.Config{})

	for name, c := range map[string]struct {
		host   string
		client *http.Client
	}{
		"by default":                          {"tokens.example.org", nil},
		"in capitals":                         {"Tokens.Example.ORG", nil},
		"with a dot":                          {"tokens.example.org.", nil},
		"with letters beyond ASCII":           {"tökens.example.org", nil},
		"with a client that has no transport": {"tokens.example.org", new(http.Client)},
	} {
		flow := x.flow(t, func(cfg *authflow.Config) {
			cfg.HTTPClient = c.client
			cfg.Provider = authflow.Google()
			cfg.Provider.TokenURL = "https://" + c.host + ":" + port + "/token"
		})
		_, err := flow.ExchangeCode(t.Context(), "4/0Acode", "state")
		if err == nil || !strings.Contains(err.Error(), "loopback, link-local or private address") {
			t.Errorf("%s: ExchangeCode: %v", name, err)
		}
	}
	if n := dialed.Load(); n != 0 {
		t.Errorf("the loopback address was dialed %d times", n)
	}
}

func TestAFlowIsMadeWhereTheDefaultTransportIsAnothersType(t *testing.T) {
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	http.DefaultTransport = roundTrip(before.RoundTrip) // as programs do that trace or log every request
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("New panics: %v", p)
		}
	}()
	newFixture(t, gmailtest.Config{}).flow(t, func(cfg *authflow.Config) { cfg.HTTPClient = nil })
}
