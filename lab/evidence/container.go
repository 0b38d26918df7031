package evidence

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Bounds for what a bundle may make its reader hold in memory.
const (
	maxEntries = 1 << 20
	maxTree    = 512 << 20
	maxSeal    = 32 << 20
)

// A container is a bundle whose headers were all read and found to be the only ones
// its entries can have. What the entries hold is not checked yet.
type container struct {
	r       io.ReaderAt
	entries []entry
	index   map[string]int
	tail    uint64 // where the central directory begins
}

// readContainer reads a bundle's headers from the front, so that nothing a central
// directory claims is ever believed, and compares the rest with what must follow.
func readContainer(r io.ReaderAt, size int64) (*container, error) {
	c := &container{r: r, index: map[string]int{}}
	var at uint64
	for at+4 <= uint64(size) {
		sig := make([]byte, 4)
		if err := readAt(r, sig, at); err != nil {
			return nil, err
		}
		if binary.LittleEndian.Uint32(sig) != sigLocal {
			break
		}
		e, err := readLocal(r, at, uint64(size))
		if err != nil {
			return nil, err
		}
		if len(c.entries) == maxEntries {
			return nil, broken(layerContainer, "central directory", "more than %d entries", maxEntries)
		}
		c.index[e.name] = len(c.entries)
		c.entries = append(c.entries, e)
		at = e.next()
	}
	c.tail = at
	if err := c.checkTail(uint64(size)); err != nil {
		return nil, err
	}
	return c, checkOrder(c.entries)
}

// readLocal reads one local header and demands that it is the one we would write.
func readLocal(r io.ReaderAt, at, size uint64) (entry, error) {
	where := fmt.Sprintf("header at byte %d", at)
	fixed := make([]byte, lenLocal)
	if at+lenLocal > size {
		return entry{}, broken(layerContainer, where, "the file ends inside it")
	}
	if err := readAt(r, fixed, at); err != nil {
		return entry{}, err
	}
	names := uint64(binary.LittleEndian.Uint16(fixed[26:]))
	extra := uint64(binary.LittleEndian.Uint16(fixed[28:]))
	length := lenLocal + names + extra
	if at+length > size {
		return entry{}, broken(layerContainer, where, "the file ends inside it")
	}
	header := make([]byte, length)
	if err := readAt(r, header, at); err != nil {
		return entry{}, err
	}
	e := entry{
		name:   string(header[lenLocal : lenLocal+names]),
		crc:    binary.LittleEndian.Uint32(header[14:]),
		size:   uint64(binary.LittleEndian.Uint32(header[18:])),
		offset: at,
	}
	if e.size == max32 && extra == 20 {
		e.size = binary.LittleEndian.Uint64(header[lenLocal+names+4:])
	}
	if !bytes.Equal(e.local(), header) {
		return entry{}, broken(layerContainer, where, "not the only form of a header for %s", printable(e.name))
	}
	if e.rank() == 0 {
		return entry{}, broken(layerContainer, where, "%s is no name that a bundle has", printable(e.name))
	}
	if e.size > size || e.next() > size {
		return entry{}, broken(layerContainer, printable(e.name), "the file ends inside it")
	}
	return e, nil
}

// checkTail compares everything behind the last entry with what the entries demand.
func (c *container) checkTail(size uint64) error {
	at := c.tail
	compare := func(want []byte, where string) error {
		got := make([]byte, min(uint64(len(want)), size-at))
		if err := readAt(c.r, got, at); err != nil {
			return err
		}
		switch {
		case len(c.entries) == 0:
			return broken(layerContainer, mimeName, "the file does not begin with it: this is no sealed run")
		case len(got) < len(want) && bytes.HasPrefix(want, got):
			return broken(layerContainer, where, "the file ends inside it")
		case !bytes.Equal(got, want):
			return broken(layerContainer, where, "does not follow from the entries")
		}
		at += uint64(len(want))
		return nil
	}
	for _, e := range c.entries {
		if err := compare(e.central(), "central directory, "+printable(e.name)); err != nil {
			return err
		}
	}
	if err := compare(ending(uint64(len(c.entries)), c.tail, at-c.tail), "end of central directory"); err != nil {
		return err
	}
	if at != size {
		return broken(layerContainer, "end of central directory", "%d bytes follow it", size-at)
	}
	return nil
}

