package capture

import (
	"fmt"
	"io"
	"os"
)

// each reads the frames first to last of a file; last 0 is the file's end. from, if given, is a
// place of this file to start at. It stops without an error where yield says no.
func each(path string, from place, first, last uint64, yield func(Frame) bool) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the capture: %w", err)
	}
	defer func() { _ = file.Close() }()
	r, err := NewReader(file)
	if err != nil {
		return err
	}
	if from.offset > 0 {
		if err := r.jump(file, from); err != nil {
			return err
		}
	}
	r.number = from.frame
	return r.frames(first, last, yield)
}

// frames yields the frames first to last, 0 for all that follow, of what is left to read.
func (r *Reader) frames(first, last uint64, yield func(Frame) bool) error {
	for last == 0 || r.number < last {
		f, err := r.Next()
		if err != nil {
			return err
		}
		if f.Number >= first && !yield(f) {
			return nil
		}
	}
	return nil
}

// jump goes on at a place that our own writer remembered: one section, one interface, before everything else.
func (r *Reader) jump(file io.ReadSeeker, to place) error {
	kind, body, err := r.nextBlock()
	if err != nil {
		return err
	}
	if kind != blockInterface {
		return r.fault(fmt.Errorf("block %d where the interface is described", kind))
	}
	if err := r.addLink(body); err != nil {
		return r.fault(err)
	}
	if _, err := file.Seek(to.offset, io.SeekStart); err != nil {
		return r.fault(err)
	}
	r.in.Reset(file)
	r.number, r.offset = to.frame, to.offset
	return nil
}
