// Package erofs is for reading EROFS images that may lie: folders in circles and data outside
// the image are refused. It reads plain files; of compressed ones it tells that they are not
// read. It writes nothing.
package erofs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

var le = binary.LittleEndian

const (
	superAt    = 1024
	maxFolder  = 64 << 20
	maxEntries = 1 << 22

	plain  = 0
	inline = 2
	chunks = 4
)

type image struct {
	src     format.Source
	block   int64
	size    int64
	meta    int64
	entries int
}

// Is tells whether b, the first 2 KB, holds a superblock that Walk would try.
func Is(b []byte) bool {
	return len(b) >= superAt+128 && le.Uint32(b[superAt:]) == 0xe0f5e1e2 && b[superAt+12] >= 9 && b[superAt+12] <= 16
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(2048)
	if !Is(b) {
		return 0, tree.Broken("no EROFS superblock")
	}
	s := b[superAt:]
	im := &image{src: src, block: 1 << s[12]}
	im.size, im.meta = int64(le.Uint32(s[36:]))*im.block, int64(le.Uint32(s[40:]))*im.block
	if im.size > src.Size() || im.size == 0 || im.meta >= im.size {
		return 0, tree.Broken("EROFS of %d bytes in %d", im.size, src.Size())
	}
	var lines tree.Lines
	return im.size, im.dir(uint64(le.Uint16(s[14:])), "", &lines, visit)
}

type inode struct {
	mode     uint32
	uid, gid uint32
	size     int64
	layout   int
	raw      uint32 // first block, or how chunks are laid out
	tail     int64  // where inline data lies
}

func (im *image) inode(nid uint64) (inode, error) {
	if nid > uint64(im.size)/32 {
		return inode{}, tree.Broken("inode %d", nid)
	}
	at := im.meta + int64(nid)*32
	b, err := im.src.Bytes(at, 32)
	if err != nil {
		return inode{}, err
	}
	n := inode{mode: uint32(le.Uint16(b[4:])), size: int64(le.Uint32(b[8:])), layout: int(le.Uint16(b) >> 1 & 7), raw: le.Uint32(b[16:]),
		uid: uint32(le.Uint16(b[24:])), gid: uint32(le.Uint16(b[26:])), tail: at + 32}
	if le.Uint16(b)&1 == 1 {
		if b, err = im.src.Bytes(at, 64); err != nil {
			return inode{}, err
		}
		n.size, n.uid, n.gid, n.tail = int64(le.Uint64(b[8:])), le.Uint32(b[24:]), le.Uint32(b[28:]), at+64
	}
	if count := int64(le.Uint16(b[2:])); count > 0 {
		n.tail += 12 + (count-1)*4
	}
	if n.size < 0 || n.size > 1<<50 {
		return inode{}, tree.Broken("inode %d of %d bytes", nid, uint64(n.size))
	}
	return n, nil
}

// content streams a file.
func (im *image) content(n inode) (io.Reader, error) {
	switch n.layout {
	case plain:
		return im.part(int64(n.raw)*im.block, n.size)
	case inline:
		full := n.size / im.block * im.block
		head, err := im.part(int64(n.raw)*im.block, full)
		if err != nil {
			return nil, err
		}
		if n.size-full > im.block-n.tail%im.block {
			return nil, tree.Broken("inline data beyond its block")
		}
		tail, err := im.part(n.tail, n.size-full)
		if err != nil {
			return nil, err
		}
		return io.MultiReader(head, tail), nil
	case chunks:
		return im.chunked(n)
	}
	return nil, fmt.Errorf("compressed in EROFS: %w", tree.ErrUnsupported)
}

func (im *image) part(at, n int64) (io.Reader, error) {
	if n == 0 {
		return bytes.NewReader(nil), nil
	}
	if at < 0 || at > im.size || n > im.size-at {
		return nil, tree.Broken("%d bytes at %d of %d", n, at, im.size)
	}
	return im.src.Section(at, n), nil
}

func (im *image) chunked(n inode) (io.Reader, error) {
	if n.raw&^0x3f != 0 {
		return nil, fmt.Errorf("chunks %#x: %w", n.raw, tree.ErrUnsupported)
	}
	unit, width := im.block<<(n.raw&0x1f), int64(4)
	if n.raw&0x20 != 0 {
		width = 8
	}
	if unit <= 0 {
		return nil, tree.Broken("chunks of 2^%d blocks", n.raw&0x1f)
	}
	count := (n.size + unit - 1) / unit
	if count*width > tree.MaxMetadata {
		return nil, fmt.Errorf("%d chunks: %w", count, tree.ErrLimit)
	}
	at := (n.tail + width - 1) / width * width
	return &chunkReader{im: im, n: n, unit: unit, width: width, at: at}, nil
}

