package refdevice

import (
	"sync"
	"time"
)

// What the label's papers promise: five wrong tries lock an interface for two seconds.
const (
	lockoutAfter = 5
	lockoutLasts = 2 * time.Second
)

// A lockout counts wrong logins of one interface, whoever makes them: a counter per
// address would be worth little on a network where an address costs nothing.
type lockout struct {
	now func() time.Time
	off bool

	mu    sync.Mutex // guards the rest
	wrong int
	until time.Time
}

// remaining tells how long the interface stays locked; 0: it is open.
func (l *lockout) remaining() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.until.Sub(l.now()))
}

// record counts a login. The try that locks is still answered as a wrong one.
func (l *lockout) record(right bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if right || l.off {
		l.wrong = 0
		return
	}
	l.wrong++
	if l.wrong >= lockoutAfter {
		l.wrong, l.until = 0, l.now().Add(lockoutLasts)
	}
}
