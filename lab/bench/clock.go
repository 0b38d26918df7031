package bench

import (
	"context"
	"time"
)

// Clock is the time of the machine that the bench runs on.
type Clock struct{}

// Now is the time.
func (Clock) Now() time.Time { return time.Now() }

// Wait returns after d, or earlier with the context's error.
func (Clock) Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