type chunkReader struct {
	im              *image
	n               inode
	unit, width, at int64
	done            int64
	cur             io.Reader
}

func (c *chunkReader) Read(b []byte) (int, error) {
	for {
		if c.cur != nil {
			n, err := c.cur.Read(b)
			if n > 0 || err != nil && !errors.Is(err, io.EOF) {
				return n, err
			}
			c.cur = nil
		}
		if c.done >= c.n.size {
			return 0, io.EOF
		}
		e, err := c.im.src.Bytes(c.at, c.width)
		if err != nil {
			return 0, err
		}
		size := min(c.unit, c.n.size-c.done)
		c.at, c.done = c.at+c.width, c.done+size
		first := le.Uint32(e[c.width-4:])
		if c.width == 8 && le.Uint16(e[2:]) != 0 {
			return 0, fmt.Errorf("chunk on another device: %w", tree.ErrUnsupported)
		}
		if first == 0xffffffff {
			c.cur = io.LimitReader(zeros{}, size)
		} else if c.cur, err = c.im.part(int64(first)*c.im.block, size); err != nil {
			return 0, err
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func (im *image) dir(nid uint64, name string, lines *tree.Lines, visit tree.Visit) error {
	n, err := im.inode(nid)
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	if n.mode&0o170000 != 0o040000 {
		return tree.Broken("%q is no folder", name)
	}
	if err := lines.Enter(nid); err != nil {
		return err
	}
	defer lines.Leave()
	if err := visit(tree.Entry{Name: name, Mode: tree.Mode(n.mode), UID: n.uid, GID: n.gid}); err != nil {
		return err
	}
	if n.size > maxFolder {
		return fmt.Errorf("folder %q of %d bytes: %w", name, n.size, tree.ErrLimit)
	}
	r, err := im.content(n)
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	listing, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	for len(listing) > 0 {
		block := listing[:min(int64(len(listing)), im.block)]
		if err := im.listing(block, name, lines, visit); err != nil {
			return err
		}
		listing = listing[len(block):]
	}
	return nil
}

// listing visits the entries of one block: fixed parts first, names behind them.
func (im *image) listing(b []byte, dir string, lines *tree.Lines, visit tree.Visit) error {
	if len(b) < 12 {
		return tree.Broken("listing of %q", dir)
	}
	first := int(le.Uint16(b[8:]))
	if first < 12 || first%12 != 0 || first > len(b) {
		return tree.Broken("listing of %q", dir)
	}
	for i := 0; i < first; i += 12 {
		from, to := int(le.Uint16(b[i+8:])), len(b)
		if i+12 < first {
			to = int(le.Uint16(b[i+20:]))
		}
		if from > to || to > len(b) {
			return tree.Broken("listing of %q", dir)
		}
		raw, _, _ := bytes.Cut(b[from:to], []byte{0})
		if own := string(raw); own == "." || own == ".." {
			continue
		}
		if im.entries++; im.entries > maxEntries {
			return fmt.Errorf("%d entries: %w", im.entries, tree.ErrLimit)
		}
		if len(raw) == 0 || bytes.ContainsAny(raw, "/") {
			if err := visit(tree.Entry{Name: "../" + string(raw), Mode: fs.ModeIrregular}); err != nil {
				return err
			}
			continue
		}
		if err := im.child(le.Uint64(b[i:]), dir+"/"+string(raw), lines, visit); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) child(nid uint64, name string, lines *tree.Lines, visit tree.Visit) error {
	n, err := im.inode(nid)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	e := tree.Entry{Name: name, Mode: tree.Mode(n.mode), UID: n.uid, GID: n.gid}
	switch n.mode & 0o170000 {
	case 0o040000:
		return im.dir(nid, name, lines, visit)
	case 0o100000:
		e.Size = n.size
		e.Open = func() (io.Reader, error) { return im.content(n) }
	case 0o120000:
		if r, err := im.content(n); err == nil {
			b, _ := io.ReadAll(io.LimitReader(r, tree.MaxName))
			e.Target = string(b)
		}
	}
	return visit(e)
}
