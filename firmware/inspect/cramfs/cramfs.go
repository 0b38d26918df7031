// Package cramfs is for reading cramfs images that may lie: folders in circles, blocks that
// grow beyond a page and data outside the image are refused. It writes nothing.
package cramfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"assay/firmware/format"
	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/tree"
)

const (
	magic      = 0x28cd3d45
	page       = 4096
	knownFlags = 0x1 | 0x2 | 0x100 | 0x200 | 0x400 // size and checksum, sorted, holes, wrong signature, shifted root
	maxEntries = 1 << 20
)

type image struct {
	src     format.Source
	order   binary.ByteOrder
	size    int64
	entries int
}

// Is tells whether b begins with a superblock that Walk would try.
func Is(b []byte) bool { return order(b) != nil }

func order(b []byte) binary.ByteOrder {
	if len(b) < 76 || string(b[16:32]) != "Compressed ROMFS" {
		return nil
	}
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if o.Uint32(b) == magic && o.Uint32(b[4:]) >= 76 {
			return o
		}
	}
	return nil
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(76)
	o := order(b)
	if o == nil {
		return 0, tree.Broken("no cramfs superblock")
	}
	im := &image{src: src, order: o, size: int64(o.Uint32(b[4:]))}
	if flags := o.Uint32(b[8:]); flags&^knownFlags != 0 {
		return 0, fmt.Errorf("cramfs with flags %#x: %w", flags, tree.ErrUnsupported)
	}
	if im.size > src.Size() {
		return 0, tree.Broken("cramfs of %d bytes in %d", im.size, src.Size())
	}
	var lines tree.Lines
	return im.size, im.dir(im.inode(b[64:]), "", &lines, visit)
}

type inode struct {
	mode, uid, gid uint32
	size           int64
	name           int   // bytes
	data           int64 // place
}

// inode unpacks the bit fields, which fill words from the side of the byte order.
func (im *image) inode(b []byte) inode {
	a, c, d := im.order.Uint32(b), im.order.Uint32(b[4:]), im.order.Uint32(b[8:])
	if im.order == binary.LittleEndian {
		return inode{a & 0xffff, a >> 16, c >> 24, int64(c & 0xffffff), int(d&0x3f) * 4, int64(d>>6) * 4}
	}
	return inode{a >> 16, a & 0xffff, c & 0xff, int64(c >> 8), int(d>>26) * 4, int64(d&0x3ffffff) * 4}
}

func (im *image) dir(n inode, name string, lines *tree.Lines, visit tree.Visit) error {
	if n.mode&0o170000 != 0o040000 {
		return tree.Broken("%q is no folder", name)
	}
	if err := visit(tree.Entry{Name: name, Mode: tree.Mode(n.mode), UID: n.uid, GID: n.gid}); err != nil {
		return err
	}
	if n.size == 0 {
		return nil
	}
	if err := lines.Enter(uint64(n.data)); err != nil {
		return err
	}
	defer lines.Leave()
	for at, end := n.data, n.data+n.size; at < end; {
		b, err := im.src.Bytes(at, 12)
		if err != nil {
			return fmt.Errorf("folder %q: %w", name, err)
		}
		child := im.inode(b)
		raw, err := im.src.Bytes(at+12, int64(child.name))
		if err != nil {
			return fmt.Errorf("folder %q: %w", name, err)
		}
		own := string(bytes.TrimRight(raw, "\x00"))
		at += 12 + int64(child.name)
		if im.entries++; im.entries > maxEntries {
			return fmt.Errorf("%d entries: %w", im.entries, tree.ErrLimit)
		}
		if own == "" || own == "." || own == ".." || bytes.ContainsAny(raw, "/") {
			if err := visit(tree.Entry{Name: "../" + own, Mode: fs.ModeIrregular}); err != nil {
				return err
			}
			continue
		}
		if err := im.child(child, name+"/"+own, lines, visit); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) child(n inode, name string, lines *tree.Lines, visit tree.Visit) error {
	e := tree.Entry{Name: name, Mode: tree.Mode(n.mode), UID: n.uid, GID: n.gid}
	switch n.mode & 0o170000 {
	case 0o040000:
		return im.dir(n, name, lines, visit)
	case 0o100000:
		e.Size = n.size
		e.Open = func() (io.Reader, error) { return &file{im: im, n: n}, nil }
	case 0o120000:
		b, err := io.ReadAll(io.LimitReader(&file{im: im, n: n}, tree.MaxName))
		if err != nil {
			return fmt.Errorf("link %q: %w", name, err)
		}
		e.Target = string(b)
	}
	return visit(e)
}

// file streams pages: a list of where each ends, then the pages.
type file struct {
	im   *image
	n    inode
	next int64 // page
	buf  []byte
}

func (f *file) Read(b []byte) (int, error) {
	if len(f.buf) == 0 {
		if f.next*page >= f.n.size {
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
	pages := (f.n.size + page - 1) / page
	start := f.n.data + 4*pages
	if f.next > 0 {
		b, err := f.im.src.Bytes(f.n.data+4*(f.next-1), 4)
		if err != nil {
			return err
		}
		start = int64(f.im.order.Uint32(b))
	}
	b, err := f.im.src.Bytes(f.n.data+4*f.next, 4)
	if err != nil {
		return err
	}
	end := int64(f.im.order.Uint32(b))
	want := int(min(page, f.n.size-f.next*page))
	f.next++
	if end == start {
		f.buf = make([]byte, want) // a hole
		return nil
	}
	if end < start || end-start > 2*page {
		return tree.Broken("page from %d to %d", start, end)
	}
	if b, err = f.im.src.Bytes(start, end-start); err != nil {
		return err
	}
	if f.buf, err = packed.Block(packed.Zlib, b, page); err != nil {
		return err
	}
	if len(f.buf) < want {
		return tree.Broken("page of %d bytes, %d wanted", len(f.buf), want)
	}
	f.buf = f.buf[:want]
	return nil
}
