package reports

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"assay/lab"
	"assay/lab/capture"
	"assay/lab/evidence"
	"assay/probes"
)

// ErrNoFrame says that a capture has no such frame.
var ErrNoFrame = errors.New("there is no such frame")

// A stretch is frames of one file of a capture; before counts those in the files before it.
type stretch struct {
	file                string
	before, first, last uint64
}

// capture finds what is recorded of a capture by the name of its first file.
func (r *Report) capture(file string) lab.Captured {
	for _, c := range r.captures {
		if c.File == file {
			return c
		}
	}
	return lab.Captured{Capture: evidence.Capture{File: file}}
}

// stretches tells in which files the frames first to last of a capture are: their numbers go on through all files.
func (r *Report) stretches(file string, first, last uint64) []stretch {
	c := r.capture(file)
	if len(c.Parts) == 0 {
		return []stretch{{file, 0, first, last}}
	}
	var out []stretch
	before := uint64(0)
	for _, p := range c.Parts {
		if from, to := max(first, before+1), min(last, before+p.Frames); from <= to {
			out = append(out, stretch{p.File, before, from - before, to - before})
		}
		before += p.Frames
	}
	return out
}

// Frame tells where in the capture an observation can be seen, and what of it was lost; empty where it cannot.
func (r *Report) Frame(observation string) string {
	for _, o := range r.Observations {
		if o.ID == observation && o.Frames != nil {
			return r.Cited(o)
		}
	}
	return ""
}

// Cited is Frame of an observation that cites frames.
func (r *Report) Cited(o probes.Observation) string {
	f := o.Frames
	s := fmt.Sprintf("frames %d to %d of %s", f.First, f.Last, f.File)
	if f.Last < f.First {
		s = "no frame of " + f.File
	}
	if len(r.capture(f.File).Parts) > 0 {
		var in []string
		for _, part := range r.stretches(f.File, f.First, f.Last) {
			in = append(in, fmt.Sprintf("%d to %d of %s", part.first, part.last, part.file))
		}
		if len(in) > 0 {
			s += " (by file: " + strings.Join(in, ", ") + ")"
		}
	}
	if f.Dropped > 0 {
		s += fmt.Sprintf(", %d lost", f.Dropped)
		if when := seconds(r.capture(f.File).Losses.Within(o.Start, o.End)); when != "" {
			s += " at " + when
		}
	}
	return s
}

// maxSeconds bounds how many seconds of loss are named in a line.
const maxSeconds = 8

func seconds(lost []capture.Loss) string {
	var out []string
	for i, l := range lost {
		if i == maxSeconds {
			out = append(out, fmt.Sprintf("%d more", len(lost)-i))
			break
		}
		at := l.Second.UTC().Format("15:04:05")
		if l.Seconds > 1 {
			at += "-" + l.Second.UTC().Add(time.Duration(l.Seconds-1)*time.Second).Format("15:04:05")
		}
		out = append(out, at)
	}
	return strings.Join(out, ", ")
}

// Packets decodes the first frames of an observation from the recorded capture.
func (r *Report) Packets(o probes.Observation, most int) ([]capture.Line, error) {
	switch {
	case o.Frames == nil || o.Frames.Last < o.Frames.First:
		return nil, nil
	case r.ev == nil:
		return nil, errors.New("this report was not built from a record")
	}
	var lines []capture.Line
	for _, part := range r.stretches(o.Frames.File, o.Frames.First, o.Frames.Last) {
		some, err := r.describe(part, most-len(lines))
		lines = append(lines, some...)
		if err != nil || most > 0 && len(lines) >= most {
			return lines, err
		}
	}
	return lines, nil
}

func (r *Report) describe(part stretch, most int) ([]capture.Line, error) {
	file, err := r.ev.Artefact(part.file)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	defer file.Close()
	lines, err := capture.DescribeFrom(file, part.first, part.last, most)
	for i := range lines {
		lines[i].Frame += part.before
	}
	return lines, err
}

// FrameBytes reads one frame of a recorded capture, as it was on the wire.
func (r *Report) FrameBytes(file string, number uint64) ([]byte, error) {
	if r.ev == nil {
		return nil, errors.New("this report was not built from a record")
	}
	in := r.stretches(file, number, number)
	if len(in) == 0 {
		return nil, fmt.Errorf("frame %d of %s: %w", number, file, ErrNoFrame)
	}
	b, err := r.frameBytes(in[0])
	if err != nil {
		return nil, fmt.Errorf("frame %d of %s: %w", number, file, err)
	}
	return b, nil
}

func (r *Report) frameBytes(at stretch) ([]byte, error) {
	in, err := r.ev.Artefact(at.file)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	defer in.Close()
	frames, err := capture.NewReader(in)
	for err == nil {
		var f capture.Frame
		if f, err = frames.Next(); err == nil && f.Number == at.first {
			return append([]byte(nil), f.Data...), nil
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, capture.ErrCut) {
		err = ErrNoFrame
	}
	return nil, err
}
