// Package ubi is for reading UBI images, and UBIFS in their volumes, that may lie: blocks are
// mapped without being copied, every node is checked by its CRC, trees that do not descend are
// refused. It replays no journal, decrypts nothing and writes nothing.
package ubi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

var be = binary.BigEndian

const (
	layoutVolume = 0x7fffefff
	maxLogical   = 1 << 17 // blocks of one volume
	recordSize   = 172
)

// crc is CRC-32 without the last inversion.
func crc(b []byte) uint32 { return ^crc32.ChecksumIEEE(b) }

// Is tells whether b begins with an erase counter header that is intact.
func Is(b []byte) bool {
	return len(b) >= 64 && string(b[:4]) == "UBI#" && be.Uint32(b[60:]) == crc(b[:60]) && be.Uint32(b[16:]) >= 64 && be.Uint32(b[20:]) > be.Uint32(b[16:])
}

// leb is where a logical block lies.
type leb struct {
	at    int64
	order uint64 // the larger sequence number wins
	size  uint32 // of the data in a static volume
}

type volume struct {
	blocks map[uint32]leb
	static bool
}

// Walk is a tree.Reader: each volume is a segment.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	h := src.Head(64)
	if !Is(h) {
		return 0, tree.Broken("no UBI header")
	}
	data := int64(be.Uint32(h[20:]))
	peb, err := blockSize(src, data)
	if err != nil {
		return 0, err
	}
	volumes, used, err := scan(src, peb)
	if err != nil {
		return used, err
	}
	names := volumeNames(src, volumes[layoutVolume])
	ids := make([]uint32, 0, len(volumes))
	for id := range volumes {
		if id != layoutVolume {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		name, ok := names[id]
		if !ok {
			name = fmt.Sprintf("volume%d", id)
		}
		s, err := volumes[id].source(src, peb-data)
		if err != nil {
			return used, err
		}
		if err := visit(tree.Entry{Name: name, Segment: true, NoMode: true, Size: s.Size(), Place: &s}); err != nil {
			return used, err
		}
	}
	return used, nil
}

// blockSize is the distance of the first two headers; an image of one block is as long as that.
func blockSize(src format.Source, data int64) (int64, error) {
	for size := int64(512); size <= 8<<20; size *= 2 {
		if size <= data {
			continue
		}
		for _, n := range []int64{size, size + size/2} {
			if b, err := src.Bytes(n, 64); err == nil && Is(b) {
				return n, nil
			}
		}
	}
	if src.Size() > data && src.Size() <= 8<<20 {
		return src.Size(), nil
	}
	return 0, tree.Broken("UBI with one header only")
}

func scan(src format.Source, peb int64) (map[uint32]*volume, int64, error) {
	volumes, used := map[uint32]*volume{}, int64(0)
	blank := 0
	for at := int64(0); at+peb <= src.Size(); at += peb {
		h, err := src.Bytes(at, 64)
		if err != nil {
			return nil, used, err
		}
		if !Is(h) {
			if blank++; blank > 64 { // bad and erased blocks lie between, but not without end
				break
			}
			continue
		}
		used, blank = at+peb, 0
		vid := at + int64(be.Uint32(h[16:]))
		if vid+64 > at+peb || int64(be.Uint32(h[20:])) >= peb {
			return nil, used, tree.Broken("UBI block at %d", at)
		}
		v, err := src.Bytes(vid, 64)
		if err != nil {
			return nil, used, err
		}
		if string(v[:4]) != "UBI!" || be.Uint32(v[60:]) != crc(v[:60]) {
			continue // a free block
		}
		id, number, order := be.Uint32(v[8:]), be.Uint32(v[12:]), be.Uint64(v[40:])
		if number >= maxLogical {
			return nil, used, fmt.Errorf("logical block %d: %w", number, tree.ErrLimit)
		}
		if volumes[id] == nil {
			volumes[id] = &volume{blocks: map[uint32]leb{}, static: v[5] == 2}
		}
		if have, ok := volumes[id].blocks[number]; !ok || order >= have.order {
			volumes[id].blocks[number] = leb{at + int64(be.Uint32(h[20:])), order, be.Uint32(v[20:])}
		}
	}
	return volumes, used, nil
}

// volumeNames reads the volume table.
func volumeNames(src format.Source, layout *volume) map[uint32]string {
	out := map[uint32]string{}
	if layout == nil {
		return out
	}
	l, ok := layout.blocks[0]
	if !ok {
		return out
	}
	for id := range uint32(128) {
		r, err := src.Bytes(l.at+int64(id)*recordSize, recordSize)
		if err != nil || be.Uint32(r[168:]) != crc(r[:168]) {
			return out
		}
		if n := int(be.Uint16(r[14:])); be.Uint32(r) > 0 && n > 0 && n <= 127 {
			out[id] = string(bytes.TrimRight(r[16:16+n], "\x00"))
		}
	}
	return out
}

// source shows a volume as one file; blocks that are not mapped are erased.
func (v *volume) source(src format.Source, size int64) (format.Source, error) {
	last := uint32(0)
	for n := range v.blocks {
		last = max(last, n)
	}
	total := (int64(last) + 1) * size
	if v.static {
		if l := v.blocks[last]; int64(l.size) <= size {
			total = int64(last)*size + int64(l.size)
		}
	}
	return format.NewSource(&mapped{src, v.blocks, size, total}, total), nil
}

type mapped struct {
	src    format.Source
	blocks map[uint32]leb
	size   int64 // of one block
	total  int64
}

// ReadAt reads across blocks.
func (m *mapped) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	for n < len(b) {
		if at < 0 || at >= m.total {
			return n, io.EOF
		}
		number, in := at/m.size, at%m.size
		part := b[n:min(int64(len(b)), int64(n)+min(m.size-in, m.total-at))]
		if l, ok := m.blocks[uint32(number)]; ok {
			if _, err := m.src.Section(l.at+in, int64(len(part))).ReadAt(part, 0); err != nil {
				return n, fmt.Errorf("logical block %d: %w", number, err)
			}
		} else {
			for i := range part {
				part[i] = 0xff
			}
		}
		n += len(part)
		at += int64(len(part))
	}
	return n, nil
}
