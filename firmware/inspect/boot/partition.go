package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

const sector = 512

// IsMBR tells whether b begins with a partition table of the old kind whose entries make sense.
func IsMBR(b []byte) bool {
	if len(b) < sector || b[510] != 0x55 || b[511] != 0xaa {
		return false
	}
	used := 0
	for i := range 4 {
		e := b[446+16*i:]
		if e[0]&0x7f != 0 {
			return false
		}
		if e[4] != 0 {
			if binary.LittleEndian.Uint32(e[8:]) == 0 || binary.LittleEndian.Uint32(e[12:]) == 0 {
				return false
			}
			used++
		}
	}
	return used > 0
}

// IsGPT tells whether b begins with a protective MBR and a GPT header.
func IsGPT(b []byte) bool {
	return len(b) >= 2*sector && string(b[sector:sector+8]) == "EFI PART" && b[510] == 0x55 && b[511] == 0xaa
}

// MBR is a tree.Reader: each partition is a segment.
func MBR(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(sector)
	if !IsMBR(b) {
		return 0, tree.Broken("no partition table")
	}
	end := int64(sector)
	le := binary.LittleEndian
	for i := range 4 {
		e := b[446+16*i:]
		if e[4] == 0 {
			continue
		}
		at, n := int64(le.Uint32(e[8:]))*sector, int64(le.Uint32(e[12:]))*sector
		if e[4] == 0x05 || e[4] == 0x0f || e[4] == 0x85 {
			last, err := extended(src, at, visit)
			if end = max(end, last); err != nil {
				return end, err
			}
			continue
		}
		if err := partition(src, fmt.Sprintf("partition%d", i+1), at, n, visit); err != nil {
			return end, err
		}
		end = max(end, min(at+n, src.Size()))
	}
	return end, nil
}

// extended follows the chain of logical partitions, each of which names the next.
func extended(src format.Source, base int64, visit tree.Visit) (int64, error) {
	le := binary.LittleEndian
	end, at := base, base
	for i := range 64 {
		b, err := src.Bytes(at, sector)
		if err != nil || b[510] != 0x55 || b[511] != 0xaa {
			return end, tree.Broken("extended partition at %d", at)
		}
		if b[446+4] != 0 {
			start, n := at+int64(le.Uint32(b[446+8:]))*sector, int64(le.Uint32(b[446+12:]))*sector
			if err := partition(src, fmt.Sprintf("partition%d", i+5), start, n, visit); err != nil {
				return end, err
			}
			end = max(end, min(start+n, src.Size()))
		}
		next := int64(le.Uint32(b[462+8:]))
		if b[462+4] == 0 || next == 0 {
			return end, nil
		}
		at = base + next*sector
	}
	return end, tree.Broken("extended partitions in a circle")
}

// partition visits the part of a partition that is in the image: dumps are often cut short.
func partition(src format.Source, name string, at, n int64, visit tree.Visit) error {
	if at >= src.Size() {
		return nil
	}
	return segment(src, name, at, min(n, src.Size()-at), visit)
}

// GPT is a tree.Reader: each partition is a segment.
func GPT(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(2 * sector)
	if !IsGPT(b) {
		return 0, tree.Broken("no GPT")
	}
	le := binary.LittleEndian
	h := b[sector:]
	table, count, size := int64(le.Uint64(h[72:])), int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
	if size < 128 || size > 4096 || count > 1024 || table < 2 || table > src.Size()/sector {
		return 0, tree.Broken("GPT of %d entries of %d bytes", count, size)
	}
	entries, err := src.Bytes(table*sector, count*size)
	if err != nil {
		return 0, err
	}
	end := max(table*sector+count*size, 34*sector)
	for i := int64(0); i < count; i++ {
		e := entries[i*size:]
		if le.Uint64(e) == 0 && le.Uint64(e[8:]) == 0 {
			continue
		}
		first, last := int64(le.Uint64(e[32:])), int64(le.Uint64(e[40:]))
		if first < 1 || last < first || last >= 1<<50 {
			return end, tree.Broken("partition %d from %d to %d", i+1, first, last)
		}
		if err := partition(src, fmt.Sprintf("partition%d", i+1), first*sector, (last-first+1)*sector, visit); err != nil {
			return end, err
		}
		end = max(end, min((last+1)*sector, src.Size()))
	}
	return backup(src, h, entries, end, visit)
}

// backup follows to the copy of the table at the end of the disk, where there is one and it is the same; what
// lies before it and in no partition is a segment, too.
func backup(src format.Source, h, entries []byte, end int64, visit tree.Visit) (int64, error) {
	le := binary.LittleEndian
	last := src.Size()/sector - 1
	if le.Uint64(h[32:]) != uint64(last) || last*sector < end {
		return end, nil
	}
	copied, err := src.Bytes(last*sector, sector)
	if err != nil || string(copied[:8]) != "EFI PART" || le.Uint64(copied[72:]) > uint64(last) {
		return end, nil
	}
	at := int64(le.Uint64(copied[72:])) * sector
	same, err := src.Bytes(at, int64(len(entries)))
	if err != nil || at < end || !bytes.Equal(same, entries) {
		return end, nil
	}
	if at > end {
		if err := segment(src, "unpartitioned", end, at-end, visit); err != nil {
			return end, err
		}
	}
	return (last + 1) * sector, nil
}
