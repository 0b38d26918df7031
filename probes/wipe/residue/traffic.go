package residue

import (
	"context"
	"errors"
	"fmt"

	"assay/probes"
)

// A wire is the capture around the reset. What is inside TLS cannot be seen and need not
// be: this is about what everybody on the network can read.
type wire struct {
	sniffer probes.Sniffer
	torn    bool // nothing is captured, or no longer
	from    probes.Mark
	chatty  bool         // it sends marks in clear anyhow
	gone    *probes.Mark // first seen to be away after the reset was asked for
}

// listen marks the moment before anything is planted.
func (h *hunt) listen(ctx context.Context) (*wire, error) {
	w := &wire{sniffer: h.bench.Sniffer, torn: h.bench.Sniffer == nil}
	var err error
	w.from, err = w.mark(ctx)
	return w, err
}

// mark names this moment in the capture.
func (w *wire) mark(ctx context.Context) (probes.Mark, error) {
	if w.torn {
		return probes.Mark{}, nil
	}
	m, err := w.sniffer.Mark(ctx)
	if w.torn = errors.Is(err, probes.ErrNoCapture); w.torn {
		return probes.Mark{}, nil
	}
	if err != nil {
		return m, fmt.Errorf("mark the capture: %w", err)
	}
	return m, nil
}

// around does the reset, and decides from where on a mark in clear is residue. A device may
// restart before its reset operation returns, with a button in the middle of the hold, and what it
// says then (its DHCP host name, say: RFC 2132 3.14) is said after the reset. So the time of the
// operation counts too, but not for a device that was already sending its user's data in clear: the operation
// may return before the reset begins, and on its way down such a device says once more who it was (the goodbye
// of RFC 6762 10.1). What that one sends counts once it has been seen to be away.
func (w *wire) around(ctx context.Context, h *hunt, f *Facts, reset func() error) error {
	before, err := w.mark(ctx)
	if err != nil {
		return err
	}
	if f.TrafficSeenBefore, _, err = w.search(ctx, h, w.from, before); err != nil {
		return err
	}
	if err := reset(); err != nil {
		return err
	}
	after, err := w.mark(ctx)
	w.from = before
	if w.chatty = f.TrafficSeenBefore; w.chatty {
		w.from = after
	}
	return err
}

// away notes that the device does not answer.
func (w *wire) away(ctx context.Context) error {
	if w.gone != nil || !w.chatty {
		return nil
	}
	m, err := w.mark(ctx)
	w.gone = &m
	return err
}

// since searches what the device sent since the reset.
func (w *wire) since(ctx context.Context, h *hunt, f *Facts) error {
	to, err := w.mark(ctx)
	if err != nil {
		return err
	}
	sure := w.from
	if w.gone != nil {
		sure = *w.gone
	}
	found, window, err := w.search(ctx, h, sure, to)
	if err != nil {
		return err
	}
	f.TrafficFound, f.TrafficComplete, f.TrafficFrames = found, window.Complete, window.Sent
	switch {
	case !w.chatty:
	case w.gone == nil:
		f.TrafficFound, f.TrafficUnclear = false, found
	case !found:
		f.TrafficUnclear, _, err = w.search(ctx, h, w.from, sure)
	}
	return err
}

func (w *wire) search(ctx context.Context, h *hunt, from, to probes.Mark) (found bool, window probes.Window, err error) {
	if w.torn {
		return false, window, nil
	}
	window, err = w.sniffer.Window(ctx, from, to)
	if w.torn = errors.Is(err, probes.ErrNoCapture); w.torn {
		return false, probes.Window{}, nil
	}
	if err != nil {
		return false, window, fmt.Errorf("read the capture: %w", err)
	}
	if window.Payloads == nil {
		return false, window, nil
	}
	for payload := range window.Payloads {
		if err := ctx.Err(); err != nil {
			return false, window, fmt.Errorf("search the capture: %w", err)
		}
		if h.in(payload) {
			return true, window, nil
		}
	}
	return false, window, nil
}
