package reports

import (
	"errors"
	"fmt"
	"io"

	"assay/lab/capture"
	"assay/probes"
	"assay/profiles"
)

// Explain tells condition by condition how a check's given and expect came out over an observation; nothing where
// that has no facts, or none that the check can read.
func (r *Report) Explain(check string, o probes.Observation) (given, expect []profiles.Clause) {
	if r.set == nil || len(o.Facts) == 0 {
		return nil, nil
	}
	c, ok := r.set.Check(check)
	if !ok {
		return nil, nil
	}
	facts, err := r.set.Schemas[o.Probe].Decode(o.Version, o.Facts)
	if err != nil {
		return nil, nil
	}
	return c.Parts(facts)
}

// ErrNoFrame says that a capture has no such frame.
var ErrNoFrame = errors.New("there is no such frame")

// FrameBytes reads one frame of a recorded capture, as it was on the wire.
func (r *Report) FrameBytes(file string, number uint64) ([]byte, error) {
	if r.ev == nil {
		return nil, errors.New("this report was not built from a record")
	}
	in, err := r.ev.Artefact(file)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	defer in.Close()
	frames, err := capture.NewReader(in)
	for err == nil {
		var f capture.Frame
		if f, err = frames.Next(); err == nil && f.Number == number {
			return append([]byte(nil), f.Data...), nil
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, capture.ErrCut) {
		err = ErrNoFrame
	}
	return nil, fmt.Errorf("frame %d of %s: %w", number, file, err)
}
