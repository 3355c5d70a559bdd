package revocation

import (
	"sync"
	"time"

	"larder/internal/id"
)

// The kinds of value that can be revoked.
const (
	JTI     = "jti"
	Grant   = "grant_id"
	APIKey  = "api_key"
	Client  = "client_id"
	Session = "sid"
	Subject = "sub"
)

// Withdrawn is the kind of what a person took back from a client, valued by
// WithdrawnOf. It concerns codes and approvals that made no grant yet, which the
// database judges: it is in no Set.
const Withdrawn = "withdrawn"

// WithdrawnOf is the value of a withdrawal.
func WithdrawnOf(user id.ID, clientID string) string { return user.String() + " " + clientID }

// Entry says that credentials carrying Value under Kind and issued up to
// RevokedAt are dead. After ExpiresAt none of them lives anyway and the entry
// may be forgotten.
type Entry struct {
	Kind      string    `json:"kind"`
	Value     string    `json:"value"`
	RevokedAt time.Time `json:"revoked_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

type name struct{ kind, value string }

// Set holds the entries in force; its zero value is ready for use.
type Set struct {
	mu      sync.RWMutex
	entries map[name]Entry
	swept   time.Time
}

// Add takes entries in; of two with the same name the later revocation holds.
// Expired entries leave as new ones come.
func (s *Set) Add(now time.Time, entries ...Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[name]Entry)
	}
	for _, e := range entries {
		k := name{e.Kind, e.Value}
		if old, ok := s.entries[k]; !ok || old.RevokedAt.Before(e.RevokedAt) {
			s.entries[k] = e
		}
	}
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	for k, e := range s.entries {
		if e.ExpiresAt.Before(now) {
			delete(s.entries, k)
		}
	}
}

// Revoked reports whether a credential with this value, issued at issuedAt, is
// dead. issuedAt has the whole seconds of an iat claim, so a token issued in
// the very second of the revocation counts as issued before it.
func (s *Set) Revoked(kind, value string, issuedAt time.Time) bool {
	if value == "" {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.entries[name{kind, value}]
	return ok && !issuedAt.After(e.RevokedAt)
}

// Since returns the entries revoked after t, in no order.
func (s *Set) Since(t time.Time) []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	entries := make([]Entry, 0, min(len(s.entries), 64))
	for _, e := range s.entries {
		if e.RevokedAt.After(t) {
			entries = append(entries, e)
		}
	}
	return entries
}
