package search

import (
	"bytes"
	"encoding/binary"
)

// table finds any of many patterns. Only every stride-th block of four bytes is looked at:
// as long as a pattern is at least stride+3 bytes long, exactly one such block lies within its
// head, wherever it begins, so that each match is found and found once. A bit for each block that
// any pattern's head holds tells whether to look closer; it is rarely set by chance. No step
// waits for the one before, which is what makes it fast. The longer the shortest secret, the
// longer the stride.
type table struct {
	patterns []pattern
	stride   int
	bits     [1 << (bitsBits - 6)]uint64 // by hash of a block
	first    []int32                     // by the hash's leading bits: head of the chain in entries, -1 for none
	entries  []entry
}

// entry is a block of a pattern's head.
type entry struct {
	which int32 // pattern
	at    int32 // of the block in it
	next  int32 // in the chain, -1 for the last
}

const (
	bitsBits  = 19 // 64 KB of bits stay in the second-level cache
	firstBits = 15
	block     = 4  // bytes; MinLength leaves room for it
	sparse    = 16 // at most one bit in so many is set by the patterns
)

func newTable(patterns []pattern) table {
	shortest := len(patterns[0].bytes)
	for _, p := range patterns {
		shortest = min(shortest, len(p.bytes))
	}
	most := (1 << bitsBits) / sparse / len(patterns)
	t := table{patterns: patterns, stride: max(1, min(shortest-block+1, most)), first: make([]int32, 1<<firstBits)}
	for i := range t.first {
		t.first[i] = -1
	}
	for i, p := range patterns {
		for at := range t.stride {
			h := hash(p.bytes[at:])
			t.bits[h>>(32-bitsBits+6)] |= 1 << (h >> (32 - bitsBits) & 63)
			head := &t.first[h>>(32-firstBits)]
			t.entries = append(t.entries, entry{int32(i), int32(at), *head})
			*head = int32(len(t.entries) - 1)
		}
	}
	return t
}

// hash of the first four bytes: multiplication by 2^32 over the golden ratio.
func hash(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 2654435769 }

// each calls found for every match in b, with its offset and pattern.
func (t *table) each(b []byte, found func(at, which int)) {
	at, stride := 0, t.stride
	for ; at+3*stride+block <= len(b); at += 4 * stride {
		// Four at once: the processor works on all of them before it has to decide.
		h0, h1 := hash(b[at:]), hash(b[at+stride:])
		h2, h3 := hash(b[at+2*stride:]), hash(b[at+3*stride:])
		if (t.bit(h0)|t.bit(h1)|t.bit(h2)|t.bit(h3))&1 == 0 {
			continue
		}
		for i, h := range [4]uint32{h0, h1, h2, h3} {
			if t.bit(h)&1 != 0 {
				t.check(b, at+i*stride, h, found)
			}
		}
	}
	for ; at+block <= len(b); at += stride {
		if h := hash(b[at:]); t.bit(h)&1 != 0 {
			t.check(b, at, h, found)
		}
	}
}

// bit has the bit of a hash as its lowest one.
func (t *table) bit(h uint32) uint64 {
	return t.bits[h>>(32-bitsBits+6)] >> (h >> (32 - bitsBits) & 63)
}

// check looks closer at the block at offset at, whose hash is h.
func (t *table) check(b []byte, at int, h uint32, found func(at, which int)) {
	for i := t.first[h>>(32-firstBits)]; i >= 0; i = t.entries[i].next {
		e := &t.entries[i]
		if begin := at - int(e.at); begin >= 0 && bytes.HasPrefix(b[begin:], t.patterns[e.which].bytes) {
			found(begin, int(e.which))
		}
	}
}
