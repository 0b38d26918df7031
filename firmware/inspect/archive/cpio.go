package archive

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

// maxEntries bounds the members of one archive; the inspection's own limit is usually lower.
const maxEntries = 1 << 22

// IsCPIO tells whether b begins with a member of a cpio archive (newc, crc, odc or old binary).
func IsCPIO(b []byte) bool {
	if len(b) < 76 {
		return false
	}
	switch string(b[:6]) {
	case "070701", "070702":
		_, err := newc(b)
		return err == nil && len(b) >= 110
	case "070707":
		_, err := odc(b)
		return err == nil
	}
	return false
}

type member struct {
	mode, uid, gid, inode, links uint32
	size, name                   int64
	head                         int64 // bytes of the header
	pad                          int64 // what header with name, and data, are padded to
}

func fields(b []byte, base int, widths ...int) ([]uint64, error) {
	var out []uint64
	for _, w := range widths {
		n, err := strconv.ParseUint(string(b[:w]), base, 64)
		if err != nil {
			return nil, tree.Broken("cpio header")
		}
		out = append(out, n)
		b = b[w:]
	}
	return out, nil
}

func newc(b []byte) (member, error) {
	if len(b) < 110 {
		return member{}, tree.Broken("cpio header")
	}
	f, err := fields(b[6:], 16, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8)
	if err != nil {
		return member{}, err
	}
	return member{inode: uint32(f[0]), mode: uint32(f[1]), uid: uint32(f[2]), gid: uint32(f[3]), links: uint32(f[4]),
		size: int64(f[6]), name: int64(f[11]), head: 110, pad: 4}, nil
}

func odc(b []byte) (member, error) {
	if len(b) < 76 {
		return member{}, tree.Broken("cpio header")
	}
	f, err := fields(b[6:], 8, 6, 6, 6, 6, 6, 6, 6, 11, 6, 11)
	if err != nil {
		return member{}, err
	}
	return member{inode: uint32(f[1]), mode: uint32(f[2]), uid: uint32(f[3]), gid: uint32(f[4]), links: uint32(f[5]),
		size: int64(f[9]), name: int64(f[8]), head: 76, pad: 1}, nil
}

// CPIO is a tree.Reader.
func CPIO(src format.Source, visit tree.Visit) (int64, error) {
	at := int64(0)
	for range maxEntries {
		b := src.Section(at, 110)
		head, err := io.ReadAll(b)
		if err != nil {
			return at, err
		}
		var m member
		switch {
		case len(head) >= 6 && (string(head[:6]) == "070701" || string(head[:6]) == "070702"):
			m, err = newc(head)
		case len(head) >= 6 && string(head[:6]) == "070707":
			m, err = odc(head)
		default:
			return at, tree.Broken("no cpio header at %d", at)
		}
		if err != nil {
			return at, err
		}
		if m.name < 1 || m.name > tree.MaxName {
			return at, tree.Broken("cpio name of %d bytes", m.name)
		}
		raw, err := src.Bytes(at+m.head, m.name)
		if err != nil {
			return at, err
		}
		data := up(at+m.head+m.name, m.pad)
		if m.size > src.Size()-data {
			return at, tree.Broken("cpio member of %d bytes at %d", m.size, at)
		}
		name := strings.TrimRight(string(raw), "\x00")
		next := up(data+m.size, m.pad)
		if name == "TRAILER!!!" {
			return min(up(padded(src, min(next, src.Size())), 4), src.Size()), nil
		}
		if err := cpioEntry(src, m, name, data, visit); err != nil {
			return at, err
		}
		at = next
	}
	return at, fmt.Errorf("%d members: %w", maxEntries, tree.ErrLimit)
}

func cpioEntry(src format.Source, m member, name string, data int64, visit tree.Visit) error {
	e := tree.Entry{Name: name, Mode: tree.Mode(m.mode), UID: m.uid, GID: m.gid}
	switch m.mode & 0o170000 {
	case 0o100000:
		if m.size == 0 && m.links > 1 {
			return nil // a hard link: the data is with the last of them
		}
		s := format.NewSource(src.Section(data, m.size), m.size)
		e.Size, e.Place = m.size, &s
	case 0o120000:
		if m.size > tree.MaxName {
			return tree.Broken("link target of %d bytes", m.size)
		}
		b, err := src.Bytes(data, m.size)
		if err != nil {
			return err
		}
		e.Target = string(b)
	}
	return visit(e)
}

func up(n, to int64) int64 { return (n + to - 1) / to * to }

// padded passes over the zeros that fill the last block of 512 bytes.
func padded(src format.Source, at int64) int64 {
	end := min(up(at, 512), src.Size())
	b, err := src.Bytes(at, end-at)
	if err != nil {
		return at
	}
	for _, c := range b {
		if c != 0 {
			return at
		}
	}
	return end
}