// readAt fills p. The size was asked before, so an early end means the file shrinks under us.
func readAt(r io.ReaderAt, p []byte, at uint64) error {
	n, err := r.ReadAt(p, int64(at))
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return broken(layerContainer, fmt.Sprintf("byte %d", at+uint64(n)), "the file ends here")
	}
	return fmt.Errorf("read bundle: %w", err)
}

// find returns an entry by name.
func (c *container) find(name string) (entry, bool) {
	i, ok := c.index[name]
	if !ok {
		return entry{}, false
	}
	return c.entries[i], true
}

// small reads an entry that is held in memory, and checks its CRC-32 only when asked
// to: where the content can be checked better, the better check names what broke.
func (c *container) small(name string, bound uint64) ([]byte, entry, error) {
	e, ok := c.find(name)
	if !ok {
		return nil, e, broken(layerContainer, name, "is missing")
	}
	if e.size > bound {
		return nil, e, broken(layerContainer, name, "%d bytes, more than %d", e.size, bound)
	}
	b := make([]byte, e.size)
	return b, e, readAt(c.r, b, e.data())
}

// optional is small for an entry that need not be there: nil where it is not.
func (c *container) optional(name string, bound uint64) ([]byte, entry, error) {
	if _, ok := c.find(name); !ok {
		return nil, entry{}, nil
	}
	return c.small(name, bound)
}

// checkSum compares an entry's CRC-32 with the bytes that were read of it.
func (e entry) checkSum(b []byte) error {
	if crc32.ChecksumIEEE(b) != e.crc {
		return broken(layerContainer, e.name, "its CRC-32 is another one")
	}
	return nil
}

// writer writes a bundle to a file in its only form.
type writer struct {
	f       *os.File
	at      uint64
	entries []entry
	buffer  []byte
}

// bytes adds an entry that is in memory.
func (w *writer) bytes(name string, b []byte) error {
	e := entry{name: name, crc: crc32.ChecksumIEEE(b), size: uint64(len(b)), offset: w.at}
	if _, err := w.f.Write(e.local()); err != nil {
		return err
	}
	if _, err := w.f.Write(b); err != nil {
		return err
	}
	w.at, w.entries = e.next(), append(w.entries, e)
	return nil
}

// copy adds an entry of another bundle.
func (w *writer) copy(e entry, r io.Reader) error {
	e.offset = w.at
	if _, err := w.f.Write(e.local()); err != nil {
		return err
	}
	if w.buffer == nil {
		w.buffer = make([]byte, copyBuffer)
	}
	if _, err := io.CopyBuffer(onlyWriter{w.f}, r, w.buffer); err != nil {
		return err
	}
	w.at, w.entries = e.next(), append(w.entries, e)
	return nil
}

// file adds an artefact's file in one pass: its header is written again once the
// CRC-32 is known. It returns the file's leaf.
func (w *writer) file(ctx context.Context, a Artefact, r io.Reader) (digest, error) {
	e := entry{name: a.entry(), size: uint64(a.Size), offset: w.at}
	if _, err := w.f.Write(e.local()); err != nil {
		return digest{}, err
	}
	m := newMeter()
	from := io.LimitReader(&stoppable{ctx, r}, a.Size+1)
	if w.buffer == nil {
		w.buffer = make([]byte, copyBuffer)
	}
	if _, err := io.CopyBuffer(io.MultiWriter(w.f, m), from, w.buffer); err != nil {
		return digest{}, err
	}
	if m.size != a.Size || m.sha256() != a.SHA256 {
		return digest{}, a.differs()
	}
	e.crc = m.crc
	if _, err := w.f.WriteAt(e.local(), int64(e.offset)); err != nil {
		return digest{}, err
	}
	w.at, w.entries = e.next(), append(w.entries, e)
	return m.leafDigest(), nil
}

// finish writes the central directory.
func (w *writer) finish() error {
	var b []byte
	for _, e := range w.entries {
		b = append(b, e.central()...)
	}
	b = append(b, ending(uint64(len(w.entries)), w.at, uint64(len(b)))...)
	_, err := w.f.Write(b)
	return err
}

// stoppable ends reading when the context ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
