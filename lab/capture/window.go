package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sort"

	"assay/probes"
)

// Window returns what was seen of the device between two marks of this capture. It reads the
// frames back from the file, so what it tells is what the evidence holds.
func (c *Capture) Window(ctx context.Context, from, to probes.Mark) (probes.Window, error) {
	c.mu.Lock()
	device := bytes.Clone(c.device)
	c.mu.Unlock()
	return c.WindowOf(ctx, from, to, device)
}

// Of is this capture as the sniffer of another device on the same link.
func (c *Capture) Of(device net.HardwareAddr) probes.Sniffer {
	return &another{c, bytes.Clone(device)}
}

// another is a device that shares a capture with the one it was made for.
type another struct {
	*Capture
	device net.HardwareAddr
}

// Window returns what was seen of this device.
func (a *another) Window(ctx context.Context, from, to probes.Mark) (probes.Window, error) {
	return a.WindowOf(ctx, from, to, a.device)
}

// WindowOf returns what was seen of another device than the one under test.
func (c *Capture) WindowOf(ctx context.Context, from, to probes.Mark, device net.HardwareAddr) (probes.Window, error) {
	c.mu.Lock()
	written := c.frames
	at := sort.Search(len(c.places), func(i int) bool { return c.places[i].frame > from.Frame })
	start, parts := c.places[at-1], slices.Clone(c.parts) // the first place is frame 0
	c.mu.Unlock()
	if from.Frame > to.Frame || from.Dropped > to.Dropped || from.At.After(to.At) || to.Frame > written {
		return probes.Window{}, fmt.Errorf("window of frames %d to %d of %d: %w: not two marks of this capture in order",
			from.Frame, to.Frame, written, probes.ErrBench)
	}
	w := probes.Window{Frames: to.Frame - from.Frame, Dropped: to.Dropped - from.Dropped}
	w.Payloads = func(yield func([]byte) bool) {
		// Whether all of it can be read, Window has found out before.
		_ = sent(parts, start, from.Frame+1, to.Frame, device, yield)
	}
	if w.Frames == 0 {
		w.Payloads = func(func([]byte) bool) {}
		w.Complete = w.Dropped == 0
		return w, nil
	}
	var seen uint64
	whole := true
	err := span(parts, start, from.Frame+1, to.Frame, func(f Frame) bool {
		seen++
		if isFrom(f, device) {
			w.Sent++
		}
		// A frame that was cut may have held what the window says was not there.
		whole = whole && len(f.Data) >= f.Original
		return ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return probes.Window{}, fmt.Errorf("read the window of frames %d to %d: %w", from.Frame+1, to.Frame, ctx.Err())
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) {
		return probes.Window{}, fmt.Errorf("read the window of frames %d to %d: %w: %w", from.Frame+1, to.Frame, probes.ErrBench, err)
	}
	w.Complete = w.Dropped == 0 && whole && seen == w.Frames
	return w, nil
}

// isFrom tells whether the device sent a frame: by its address, or by direction while that is unknown.
func isFrom(f Frame, device net.HardwareAddr) bool {
	if len(device) == 0 {
		return !f.Outbound
	}
	return len(f.Data) >= 12 && bytes.Equal(f.Data[6:12], device)
}

// sent yields what a device sent in the frames first to last: each UDP payload, each TCP stream
// in order, every other frame whole. Long streams come in pieces that overlap by overlapBytes.
func sent(parts []volume, from place, first, last uint64, device net.HardwareAddr, yield func([]byte) bool) error {
	u := newUnpacker(yield)
	err := span(parts, from, first, last, func(f Frame) bool {
		if isFrom(f, device) {
			u.frame(f)
		}
		return !u.stopped
	})
	u.flush()
	return err
}
