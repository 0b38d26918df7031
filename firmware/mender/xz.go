package mender

import (
	"errors"
	"io"

	"assay/firmware/format"
	"assay/firmware/inspect/packed"
)

// An xzReader reads an xz file, all of which must be in order: artifacts are made by one tool, and
// what a lenient reader passes over would be covered by nothing.
type xzReader struct{ packed.Stream }

func newXZ(src io.Reader) xzReader { return xzReader{packed.WholeXZ(src)} }

func (x xzReader) Read(p []byte) (int, error) {
	n, err := x.Stream.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = format.Malformed("xz at offset %d: %v", x.Used(), err)
	}
	return n, err
}
