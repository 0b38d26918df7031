package squashfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"

	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/tree"
)

// inode is one inode of any type.
type inode struct {
	kind     uint16
	number   uint32
	mode     fs.FileMode // the raw permission bits
	uid, gid uint32

	size    int64 // of a file, or of a folder's listing
	start   int64 // of a file's blocks, or of the metadata block of a listing
	offset  int   // in that metadata block
	frag    uint32
	fragAt  uint32
	blocks  []uint32
	target  string
	rawType uint32 // as in Unix modes
}

// types of inodes, basic and extended, as Unix modes.
var types = []uint32{0, 0o040000, 0o100000, 0o120000, 0o060000, 0o020000, 0o010000, 0o140000}

func (n *inode) read(c *cursor, blockSize int64) error {
	kind := int(n.kind)
	if kind < 1 || kind > 14 {
		return tree.Broken("type %d", kind)
	}
	n.rawType = types[(kind-1)%7+1]
	switch kind {
	case 1:
		b, err := c.bytes(16)
		if err != nil {
			return err
		}
		n.start, n.size, n.offset = int64(le.Uint32(b)), int64(le.Uint16(b[8:])), int(le.Uint16(b[10:]))
	case 8:
		b, err := c.bytes(24)
		if err != nil {
			return err
		}
		n.size, n.start, n.offset = int64(le.Uint32(b[4:])), int64(le.Uint32(b[8:])), int(le.Uint16(b[18:]))
	case 2:
		b, err := c.bytes(16)
		if err != nil {
			return err
		}
		n.start, n.frag, n.fragAt, n.size = int64(le.Uint32(b)), le.Uint32(b[4:]), le.Uint32(b[8:]), int64(le.Uint32(b[12:]))
		return n.list(c, blockSize)
	case 9:
		b, err := c.bytes(40)
		if err != nil {
			return err
		}
		n.start, n.size, n.frag, n.fragAt = int64(le.Uint64(b)), int64(le.Uint64(b[8:])), le.Uint32(b[28:]), le.Uint32(b[32:])
		return n.list(c, blockSize)
	case 3, 10:
		b, err := c.bytes(8)
		if err != nil {
			return err
		}
		if le.Uint32(b[4:]) > tree.MaxName {
			return tree.Broken("link target of %d bytes", le.Uint32(b[4:]))
		}
		b, err = c.bytes(int(le.Uint32(b[4:])))
		n.target = string(b)
		return err
	}
	return nil
}

// list reads the sizes of a file's blocks.
func (n *inode) list(c *cursor, blockSize int64) error {
	if n.size < 0 || n.size > 1<<50 || n.start < 0 {
		return tree.Broken("file of %d bytes", uint64(n.size))
	}
	count := n.size / blockSize
	if n.frag == none32 && n.size%blockSize != 0 {
		count++
	}
	if count*4 > tree.MaxMetadata {
		return fmt.Errorf("file of %d bytes: %w", n.size, tree.ErrLimit)
	}
	b, err := c.bytes(int(count * 4))
	for ; err == nil && len(b) > 0; b = b[4:] {
		n.blocks = append(n.blocks, le.Uint32(b))
	}
	return err
}

func (im *image) dir(ref uint64, name string, lines *tree.Lines, visit tree.Visit) error {
	n, err := im.inode(ref)
	if err != nil {
		return err
	}
	if n.rawType != 0o040000 {
		return tree.Broken("%q is no folder", name)
	}
	if err := lines.Enter(uint64(n.number)); err != nil {
		return err
	}
	defer lines.Leave()
	if err := visit(im.entry(n, name)); err != nil {
		return err
	}
	// The size counts three bytes for "." and ".." that are not stored.
	c := &cursor{im, im.dirs + n.start, n.offset}
	for left := n.size - 3; left > 0; {
		h, err := c.bytes(12)
		if err != nil {
			return fmt.Errorf("listing of %q: %w", name, err)
		}
		if left -= 12; le.Uint32(h) > 255 {
			return tree.Broken("listing of %q: a run of %d", name, le.Uint32(h))
		}
		for range le.Uint32(h) + 1 {
			took, err := im.child(c, uint64(le.Uint32(h[4:])), name, lines, visit)
			if err != nil {
				return err
			}
			left -= took
		}
	}
	return nil
}

