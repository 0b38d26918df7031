package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Count counts the whole frames of a capture file. cut tells that it breaks off within a block, as the
// capture of a killed run may.
func Count(path string) (frames uint64, cut bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false, fmt.Errorf("count frames: %w", err)
	}
	defer func() { _ = file.Close() }()
	r, err := NewReader(file)
	if err != nil {
		return 0, false, fmt.Errorf("count frames of %s: %w", path, err)
	}
	err = r.frames(1, 0, func(Frame) bool { return true })
	switch cut = errors.Is(err, ErrCut); {
	case cut, errors.Is(err, io.EOF):
		return r.number, cut, nil
	default:
		return r.number, false, fmt.Errorf("count frames of %s: %w", path, err)
	}
}
