package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// A Tally is what a capture file holds.
type Tally struct {
	Frames  uint64 // whole ones
	Dropped uint64 // lost by the kernel before its last counters were written
	Cut     bool   // it breaks off within a block, as the capture of a killed run may
}

// Count counts the whole frames of a capture file.
func Count(path string) (Tally, error) {
	file, err := os.Open(path)
	if err != nil {
		return Tally{}, fmt.Errorf("count frames: %w", err)
	}
	defer func() { _ = file.Close() }()
	r, err := NewReader(file)
	if err != nil {
		return Tally{}, fmt.Errorf("count frames of %s: %w", path, err)
	}
	err = r.frames(1, 0, func(Frame) bool { return true })
	t := Tally{Frames: r.number, Cut: errors.Is(err, ErrCut)}
	for _, i := range r.Interfaces() {
		t.Dropped += i.Dropped
	}
	if !t.Cut && !errors.Is(err, io.EOF) {
		return t, fmt.Errorf("count frames of %s: %w", path, err)
	}
	return t, nil
}
