package gmailtest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stateFile is what Config.StateFile holds. Codes and open consent pages end with the run.
type stateFile struct {
	SigningKey         []byte   `json:"signing_key,omitempty"` // PKCS #8
	PreviousSigningKey []byte   `json:"previous_signing_key,omitempty"`
	Grants             []*grant `json:"grants"`
}

// load reads the state file, where there is one.
func (s *Server) load() error {
	path := s.cfg.StateFile
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("gmailtest: read the state file: %w", err)
	}
	var state stateFile
	if err := json.Unmarshal(data, &state); err != nil {
		return fmt.Errorf("gmailtest: the state file %s is damaged, delete it to start anew: %w", path, err)
	}
	if s.keys.current, err = parseKey(state.SigningKey); err == nil {
		s.keys.previous, err = parseKey(state.PreviousSigningKey)
	}
	if err != nil {
		return fmt.Errorf("gmailtest: the key in the state file %s is damaged, delete it to start anew: %w", path, err)
	}
	for _, g := range state.Grants {
		s.oauth.grants[g.key()] = g
		for _, t := range g.Refresh {
			t.grant = g
			s.oauth.refresh[t.Value] = t
		}
		for _, t := range g.Access {
			t.grant = g
			s.oauth.access[t.Value] = t
		}
	}
	return nil
}

// save writes the state file and swaps it in. The caller holds s.mu.
func (s *Server) save() error {
	if s.cfg.StateFile == "" {
		return nil
	}
	err := s.writeState()
	if err != nil {
		err = fmt.Errorf("gmailtest: write the state file: %w", err)
		if s.oauth.saveErr == nil {
			s.oauth.saveErr = err
		}
	}
	return err
}

func (s *Server) saveError() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.oauth.saveErr
}

func (s *Server) writeState() (err error) {
	current, previous, err := s.keys.get()
	if err != nil {
		return err
	}
	state := stateFile{Grants: s.oauth.sorted()}
	if state.SigningKey, err = x509.MarshalPKCS8PrivateKey(current); err != nil {
		return err
	}
	if previous != nil {
		if state.PreviousSigningKey, err = x509.MarshalPKCS8PrivateKey(previous); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.cfg.StateFile), ".gmailtest-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.cfg.StateFile)
}

func parseKey(der []byte) (*rsa.PrivateKey, error) {
	if len(der) == 0 {
		return nil, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not RSA", key)
	}
	return private, nil
}
