package format

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
)

// A Source is the bytes of one file, read where they are needed: an image of some
// hundred megabytes is never held in memory.
type Source struct {
	r    io.ReaderAt
	size int64
}

// NewSource makes a source of size bytes of r.
func NewSource(r io.ReaderAt, size int64) Source { return Source{r: r, size: size} }

// FromBytes makes a source of b, which must not change afterwards.
func FromBytes(b []byte) Source { return Source{r: bytes.NewReader(b), size: int64(len(b))} }

// Size is the number of bytes.
func (s Source) Size() int64 { return s.size }

// Section reads the n bytes from at; what lies outside the file is not there.
func (s Source) Section(at, n int64) *io.SectionReader {
	if s.r == nil || at < 0 || n < 0 || at > s.size {
		return io.NewSectionReader(bytes.NewReader(nil), 0, 0)
	}
	return io.NewSectionReader(s.r, at, min(n, s.size-at))
}

// Bytes returns the n bytes from at. Outside the file it is ErrMalformed, before anything is allocated.
func (s Source) Bytes(at, n int64) ([]byte, error) {
	if at < 0 || n < 0 || at > s.size || n > s.size-at {
		return nil, fmt.Errorf("%d bytes at offset %d: the file has %d: %w", n, at, s.size, ErrMalformed)
	}
	b := make([]byte, n)
	if n == 0 {
		return b, nil
	}
	if _, err := s.r.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("read %d bytes at offset %d: %w", n, at, err)
	}
	return b, nil
}

// Head returns the first n bytes, or all where there are fewer; nil where they cannot be read.
func (s Source) Head(n int64) []byte {
	b, err := s.Bytes(0, min(n, s.size))
	if err != nil {
		return nil
	}
	return b
}

// Whole returns all bytes of a file of at most limit bytes.
func (s Source) Whole(limit int64) ([]byte, error) {
	if s.size > limit {
		return nil, fmt.Errorf("%d bytes, at most %d are read of this kind of file: %w", s.size, limit, ErrMalformed)
	}
	return s.Bytes(0, s.size)
}

// An Input is what a format opens: the file itself, and what lies beside it.
type Input struct {
	Source
	Artifact *Source // of a detached signature: what was signed; nil where none was given
	Dir      fs.FS   // of a format that is a folder (TUF): its files; nil for a file
}
