package gmailtest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// A User is a Google account.
type User struct {
	// Email is the account's address. Required.
	Email string

	// Name is what the profile says. Default: the part of Email before the @.
	Name string

	// Sub identifies the user for good. Default: 21 digits that depend on Email alone, so that they stay the
	// same between runs.
	Sub string

	// HostedDomain is the Workspace domain (hd) of the account. Empty: a private account.
	HostedDomain string
}

// AddUser creates an account with an empty mailbox. Where there is one with that address or Sub already,
// it returns that one's mailbox. It panics where the address is not one.
func (s *Server) AddUser(u User) *Mailbox {
	local, domain, ok := strings.Cut(u.Email, "@")
	if !ok || local == "" || domain == "" {
		panic(fmt.Sprintf("gmailtest: AddUser: %q is not an e-mail address", u.Email))
	}
	if u.Name == "" {
		u.Name = local
	}
	if u.Sub == "" {
		u.Sub = subOf(u.Email)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.findUser(u.Email); m != nil {
		return m
	}
	if m := s.findUser(u.Sub); m != nil {
		return m
	}
	m := newMailbox(u, s.cfg.Now, s.cfg.CharsetReader)
	m.publish = s.pubsub.publish
	s.users = append(s.users, m)
	s.accounts[u.Sub], s.accounts[strings.ToLower(u.Email)] = m, m
	return m
}

// subOf returns 21 digits that depend on an e-mail address alone.
func subOf(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:8]))
}

// Mailbox returns the mailbox of the user with that e-mail address, or nil.
func (s *Server) Mailbox(email string) *Mailbox {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.findUser(email)
}

// findUser returns the mailbox that an e-mail address or a sub names, or nil. The caller holds s.mu.
func (s *Server) findUser(hint string) *Mailbox {
	if m := s.accounts[hint]; m != nil {
		return m
	}
	return s.accounts[strings.ToLower(hint)]
}

// mustUser is findUser for callers that are programs: no such user is a mistake in them.
func (s *Server) mustUser(method, email string) *Mailbox {
	m := s.findUser(email)
	if m == nil {
		panic(fmt.Sprintf("gmailtest: %s: there is no user %q; add it with AddUser", method, email))
	}
	return m
}
