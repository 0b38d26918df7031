package refdevice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

// A clock is the device's: it has no battery, so it begins at the date of manufacture
// whenever the power comes, and is right once a time server has answered.
type clock struct {
	raw  func() time.Time
	made time.Time

	mu     sync.Mutex
	offset time.Duration
}

func newClock(raw func() time.Time, made time.Time) *clock {
	return &clock{raw: raw, made: made, offset: made.Sub(raw())}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw().Add(c.offset)
}

// How often the time is asked for: soon while it is unknown, then hourly.
const (
	ntpTimeout = 2 * time.Second
	ntpRetry   = time.Second
	ntpAgain   = time.Hour
)

// keep asks the time server until the context ends. It closes first after the first answer, or after three tries without one.
func (c *clock) keep(ctx context.Context, server func(context.Context) (string, error), log *slog.Logger, first chan<- struct{}) {
	var once sync.Once
	done := func() { once.Do(func() { close(first) }) }
	defer done()
	for tries := 1; ; tries++ {
		wait := ntpRetry
		address, err := server(ctx)
		if err == nil {
			err = c.ask(ctx, address)
		}
		switch {
		case err == nil:
			log.Info("clock set", "server", address)
			done()
			tries, wait = 0, ntpAgain
		case tries == 3:
			done()
			fallthrough
		default:
			log.Warn("clock not set", "error", err)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// ask sets the clock by one answer (RFC 5905).
func (c *clock) ask(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: ntpTimeout}
	r, err := ntp.QueryWithOptions(address, ntp.QueryOptions{
		Timeout:       ntpTimeout,
		GetSystemTime: c.now,
		Dialer:        func(_, remote string) (net.Conn, error) { return dialer.DialContext(ctx, "udp", remote) },
	})
	if err != nil {
		return fmt.Errorf("ask %s for the time: %w", address, err)
	}
	if err := r.Validate(); err != nil {
		return fmt.Errorf("ask %s for the time: %w", address, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw().Add(c.offset + r.ClockOffset).Before(c.made) {
		// NTP is not authenticated; a date from before the device was made would revive expired certificates.
		return errors.New("the time server's date is before the date of manufacture")
	}
	c.offset += r.ClockOffset
	return nil
}

// pause waits; false where the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
