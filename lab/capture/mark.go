package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"assay/probes"
)

// Mark names this moment. The kernel tells how many frames it has taken for us, and Mark
// returns when the last of those is in the file, so a mark counts frames exactly: it does not
// depend on how busy the reader or the disk was.
func (c *Capture) Mark(ctx context.Context) (probes.Mark, error) {
	// A frame can have left the device and still wait in a receive queue.
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return probes.Mark{}, fmt.Errorf("mark the capture on %s: %w", c.name, ctx.Err())
	}
	if err := c.running(); err != nil {
		return probes.Mark{}, err
	}
	at := c.clock.Now()
	taken, lost, err := c.source.statistics()
	if err != nil {
		return probes.Mark{}, fmt.Errorf("mark the capture on %s: %w: %w", c.name, probes.ErrNoCapture, err)
	}
	for {
		c.mu.Lock()
		written, changed := c.frames, c.changed
		c.lose(max(c.lost, lost))
		c.mu.Unlock()
		if written >= taken {
			return probes.Mark{At: at, Frame: taken, Dropped: lost}, nil
		}
		if err := c.running(); err != nil {
			return probes.Mark{}, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return probes.Mark{}, fmt.Errorf("mark the capture on %s: %d of %d frames written: %w: %w",
				c.name, written, taken, probes.ErrBench, ctx.Err())
		}
	}
}

// Sync puts what was written so far on the disk, so that whatever cites a frame outlives a power loss no
// longer than the frame does.
func (c *Capture) Sync() error {
	if err := c.running(); err != nil {
		return nil //nolint:nilerr // Close has synced it, or there is nothing more to rely on
	}
	if err := c.file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("sync the capture on %s: %w", c.name, err)
	}
	return nil
}

// running tells why the capture no longer is.
func (c *Capture) running() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failure != nil:
		return fmt.Errorf("%w: %w", probes.ErrNoCapture, c.failure)
	case c.ended:
		return fmt.Errorf("%w: the capture on %s was closed", probes.ErrNoCapture, c.name)
	}
	return nil
}

// awaitFor waits until that many frames are written, the capture ended, or the time is up.
func (c *Capture) awaitFor(limit time.Duration, frames uint64) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		c.mu.Lock()
		enough, changed := c.frames >= frames || c.ended, c.changed
		c.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		}
	}
}
