// Package squashfs is for reading squashfs 4.0 images that may lie: every size is checked
// before it is allocated, folders in circles and blocks outside the image are refused. It
// reads all six compressions and writes nothing.
package squashfs

import (
	"encoding/binary"
	"fmt"
	"io/fs"

	"assay/firmware/format"
	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/tree"
)

var le = binary.LittleEndian

const (
	superSize   = 96
	metaSize    = 8192
	none32      = 0xffffffff
	none64      = 0xffffffffffffffff
	maxFragment = 1 << 20 // fragments: 16 MB of table
)

var compressions = map[uint16]packed.Kind{1: packed.Zlib, 2: packed.LZMA, 3: packed.LZO, 4: packed.XZ, 5: packed.LZ4, 6: packed.Zstd}

// image is one open file system.
type image struct {
	src       format.Source
	kind      packed.Kind
	blockSize int64
	used      int64
	inodes    int64 // start of the inode table
	dirs      int64
	ids       []uint32
	frags     []fragment
	meta      map[int64]metaBlock
	metaBytes int64
	lastFrag  int64 // the fragment block that was read last, as files in a row share one
	lastData  []byte
	entries   uint32
	visited   uint32
}

type metaBlock struct {
	data []byte
	next int64
}

type fragment struct {
	start int64
	size  uint32
}

// Is tells whether b begins with a superblock that Walk would try.
func Is(b []byte) bool {
	return len(b) >= superSize && string(b[:4]) == "hsqs" && le.Uint16(b[28:]) == 4 && le.Uint16(b[30:]) == 0 &&
		le.Uint16(b[22:]) >= 12 && le.Uint16(b[22:]) <= 20 && le.Uint32(b[12:]) == 1<<le.Uint16(b[22:]) &&
		le.Uint64(b[40:]) > superSize && le.Uint64(b[40:]) < 1<<62
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	im, root, err := open(src)
	if err != nil {
		return 0, err
	}
	var lines tree.Lines
	return im.used, im.dir(root, "", &lines, visit)
}

func open(src format.Source) (*image, uint64, error) {
	b, err := src.Bytes(0, superSize)
	if err != nil {
		return nil, 0, err
	}
	if !Is(b) {
		return nil, 0, tree.Broken("no squashfs 4.0 superblock")
	}
	im := &image{src: src, blockSize: int64(le.Uint32(b[12:])), used: int64(le.Uint64(b[40:])),
		inodes: int64(le.Uint64(b[64:])), dirs: int64(le.Uint64(b[72:])), meta: map[int64]metaBlock{}, lastFrag: -1, entries: le.Uint32(b[4:])}
	if im.used > src.Size() {
		return nil, 0, tree.Broken("squashfs of %d bytes in %d", im.used, src.Size())
	}
	kind, ok := compressions[le.Uint16(b[20:])]
	if !ok {
		return nil, 0, fmt.Errorf("squashfs compression %d: %w", le.Uint16(b[20:]), tree.ErrUnsupported)
	}
	im.kind = kind
	idCount, fragCount := int64(le.Uint16(b[26:])), int64(le.Uint32(b[16:]))
	ids, err := im.table(le.Uint64(b[48:]), idCount, 4)
	if err != nil {
		return nil, 0, fmt.Errorf("squashfs id table: %w", err)
	}
	for ; len(ids) > 0; ids = ids[4:] {
		im.ids = append(im.ids, le.Uint32(ids))
	}
	if start := le.Uint64(b[80:]); start != none64 && fragCount > 0 {
		if fragCount > maxFragment {
			return nil, 0, fmt.Errorf("%d fragments: %w", fragCount, tree.ErrLimit)
		}
		t, err := im.table(start, fragCount, 16)
		if err != nil {
			return nil, 0, fmt.Errorf("squashfs fragment table: %w", err)
		}
		for ; len(t) > 0; t = t[16:] {
			im.frags = append(im.frags, fragment{int64(le.Uint64(t)), le.Uint32(t[8:])})
		}
	}
	return im, le.Uint64(b[32:]), nil
}

// table reads count entries of a lookup table: a list of metadata blocks.
func (im *image) table(start uint64, count, size int64) ([]byte, error) {
	blocks := (count*size + metaSize - 1) / metaSize
	if start >= uint64(im.used) || blocks*8 > im.used-int64(start) {
		return nil, tree.Broken("table outside the image")
	}
	list, err := im.src.Bytes(int64(start), blocks*8)
	if err != nil {
		return nil, err
	}
	var out []byte
	for ; len(list) > 0; list = list[8:] {
		m, err := im.block(int64(le.Uint64(list) & (1<<62 - 1)))
		if err != nil {
			return nil, err
		}
		out = append(out, m.data...)
	}
	if int64(len(out)) < count*size {
		return nil, tree.Broken("table of %d bytes, %d wanted", len(out), count*size)
	}
	return out[:count*size], nil
}

// block reads one metadata block.
func (im *image) block(at int64) (metaBlock, error) {
	if m, ok := im.meta[at]; ok {
		return m, nil
	}
	if at < 0 || at+2 > im.used {
		return metaBlock{}, tree.Broken("metadata block outside the image")
	}
	h, err := im.src.Bytes(at, 2)
	if err != nil {
		return metaBlock{}, err
	}
	n := int64(le.Uint16(h) & 0x7fff)
	if n > metaSize || n > im.used-at-2 {
		return metaBlock{}, tree.Broken("metadata block of %d bytes", n)
	}
	data, err := im.src.Bytes(at+2, n)
	if err != nil {
		return metaBlock{}, err
	}
	if le.Uint16(h)&0x8000 == 0 {
		if data, err = packed.Block(im.kind, data, metaSize); err != nil {
			return metaBlock{}, err
		}
	}
	m := metaBlock{data, at + 2 + n}
	if im.metaBytes += int64(len(data)); im.metaBytes > tree.MaxMetadata {
		clear(im.meta)
		im.metaBytes = int64(len(data))
	}
	im.meta[at] = m
	return m, nil
}

// cursor reads a table across the borders of metadata blocks.
type cursor struct {
	im    *image
	block int64
	at    int
}

func (c *cursor) bytes(n int) ([]byte, error) {
	if n > tree.MaxMetadata {
		return nil, tree.Broken("%d bytes of metadata", n)
	}
	out := make([]byte, 0, min(n, metaSize))
	for {
		m, err := c.im.block(c.block)
		if err != nil {
			return nil, err
		}
		if c.at > len(m.data) || len(m.data) == 0 {
			return nil, tree.Broken("metadata ends early")
		}
		take := min(n-len(out), len(m.data)-c.at)
		out = append(out, m.data[c.at:c.at+take]...)
		if c.at += take; len(out) == n {
			return out, nil
		}
		c.block, c.at = m.next, 0
	}
}

func (im *image) id(i uint16) uint32 {
	if int(i) < len(im.ids) {
		return im.ids[i]
	}
	return none32
}

func (im *image) inode(ref uint64) (*inode, error) {
	c := &cursor{im, im.inodes + int64(ref>>16&0xffffffff), int(ref & 0xffff)}
	h, err := c.bytes(16)
	if err != nil {
		return nil, fmt.Errorf("inode: %w", err)
	}
	n := &inode{kind: le.Uint16(h), number: le.Uint32(h[12:]), mode: fs.FileMode(le.Uint16(h[2:])), uid: im.id(le.Uint16(h[4:])), gid: im.id(le.Uint16(h[6:]))}
	if err := n.read(c, im.blockSize); err != nil {
		return nil, fmt.Errorf("inode %d: %w", n.number, err)
	}
	return n, nil
}
