// Package archive is for reading tar, zip and cpio archives that may lie. Names, modes and
// links are told as they stand; nothing is written, no link is followed.
package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

// IsTar tells whether b begins with a tar header whose checksum is right.
func IsTar(b []byte) bool {
	if len(b) < 512 || string(b[257:262]) != "ustar" {
		return false
	}
	sum := 8 * int(' ') // the checksum counts itself as spaces
	for i, c := range b[:512] {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	want := 0
	for _, c := range b[148:156] {
		if c >= '0' && c <= '7' {
			want = want*8 + int(c-'0')
		} else if c == 0 {
			break
		}
	}
	return sum == want
}

// position tells how much of its source a stream has taken.
type position struct{ *io.SectionReader }

func (p position) now() int64 {
	n, _ := p.Seek(0, io.SeekCurrent) // of a section it only tells
	return n
}

// Tar is a tree.Reader.
func Tar(src format.Source, visit tree.Visit) (int64, error) {
	pos := position{src.Section(0, src.Size())}
	r := tar.NewReader(pos)
	for range maxEntries {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return min(up(pos.now(), 512), src.Size()), nil
		}
		if err != nil {
			return min(pos.now(), src.Size()), fmt.Errorf("tar: %w: %w", err, tree.ErrBroken)
		}
		e := tree.Entry{Name: h.Name, Mode: h.FileInfo().Mode(), UID: uint32(h.Uid), GID: uint32(h.Gid)}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse:
			e.Size = h.Size
			if at := pos.now(); h.Typeflag == tar.TypeReg && !sparse(h) && at <= src.Size()-h.Size {
				s := format.NewSource(src.Section(at, h.Size), h.Size)
				e.Place = &s
				break
			}
			e.Open = func() (io.Reader, error) { return r, nil }
		case tar.TypeSymlink:
			e.Target = h.Linkname
		case tar.TypeLink:
			// The content is with the member that it names; only where it points is of interest.
			e.Mode, e.Target = fs.ModeIrregular, h.Linkname
		}
		if err := visit(e); err != nil {
			return min(pos.now(), src.Size()), err
		}
	}
	return min(pos.now(), src.Size()), fmt.Errorf("%d members: %w", maxEntries, tree.ErrLimit)
}

// sparse tells a member whose holes are not stored.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// IsZip tells whether b begins with a zip member's header.
func IsZip(b []byte) bool {
	return len(b) > 30 && string(b[:4]) == "PK\x03\x04" && b[4] <= 63 && b[5] == 0
}

// maxDirectory bounds a zip's central directory, which the library reads whole.
const maxDirectory = 64 << 20

// Zip is a tree.Reader.
func Zip(src format.Source, visit tree.Visit) (int64, error) {
	used, err := zipEnd(src)
	if err != nil {
		return 0, err
	}
	r, err := zip.NewReader(src.Section(0, used), used)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return 0, fmt.Errorf("zip: %w: %w", err, tree.ErrBroken)
	}
	for _, f := range r.File {
		e := tree.Entry{Name: f.Name, Mode: f.Mode(), Size: int64(f.UncompressedSize64), NoMode: f.CreatorVersion>>8 != 3}
		if f.Flags&1 != 0 {
			e.Open = func() (io.Reader, error) { return nil, fmt.Errorf("zip member is encrypted: %w", tree.ErrUnsupported) }
		} else if !e.Mode.IsDir() {
			e.Open = func() (io.Reader, error) { return f.Open() }
		}
		if e.Size < 0 {
			return used, tree.Broken("zip member of %d bytes", f.UncompressedSize64)
		}
		if e.Mode&fs.ModeSymlink != 0 {
			if e.Target, err = zipTarget(f); err != nil {
				return used, err
			}
		}
		if err := visit(e); err != nil {
			return used, err
		}
	}
	return used, nil
}

func zipTarget(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", fmt.Errorf("zip: %w: %w", err, tree.ErrBroken)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, tree.MaxName))
	return string(b), err
}

// zipEnd finds where the archive that begins src ends. A record that another archive
// behind it wrote would count other offsets, so the first that fits counts.
func zipEnd(src format.Source) (int64, error) {
	const chunk, record = 1 << 20, 22
	for from := int64(0); from+record <= src.Size(); from += chunk {
		b, err := src.Bytes(from, min(chunk+record, src.Size()-from))
		if err != nil {
			return 0, err
		}
		for i := 0; ; i++ {
			next := bytes.Index(b[i:], []byte("PK\x05\x06"))
			if next < 0 || i+next+record > len(b) {
				break
			}
			i += next
			w, at := b[i:], from+int64(i)
			size, offset := int64(le32(w[12:])), int64(le32(w[16:]))
			if offset+size <= at && size <= maxDirectory && at-offset-size <= 76 || offset == 0xffffffff {
				return min(at+record+int64(w[20])+int64(w[21])<<8, src.Size()), nil
			}
		}
	}
	return 0, tree.Broken("zip without an end")
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
