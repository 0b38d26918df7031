package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Block types and the byte-order magic of pcapng (draft-ietf-opsawg-pcapng sections 4.1, 4.3, 4.4 and A.1).
const (
	blockSection  = 0x0a0d0d0a
	blockPacket   = 2 // obsolete, still read by everybody
	blockSimple   = 3
	blockEnhanced = 6
	pcapngMagic   = 0x1a2b3c4d
	lenBlock      = 12
)

// A frameCounter counts the frames of a pcapng file that is written to it. It looks at nothing but the
// blocks' frames, so that no byte of a device can mislead it, and it never fails a write.
type frameCounter struct {
	frames uint64
	head   [lenBlock]byte
	have   int
	skip   uint32
	packet bool // the block under way is a frame
	order  binary.ByteOrder
	err    error
}

func (c *frameCounter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && c.err == nil {
		if c.skip > 0 {
			k := min(int(c.skip), len(p))
			c.skip, p = c.skip-uint32(k), p[k:]
			continue
		}
		k := copy(c.head[c.have:], p)
		c.have, p = c.have+k, p[k:]
		if c.have == lenBlock {
			c.have, c.err = 0, c.block()
		}
	}
	return n, nil
}

// block reads the first twelve bytes of a block.
func (c *frameCounter) block() error {
	typ := binary.LittleEndian.Uint32(c.head[:])
	if typ == blockSection { // the same in both orders
		switch uint32(pcapngMagic) {
		case binary.LittleEndian.Uint32(c.head[8:]):
			c.order = binary.LittleEndian
		case binary.BigEndian.Uint32(c.head[8:]):
			c.order = binary.BigEndian
		default:
			return errors.New("a section without a byte-order magic")
		}
	}
	if c.order == nil {
		return errors.New("it does not begin as a pcapng file does")
	}
	length := c.order.Uint32(c.head[4:])
	if length < lenBlock || length%4 != 0 {
		return fmt.Errorf("a block of %d bytes", length)
	}
	c.skip, c.packet = length-lenBlock, false
	switch c.order.Uint32(c.head[:]) {
	case blockPacket, blockSimple, blockEnhanced:
		c.packet = true
		c.frames++
	}
	return nil
}

// check compares the count with what the journal says; cut: that the last block is not whole, too.
func (c *frameCounter) check(a Artefact, want uint64, cut bool) error {
	frames := c.frames
	if c.skip > 0 && c.packet {
		frames-- // the last one is not whole
	}
	switch {
	case c.err != nil:
		return broken(layerComplete, a.entry(), "%s is no capture that can be read: %v", a.Name, c.err)
	case !cut && (c.skip > 0 || c.have > 0):
		return broken(layerComplete, a.entry(), "%s ends inside a block", a.Name)
	case frames != want:
		return broken(layerComplete, a.entry(), "%s has %d frames, the journal says %d", a.Name, frames, want)
	}
	return nil
}

// cut tells whether a file is the last one of a capture that a killed run left in the middle of a block.
func (e *Evidence) cut(name string) bool {
	return slices.ContainsFunc(e.Records, func(r Record) bool {
		if r.Kind != KindCapture {
			return false
		}
		c, err := decodeBody[Capture](r)
		if n := len(c.Parts); n > 0 {
			c.File = c.Parts[n-1].File
		}
		return err == nil && c.Cut && c.File == name
	})
}

// A frameCheck counts an artefact's frames where the journal says how many there are.
type frameCheck struct {
	frameCounter
	want map[string]uint64 // by the names that it has
	cut  func(name string) bool
}

// frameCheck is nil where nothing is to be counted.
func (e *Evidence) frameCheck(a Artefact, counts map[string]uint64) *frameCheck {
	want := map[string]uint64{}
	for _, other := range e.Artefacts {
		if n, ok := counts[other.Name]; ok && other.SHA256 == a.SHA256 {
			want[other.Name] = n
		}
	}
	if len(want) == 0 {
		return nil
	}
	return &frameCheck{want: want, cut: e.cut}
}

// beside lets w see what goes to a counter, too.
func (f *frameCheck) beside(w io.Writer) io.Writer {
	if f == nil {
		return w
	}
	return io.MultiWriter(w, f)
}

func (f *frameCheck) result(a Artefact) error {
	if f == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(f.want)) {
		a.Name = name
		if err := f.check(a, f.want[name], f.cut(name)); err != nil {
			return err
		}
	}
	return nil
}
