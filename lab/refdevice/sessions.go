package refdevice

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	maxSessions  = 16
	sessionLasts = 15 * time.Minute
)

// sessions are the logins over HTTPS that are still good. They live in RAM: a restart ends them.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex
	open []session // oldest first
}

// A session is known by the digest of its token, so that comparing leaks nothing of it.
type session struct {
	digest  [sha256.Size]byte
	expires time.Time
}

// start returns a new token; where there are too many, the oldest session ends.
func (s *sessions) start() string {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxSessions {
		s.open = s.open[1:]
	}
	s.open = append(s.open, session{sha256.Sum256([]byte(token)), s.now().Add(sessionLasts)})
	return token
}

// valid tells whether a token belongs to an open session.
func (s *sessions) valid(token string) bool {
	digest := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.open {
		if o.digest == digest {
			return s.now().Before(o.expires)
		}
	}
	return false
}
