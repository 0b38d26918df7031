package capture

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// A volume is one file of a capture.
type volume struct {
	path    string
	before  uint64 // frames in the files before it
	began   time.Time
	secrets bool
}

// A Volume is one file of a capture.
type Volume struct {
	Path   string
	Frames uint64 // in it; the frames of a capture are numbered through all of its files
}

// Volumes lists the capture's files so far, in order. The first is that of Options.Path; the next ones are
// numbered: run.pcapng, run.00002.pcapng.
func (c *Capture) Volumes() []Volume {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Volume
	for i, p := range c.parts {
		end := c.frames
		if i+1 < len(c.parts) {
			end = c.parts[i+1].before
		}
		out = append(out, Volume{p.path, end - p.before})
	}
	return out
}

// due tells whether a file has had its size or its time. The mutex is held.
func (c *Capture) due(now *volume) bool {
	if c.frames == now.before {
		return false // no file without a frame
	}
	o := c.options
	return o.RotateBytes > 0 && c.offset >= o.RotateBytes || o.RotateEvery > 0 && c.clock.Now().Sub(now.began) >= o.RotateEvery
}

// rotate goes on in a next file. Where that cannot be made, the one at hand goes on: frames come first. The mutex
// is held; only the write loop comes here.
func (c *Capture) rotate() {
	ending := filepath.Ext(c.options.Path)
	path := fmt.Sprintf("%s.%05d%s", strings.TrimSuffix(c.options.Path, ending), len(c.parts)+1, ending)
	next, head, err := createAt(path, c.options, fmt.Sprintf("goes on with %s after its frame %d", filepath.Base(c.options.Path), c.frames))
	if err != nil {
		c.unsettled = fmt.Errorf("go on in a next file: %w", err)
		c.options.RotateBytes, c.options.RotateEvery = 0, 0
		return
	}
	last, offset, counters := c.file, c.offset, c.counters()
	c.settling.Add(1)
	go func() { // a disk may take its time: the ring does not wait for it
		defer c.settling.Done()
		_, err := last.Write(appendStatistics(nil, counters, nil))
		if err != nil {
			_ = last.Truncate(offset)
		}
		if err = errors.Join(err, last.Sync(), last.Close()); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.unsettled = errors.Join(c.unsettled, fmt.Errorf("leave a capture file behind: %w", err))
		}
	}()
	c.file, c.offset = next, head
	c.parts = append(c.parts, volume{path: path, before: c.frames, began: c.clock.Now()})
	c.places = append(c.places, place{len(c.parts) - 1, c.frames, head})
}

// headSecrets moves the secrets of each file to its head, and gives every file those of all the others: a
// connection may go on through several. What was remembered of the files' order no longer
// holds then, but where each begins. The mutex is held, and everything is written.
func (c *Capture) headSecrets() (err error) {
	c.places = nil
	for i, p := range c.parts {
		if len(c.parts) > 1 {
			err = errors.Join(err, replaceSecrets(p.path, c.keyLog))
		} else if p.secrets {
			err = errors.Join(err, MoveSecrets(p.path, nil))
		}
		c.places = append(c.places, place{part: i, frame: p.before})
	}
	return err
}

// span reads the frames first to last, from a place on and through as many files as they lie in.
func span(parts []volume, from place, first, last uint64, yield func(Frame) bool) error {
	stopped := false
	for i := from.part; i < len(parts); i++ {
		if i > from.part {
			if from = (place{part: i, frame: parts[i].before}); from.frame >= last {
				return nil
			}
		}
		err := each(parts[i].path, from, first, last, func(f Frame) bool {
			stopped = !yield(f)
			return !stopped
		})
		if stopped || err == nil || i == len(parts)-1 || !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) {
			return err
		}
	}
	return nil
}
