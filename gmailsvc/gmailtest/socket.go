package gmailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxStreams is how many requests one HTTP/2 connection bears at once.
const maxStreams = 100

// Start returns a server that listens on a free port of 127.0.0.1. Close ends it.
func Start(cfg Config) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("gmailtest: listen on a loopback port: %w", err)
	}
	scheme := "http://"
	if cfg.TLS {
		scheme = "https://"
	}
	s, err := newServer(cfg, scheme+ln.Addr().String())
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.connections.Add(1)
			}
		},
	}
	s.socket = http.DefaultTransport.(*http.Transport).Clone()
	s.socket.MaxIdleConnsPerHost = 64
	s.socket.Proxy = nil
	serve := srv.Serve
	if cfg.TLS {
		if err := s.secure(srv); err != nil {
			return nil, errors.Join(err, s.Close(), ln.Close())
		}
		serve = func(ln net.Listener) error { return srv.ServeTLS(ln, "", "") }
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = serve(ln) // ends with ErrServerClosed
	}()
	s.close = sync.OnceValue(func() error {
		close(s.done)
		s.socket.CloseIdleConnections()
		err := srv.Close()
		<-served
		return errors.Join(err, s.saveError())
	})
	return s, nil
}

// secure makes a certificate for loopback that srv shows and the server's Client trusts.
func (s *Server) secure(srv *http.Server) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("gmailtest: make a key for TLS: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "gmailtest"},
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:             time.Unix(0, 0), // good at any time that a test may live in
		NotAfter:              time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("gmailtest: make a certificate for TLS: %w", err)
	}
	if s.certificate, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("gmailtest: make a certificate for TLS: %w", err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(s.certificate)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(!s.cfg.NoHTTP2)
	srv.Protocols, s.socket.Protocols = protocols, protocols
	certificates := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates}
	s.socket.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}
	return nil
}

// Certificate returns the certificate that a client has to trust, or nil where the server has none: where it
// does not listen, or without Config.TLS.
func (s *Server) Certificate() *x509.Certificate { return s.certificate }

// Connections returns how many connections the server has taken so far. In process there are none.
func (s *Server) Connections() int { return int(s.connections.Load()) }
