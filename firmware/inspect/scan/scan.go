// Package scan is for finding the places of an image that deserve a closer look: one pass for
// all needles, by hashes of four bytes as package search does, with a filter small enough for
// the first-level cache. It says where, never what it means.
package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A Needle is what is looked for: at least four bytes.
type Needle struct {
	Text string
	Back int64 // how far before the needle the thing begins
}

// A Hit is one place.
type Hit struct {
	Offset int64 // of the thing, that is of the needle less Back
	Needle int   // index in the list given to New
}

// A Table finds any of many needles. It may be used by several goroutines at once.
type Table struct {
	needles []Needle
	filter  [1 << (hashBits - 6)]uint64
	first   [1 << hashBits]int16
	next    []int16
	longest int
}

const (
	hashBits = 16
	block    = 4
	chunk    = 256 << 10
)

// ErrNeedle is returned by New for a needle that the table cannot hold.
var ErrNeedle = errors.New("needle shorter than four bytes")

// New makes a table.
func New(needles []Needle) (*Table, error) {
	t := &Table{needles: needles, next: make([]int16, len(needles))}
	for i := range t.first {
		t.first[i] = -1
	}
	for i, n := range needles {
		if len(n.Text) < block {
			return nil, fmt.Errorf("needle %d: %w", i, ErrNeedle)
		}
		t.longest = max(t.longest, len(n.Text))
		h := hash(binary.LittleEndian.Uint32([]byte(n.Text)))
		t.filter[h>>6] |= 1 << (h & 63)
		t.next[i], t.first[h] = t.first[h], int16(i)
	}
	return t, nil
}

// hash of four bytes: multiplication by 2^32 over the golden ratio, as in package search.
func hash(v uint32) uint32 { return v * 2654435769 >> (32 - hashBits) }

// Read searches r and calls found for every hit in order of the needle's place, and each for
// every chunk with its offset, so that a second question about all bytes needs no second pass.
func (t *Table) Read(ctx context.Context, r io.Reader, each func(at int64, b []byte), found func(Hit) error) error {
	buf := make([]byte, chunk+t.longest)
	kept := 0
	var base int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf[kept:kept+chunk])
		if n > 0 {
			if each != nil {
				each(base+int64(kept), buf[kept:kept+n])
			}
			last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
			if err := t.bytes(buf[:kept+n], base, last, found); err != nil {
				return err
			}
			keep := min(kept+n, t.longest-1)
			base += int64(kept + n - keep)
			copy(buf, buf[kept+n-keep:kept+n])
			kept = keep
		} else if kept > 0 && err != nil {
			if err := t.bytes(buf[:kept], base, true, found); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// bytes reports the needles that begin in b; unless it is the last part, those that begin in
// its tail are left to the next call, which sees them whole.
func (t *Table) bytes(b []byte, base int64, last bool, found func(Hit) error) error {
	end := len(b) - t.longest + 1
	if last {
		end = len(b) - block + 1
	}
	i := 0
	for ; i < end-4 && i+8 <= len(b); i += 4 {
		// Four places at once: one load, and one branch that is hardly ever taken.
		v := binary.LittleEndian.Uint64(b[i:])
		h0, h1, h2, h3 := hash(uint32(v)), hash(uint32(v>>8)), hash(uint32(v>>16)), hash(uint32(v>>24))
		if (t.filter[h0>>6]>>(h0&63)|t.filter[h1>>6]>>(h1&63)|t.filter[h2>>6]>>(h2&63)|t.filter[h3>>6]>>(h3&63))&1 == 0 {
			continue
		}
		for k, h := range [4]uint32{h0, h1, h2, h3} {
			if err := t.check(b, i+k, base, h, found); err != nil {
				return err
			}
		}
	}
	for ; i < end; i++ {
		if err := t.check(b, i, base, hash(binary.LittleEndian.Uint32(b[i:])), found); err != nil {
			return err
		}
	}
	return nil
}

// check compares the needles of one hash with what lies at i.
func (t *Table) check(b []byte, i int, base int64, h uint32, found func(Hit) error) error {
	if t.filter[h>>6]&(1<<(h&63)) == 0 {
		return nil
	}
	for n := t.first[h]; n >= 0; n = t.next[n] {
		if !bytes.HasPrefix(b[i:], []byte(t.needles[n].Text)) {
			continue
		}
		if at := base + int64(i) - t.needles[n].Back; at >= 0 {
			if err := found(Hit{at, int(n)}); err != nil {
				return err
			}
		}
	}
	return nil
}
