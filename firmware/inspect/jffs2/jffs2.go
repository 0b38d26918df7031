// Package jffs2 is for reading JFFS2 images of either byte order that may lie: every node is
// checked by its CRC, sizes are bounded, folders in circles refused. It reads no Rubin
// compression and writes nothing.
package jffs2

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"assay/firmware/format"
	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/tree"
)

const (
	magic     = 0x1985
	dirent    = 0xe001
	inode     = 0xe002
	maxNodes  = 1 << 21
	maxFile   = 256 << 20 // of which the pieces are put together
	maxNode   = 1 << 20
	lostBytes = 64 << 10 // foreign bytes after which the file system is over
)

// crc is the kernel's: without the inversions of the usual CRC-32.
func crc(b []byte) uint32 { return ^crc32.Update(^uint32(0), crc32.IEEETable, b) }

func order(b []byte) binary.ByteOrder {
	if len(b) < 12 {
		return nil
	}
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if o.Uint16(b) == magic && o.Uint32(b[4:]) >= 12 && o.Uint32(b[8:]) == crc(b[:8]) {
			return o
		}
	}
	return nil
}

// Is tells whether b begins with a node whose header is intact.
func Is(b []byte) bool { return order(b) != nil }

type entry struct {
	name    string
	version uint32
	ino     uint32
}

type piece struct {
	at      int64
	version uint32
}

type image struct {
	src     format.Source
	order   binary.ByteOrder
	entries map[uint32]map[string]entry
	pieces  map[uint32][]piece
	nodes   int
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	o := order(src.Head(12))
	if o == nil {
		return 0, tree.Broken("no JFFS2 node")
	}
	im := &image{src: src, order: o, entries: map[uint32]map[string]entry{}, pieces: map[uint32][]piece{}}
	used, err := im.scan()
	if err != nil {
		return used, err
	}
	if len(im.entries[1]) == 0 {
		return used, tree.Broken("no root folder")
	}
	if err := visit(tree.Entry{Mode: fs.ModeDir | 0o755}); err != nil {
		return used, err
	}
	var lines tree.Lines
	return used, im.dir(1, "", &lines, visit)
}

// scan collects the nodes. Erased bytes lie between them; foreign ones end it.
func (im *image) scan() (used int64, err error) {
	size := im.src.Size()
	const chunk = 64 << 10
	foreign := int64(0)
	for at := int64(0); at+12 <= size; {
		b, err := im.src.Bytes(at, min(chunk, size-at))
		if err != nil {
			return used, err
		}
		i := 0
		for i+12 <= len(b) {
			if im.order.Uint16(b[i:]) != magic || im.order.Uint32(b[i+8:]) != crc(b[i:i+8]) {
				if w := binary.LittleEndian.Uint32(b[i:]); w != 0xffffffff && w != 0 {
					foreign += 4
				}
				if i += 4; foreign > lostBytes {
					return used, nil
				}
				continue
			}
			n := int64(im.order.Uint32(b[i+4:]))
			if n < 12 || n > size-at-int64(i) || n > maxNode && im.order.Uint16(b[i+2:])&0xfff != 4 {
				i += 4
				continue
			}
			if im.nodes++; im.nodes > maxNodes {
				return used, fmt.Errorf("%d nodes: %w", im.nodes, tree.ErrLimit)
			}
			if err := im.node(at+int64(i), n, im.order.Uint16(b[i+2:])); err != nil {
				return used, err
			}
			used, foreign = at+int64(i)+n, 0
			i += int(min((n+3)&^3, size-at-int64(i)+3))
		}
		if i == 0 {
			break
		}
		at += int64(i)
	}
	return min((used+3)&^3, size), nil
}

func (im *image) node(at, n int64, kind uint16) error {
	switch {
	case kind == dirent && n >= 40:
		b, err := im.src.Bytes(at, n)
		if err != nil {
			return err
		}
		length := int64(b[28])
		if im.order.Uint32(b[32:]) != crc(b[:32]) || 40+length > n || im.order.Uint32(b[36:]) != crc(b[40:40+length]) {
			return nil // a torn write
		}
		e := entry{string(b[40 : 40+length]), im.order.Uint32(b[16:]), im.order.Uint32(b[20:])}
		parent := im.order.Uint32(b[12:])
		if im.entries[parent] == nil {
			im.entries[parent] = map[string]entry{}
		}
		if have, ok := im.entries[parent][e.name]; !ok || e.version >= have.version {
			im.entries[parent][e.name] = e
		}
	case kind == inode && n >= 68:
		b, err := im.src.Bytes(at, 68)
		if err != nil {
			return err
		}
		if im.order.Uint32(b[64:]) != crc(b[:60]) || int64(im.order.Uint32(b[48:])) > n-68 {
			return nil
		}
		ino := im.order.Uint32(b[12:])
		im.pieces[ino] = append(im.pieces[ino], piece{at, im.order.Uint32(b[16:])})
	}
	return nil
}

