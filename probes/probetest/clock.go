package probetest

import (
	"context"
	"sync"
	"time"
)

// A Clock is a bench's time that passes only when somebody waits or works.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the bench's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wait lets d pass at once.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.pass(d)
	return nil
}

func (c *Clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(max(d, 0))
}
