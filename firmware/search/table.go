package search

import (
	"bytes"
	"encoding/binary"
)

// table finds any of many patterns by the method of Wu and Manber ("A fast algorithm for
// multi-pattern searching", 1994): the last bytes of a window as wide as the shortest
// pattern tell how far the window may move without skipping a match, so most bytes are
// never looked at. The longer the shortest secret, the faster.
type table struct {
	patterns []pattern
	window   int     // the shortest pattern's length
	shift    []uint8 // by hash of a block: how far to move, 0 for "look closer"
	first    []int32 // by hash of a block: head of the chain in next, -1 for none
	next     []int32 // by pattern
}

const (
	hashBits = 15 // 32 KB of shifts stay in the first-level cache
	block    = 4  // bytes; MinLength leaves room for it
)

func newTable(patterns []pattern) table {
	t := table{
		patterns: patterns,
		window:   len(patterns[0].bytes),
		shift:    make([]uint8, 1<<hashBits),
		first:    make([]int32, 1<<hashBits),
		next:     make([]int32, len(patterns)),
	}
	for _, p := range patterns {
		t.window = min(t.window, len(p.bytes))
	}
	t.window = min(t.window, 255+block-1)
	for i := range t.shift {
		t.shift[i], t.first[i] = uint8(t.window-block+1), -1
	}
	for i, p := range patterns {
		for at := 0; at+block <= t.window; at++ {
			h := hash(p.bytes[at:])
			t.shift[h] = min(t.shift[h], uint8(t.window-block-at))
		}
		h := hash(p.bytes[t.window-block:])
		t.next[i], t.first[h] = t.first[h], int32(i)
	}
	return t
}

// hash of the first four bytes: multiplication by 2^32 over the golden ratio.
func hash(b []byte) uint32 {
	return binary.LittleEndian.Uint32(b) * 2654435769 >> (32 - hashBits)
}

// lanes is how many parts of a long text are searched in turns: each step waits for
// two loads that depend on the one before, so one lane alone leaves the processor idle.
const lanes = 4

// each calls found for every match in b, with its offset and pattern; in order of
// offset within a lane only.
func (t *table) each(b []byte, found func(at, which int)) {
	from := t.window // position behind the first window
	if part := (len(b) - from) / lanes; part > 4*t.window {
		t.inTurns(b, from, part, found)
		from += lanes * part
	}
	t.alone(b, from, len(b)+1, found)
}

// inTurns searches the windows that end at from up to from+lanes*part.
func (t *table) inTurns(b []byte, from, part int, found func(at, which int)) {
	shift := (*[1 << hashBits]uint8)(t.shift)
	end0, end1, end2, end3 := from, from+part, from+2*part, from+3*part
	stop0, stop1, stop2, stop3 := end1, end2, end3, end3+part
	for end0 < stop0 && end1 < stop1 && end2 < stop2 && end3 < stop3 {
		n0 := shift[hash(b[end0-block:])]
		n1 := shift[hash(b[end1-block:])]
		n2 := shift[hash(b[end2-block:])]
		n3 := shift[hash(b[end3-block:])]
		if n0 == 0 {
			n0 = t.check(b, end0, found)
		}
		if n1 == 0 {
			n1 = t.check(b, end1, found)
		}
		if n2 == 0 {
			n2 = t.check(b, end2, found)
		}
		if n3 == 0 {
			n3 = t.check(b, end3, found)
		}
		end0, end1, end2, end3 = end0+int(n0), end1+int(n1), end2+int(n2), end3+int(n3)
	}
	t.alone(b, end0, stop0, found)
	t.alone(b, end1, stop1, found)
	t.alone(b, end2, stop2, found)
	t.alone(b, end3, stop3, found)
}

// alone searches the windows that end at end up to stop.
func (t *table) alone(b []byte, end, stop int, found func(at, which int)) {
	shift := (*[1 << hashBits]uint8)(t.shift)
	for end < stop {
		n := shift[hash(b[end-block:])]
		if n == 0 {
			n = t.check(b, end, found)
		}
		end += int(n)
	}
}

// check looks closer at the window that ends at end, and returns how far to move.
func (t *table) check(b []byte, end int, found func(at, which int)) uint8 {
	at := end - t.window
	for i := t.first[hash(b[end-block:])]; i >= 0; i = t.next[i] {
		if bytes.HasPrefix(b[at:], t.patterns[i].bytes) {
			found(at, int(i))
		}
	}
	return 1
}