func (im *image) dir(ino uint32, name string, lines *tree.Lines, visit tree.Visit) error {
	if err := lines.Enter(uint64(ino)); err != nil {
		return err
	}
	defer lines.Leave()
	list := make([]entry, 0, len(im.entries[ino]))
	for _, e := range im.entries[ino] {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	for _, e := range list {
		if e.ino == 0 { // removed
			continue
		}
		if e.name == "" || e.name == "." || e.name == ".." || bytes.ContainsAny([]byte(e.name), "/\x00") {
			if err := visit(tree.Entry{Name: "../" + e.name, Mode: fs.ModeIrregular}); err != nil {
				return err
			}
			continue
		}
		if err := im.child(e, name+"/"+e.name, lines, visit); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) child(e entry, name string, lines *tree.Lines, visit tree.Visit) error {
	pieces := im.pieces[e.ino]
	if len(pieces) == 0 {
		return visit(tree.Entry{Name: name, Open: func() (io.Reader, error) { return nil, tree.Broken("inode %d is missing", e.ino) }})
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.version, b.version) })
	h, err := im.src.Bytes(pieces[len(pieces)-1].at, 68)
	if err != nil {
		return err
	}
	mode, size := im.order.Uint32(h[20:]), int64(im.order.Uint32(h[28:]))
	out := tree.Entry{Name: name, Mode: tree.Mode(mode), UID: uint32(im.order.Uint16(h[24:])), GID: uint32(im.order.Uint16(h[26:]))}
	switch mode & 0o170000 {
	case 0o040000:
		if err := visit(out); err != nil {
			return err
		}
		return im.dir(e.ino, name, lines, visit)
	case 0o100000:
		out.Size = size
		out.Open = func() (io.Reader, error) {
			b, err := im.content(pieces, size)
			return bytes.NewReader(b), err
		}
	case 0o120000:
		// Links keep their target in the data, with a size of zero in some images.
		target, err := im.content(pieces, max(size, int64(im.order.Uint32(h[52:]))))
		if err != nil {
			return fmt.Errorf("link %q: %w", name, err)
		}
		out.Target = string(target[:min(len(target), tree.MaxName)])
	}
	return visit(out)
}

// content puts a file together, piece over piece in the order of their versions.
func (im *image) content(pieces []piece, size int64) ([]byte, error) {
	if size > maxFile {
		return nil, fmt.Errorf("file of %d bytes: %w", size, tree.ErrLimit)
	}
	// What no piece reaches is a hole; the buffer grows with the pieces, not with what the size claims.
	var out []byte
	for _, p := range pieces {
		h, err := im.src.Bytes(p.at, 68)
		if err != nil {
			return nil, err
		}
		at, packedSize, n := int64(im.order.Uint32(h[44:])), int64(im.order.Uint32(h[48:])), int64(im.order.Uint32(h[52:]))
		if now := int64(im.order.Uint32(h[28:])); now < int64(len(out)) {
			out = out[:now] // cut short by this version
		}
		if n == 0 || at >= size {
			continue
		}
		if n > maxNode {
			return nil, tree.Broken("piece of %d bytes", n)
		}
		b, err := im.src.Bytes(p.at+68, packedSize)
		if err != nil {
			return nil, err
		}
		if im.order.Uint32(h[60:]) != crc(b) {
			return nil, tree.Broken("piece at %d: checksum", p.at)
		}
		data, err := unpack(h[56], b, int(n))
		if err != nil {
			return nil, err
		}
		if grow := at + int64(len(data)) - int64(len(out)); grow > 0 {
			out = append(out, make([]byte, grow)...)
		}
		copy(out[at:], data)
	}
	if int64(len(out)) < size {
		out = append(out, make([]byte, size-int64(len(out)))...)
	}
	return out[:size], nil
}

func unpack(kind byte, b []byte, n int) ([]byte, error) {
	var out []byte
	var err error
	switch kind {
	case 0:
		out = b
	case 1:
		out = make([]byte, n)
	case 2:
		out, err = rtime(b, n)
	case 6:
		out, err = packed.Block(packed.Zlib, b, n)
	case 7:
		out, err = packed.Block(packed.LZO, b, n)
	default:
		return nil, fmt.Errorf("JFFS2 compression %d: %w", kind, tree.ErrUnsupported)
	}
	if err == nil && len(out) < n {
		err = tree.Broken("piece of %d bytes, %d wanted", len(out), n)
	}
	if err != nil {
		return nil, err
	}
	return out[:n], nil
}

// rtime repeats what followed the last occurrence of a byte.
func rtime(b []byte, n int) ([]byte, error) {
	var last [256]int
	out := make([]byte, 0, n)
	for len(out) < n {
		if len(b) < 2 {
			return nil, tree.Broken("rtime data ends early")
		}
		value, repeat := b[0], int(b[1])
		b = b[2:]
		out = append(out, value)
		from := last[value]
		last[value] = len(out)
		if repeat > n-len(out) {
			return nil, tree.Broken("rtime data is too long")
		}
		for i := range repeat {
			out = append(out, out[from+i])
		}
	}
	return out, nil
}
