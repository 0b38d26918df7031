package capture

import (
	"errors"
	"fmt"
	"io"
)

// write moves batches into the file, one system call each: what a process wrote
// survives its own death, so there is nothing else to flush.
func (c *Capture) write() {
	defer close(c.done)
	for b := range c.queue {
		if len(b.bytes) > 0 {
			c.put(b)
		}
		c.free <- b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.tell()
}

// placeEvery is the least distance of the places remembered for reading back.
const placeEvery = 1024

func (c *Capture) put(b *batch) {
	c.mu.Lock()
	refused := c.refused
	c.mu.Unlock()
	var err error
	if !refused {
		_, err = c.file.Write(b.bytes)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.tell()
	if refused || err != nil {
		c.unwritten += b.frames
		c.losses = addLoss(c.losses, c.looked, c.clock.Now().UTC(), b.frames)
		if err != nil {
			// Cut the half-written block off: the file stays readable to its end.
			_ = c.file.Truncate(c.offset)
			_, _ = c.file.Seek(c.offset, io.SeekStart)
			c.failure = fmt.Errorf("write the capture file: %w", err)
			c.ended, c.refused = true, true
			c.source.stop()
		}
		return
	}
	c.frames += b.frames
	c.offset += int64(len(b.bytes))
	now := &c.parts[len(c.parts)-1]
	now.secrets = now.secrets || b.secrets
	if c.due(now) {
		c.rotate()
		return
	}
	if c.frames-c.places[len(c.places)-1].frame >= placeEvery {
		c.places = append(c.places, place{len(c.parts) - 1, c.frames, c.offset})
	}
}

// counters are what the statistics block tells, of the capture from its beginning on. The mutex is held.
func (c *Capture) counters() statistics {
	return statistics{
		nanoseconds: uint64(c.clock.Now().UnixNano()), written: c.frames, unwritten: c.unwritten, lost: c.lost,
	}
}

// Close takes what the kernel still holds, writes the closing statistics and ends the capture.
// It returns why the capture stopped early, if it did. A second Close returns the same.
func (c *Capture) Close() error {
	c.once.Do(func() { c.closed = c.finish() })
	return c.closed
}

func (c *Capture) finish() error {
	c.mu.Lock()
	release := c.release
	c.mu.Unlock()
	release()
	if taken, _, err := c.source.statistics(); err == nil {
		c.awaitFor(drain, taken)
	}
	c.source.stop()
	<-c.done
	c.settling.Wait()
	c.count()
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	if c.failure != nil {
		errs = append(errs, c.failure)
	}
	block := appendStatistics(nil, c.counters(), c.comments)
	if c.secrets != nil {
		block = append(appendSecrets(nil, c.secrets), block...)
		c.secrets, c.parts[len(c.parts)-1].secrets = nil, true
	}
	if _, err := c.file.Write(block); err != nil {
		_ = c.file.Truncate(c.offset)
		errs = append(errs, fmt.Errorf("write the capture's statistics: %w", err))
	} else {
		c.offset += int64(len(block))
	}
	if err := c.file.Sync(); err != nil {
		errs = append(errs, fmt.Errorf("sync the capture file: %w", err))
	}
	if err := c.file.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close the capture file: %w", err))
	}
	errs = append(errs, c.unsettled)
	if c.known > 0 {
		errs = append(errs, c.headSecrets())
	}
	if err := c.source.close(); err != nil {
		errs = append(errs, fmt.Errorf("close the capture's socket: %w", err))
	}
	return errors.Join(errs...)
}