// child visits one entry of a listing.
func (im *image) child(c *cursor, block uint64, dir string, lines *tree.Lines, visit tree.Visit) (int64, error) {
	e, err := c.bytes(8)
	if err != nil {
		return 0, fmt.Errorf("listing of %q: %w", dir, err)
	}
	raw, err := c.bytes(int(le.Uint16(e[6:])) + 1)
	if err != nil {
		return 0, fmt.Errorf("listing of %q: %w", dir, err)
	}
	if len(raw) > 256 || bytes.ContainsAny(raw, "/\x00") || string(raw) == ".." || string(raw) == "." {
		// No file system can hold it: whoever extracts it would leave the folder.
		if err := visit(tree.Entry{Name: "../" + string(raw), Mode: fs.ModeIrregular}); err != nil {
			return 0, err
		}
		return int64(8 + len(raw)), nil
	}
	name := dir + "/" + string(raw)
	ref := block<<16 | uint64(le.Uint16(e))
	// More entries than inodes can be hard links, but not without end.
	if im.visited++; im.visited/16 > im.entries {
		return 0, fmt.Errorf("more than %d entries for %d inodes: %w", im.visited, im.entries, tree.ErrLimit)
	}
	if t := le.Uint16(e[4:]); t == 1 || t == 8 {
		return int64(8 + len(raw)), im.dir(ref, name, lines, visit)
	}
	n, err := im.inode(ref)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", name, err)
	}
	return int64(8 + len(raw)), visit(im.entry(n, name))
}

func (im *image) entry(n *inode, name string) tree.Entry {
	e := tree.Entry{Name: name, Mode: tree.Mode(n.rawType | uint32(n.mode)&0o7777), UID: n.uid, GID: n.gid, Target: n.target}
	if n.rawType == 0o100000 {
		e.Size = n.size
		e.Open = func() (io.Reader, error) { return &file{im: im, n: n, at: n.start, left: n.size}, nil }
	}
	return e
}

// file streams a regular file block by block.
type file struct {
	im   *image
	n    *inode
	next int   // block
	at   int64 // of the next block in the image
	left int64 // bytes of the file
	buf  []byte
}

func (f *file) Read(b []byte) (int, error) {
	if len(f.buf) == 0 {
		if f.left == 0 {
			return 0, io.EOF
		}
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, f.buf)
	f.buf = f.buf[n:]
	return n, nil
}

func (f *file) fill() error {
	want := min(f.left, f.im.blockSize)
	var data []byte
	var err error
	switch {
	case f.next < len(f.n.blocks):
		size := f.n.blocks[f.next]
		data, err = f.im.data(f.at, size)
		if size&0xffffff == 0 {
			data = make([]byte, want) // a hole
		}
		f.at += int64(size & 0xffffff)
		f.next++
	case f.n.frag != none32:
		data, err = f.im.fragment(f.n.frag, int64(f.n.fragAt), want)
	default:
		err = tree.Broken("file ends early")
	}
	if err != nil {
		return err
	}
	if int64(len(data)) < want {
		return tree.Broken("block of %d bytes, %d wanted", len(data), want)
	}
	f.buf = data[:want]
	f.left -= want
	return nil
}

func (im *image) data(at int64, size uint32) ([]byte, error) {
	n := int64(size & 0xffffff)
	if n == 0 {
		return nil, nil
	}
	if n > im.blockSize || at < 0 || at > im.used-n {
		return nil, tree.Broken("data block of %d bytes at %d", n, at)
	}
	b, err := im.src.Bytes(at, n)
	if err != nil || size&(1<<24) != 0 {
		return b, err
	}
	return packed.Block(im.kind, b, int(im.blockSize))
}

func (im *image) fragment(i uint32, at, n int64) ([]byte, error) {
	if int(i) >= len(im.frags) {
		return nil, tree.Broken("fragment %d of %d", i, len(im.frags))
	}
	if im.lastFrag != int64(i) {
		b, err := im.data(im.frags[i].start, im.frags[i].size)
		if err != nil {
			return nil, err
		}
		im.lastFrag, im.lastData = int64(i), b
	}
	if at > int64(len(im.lastData)) || n > int64(len(im.lastData))-at {
		return nil, tree.Broken("fragment ends early")
	}
	return im.lastData[at : at+n], nil
}

var _ tree.Reader = Walk
