// Package boot is for taking boot images apart: U-Boot's legacy image, its flattened image
// tree (FIT), and Android boot images. It believes no checksum and no signature; what an image
// is worth is not its question.
package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

var be = binary.BigEndian

// IsUImage tells whether b begins with a legacy header whose checksum is right.
func IsUImage(b []byte) bool {
	if len(b) < 64 || be.Uint32(b) != 0x27051956 {
		return false
	}
	h := bytes.Clone(b[:64])
	clear(h[4:8])
	return crc32.ChecksumIEEE(h) == be.Uint32(b[4:])
}

// UImage is a tree.Reader.
func UImage(src format.Source, visit tree.Visit) (int64, error) {
	h := src.Head(64)
	if !IsUImage(h) {
		return 0, tree.Broken("no legacy image header")
	}
	size := int64(be.Uint32(h[12:]))
	if size > src.Size()-64 {
		return 0, tree.Broken("legacy image of %d bytes in %d", size, src.Size()-64)
	}
	if h[30] != 4 { // several files
		return 64 + size, segment(src, "data", 64, size, visit)
	}
	at := int64(64)
	var sizes []int64
	for range 64 {
		b, err := src.Bytes(at, 4)
		if err != nil {
			return 64 + size, err
		}
		at += 4
		n := int64(be.Uint32(b))
		if n == 0 {
			break
		}
		sizes = append(sizes, n)
	}
	for i, n := range sizes {
		if n > 64+size-at {
			return 64 + size, tree.Broken("part %d of %d bytes", i, n)
		}
		if err := segment(src, fmt.Sprintf("data%d", i), at, n, visit); err != nil {
			return 64 + size, err
		}
		at += up(n, 4)
	}
	return 64 + size, nil
}

func segment(src format.Source, name string, at, n int64, visit tree.Visit) error {
	if at < 0 || n < 0 || at > src.Size() || n > src.Size()-at {
		return tree.Broken("part %q: %d bytes at %d", name, n, at)
	}
	s := format.NewSource(src.Section(at, n), n)
	return visit(tree.Entry{Name: name, NoMode: true, Size: n, Place: &s, Segment: true})
}

func up(n, to int64) int64 { return (n + to - 1) / to * to }

// IsFDT tells whether b begins with a flattened device tree.
func IsFDT(b []byte) bool {
	return len(b) >= 40 && be.Uint32(b) == 0xd00dfeed && be.Uint32(b[4:]) >= 40 && be.Uint32(b[20:]) >= 16 && be.Uint32(b[20:]) <= 17 &&
		be.Uint32(b[8:]) < be.Uint32(b[4:]) && be.Uint32(b[12:]) <= be.Uint32(b[4:])
}

// FIT is a tree.Reader: the images of a flattened image tree. A device tree without
// images has no entries.
func FIT(src format.Source, visit tree.Visit) (int64, error) {
	h := src.Head(40)
	if !IsFDT(h) {
		return 0, tree.Broken("no flattened device tree")
	}
	total := int64(be.Uint32(h[4:]))
	if total > src.Size() {
		return 0, tree.Broken("device tree of %d bytes in %d", total, src.Size())
	}
	f := fdt{src: src, at: int64(be.Uint32(h[8:])), end: total, strings: int64(be.Uint32(h[12:])), external: up(total, 4), used: total}
	err := f.walk(visit)
	return f.used, err
}

type fdt struct {
	src               format.Source
	at, end, strings  int64
	external, used    int64 // data outside the tree counts from here
	path              []string
	image             string
	data              *[2]int64
	size, offset, pos int64
}

func (f *fdt) word() (uint32, error) {
	if f.at+4 > f.end {
		return 0, tree.Broken("device tree ends early")
	}
	b, err := f.src.Bytes(f.at, 4)
	if err != nil {
		return 0, err
	}
	f.at += 4
	return be.Uint32(b), nil
}

// text reads a string that ends with a zero.
func (f *fdt) text(at int64) (string, error) {
	b, err := io.ReadAll(f.src.Section(at, min(256, max(0, f.end-at))))
	if err != nil {
		return "", err
	}
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		return "", tree.Broken("name without an end at %d", at)
	}
	return string(b[:n]), nil
}

func (f *fdt) walk(visit tree.Visit) error {
	for {
		token, err := f.word()
		if err != nil {
			return err
		}
		switch token {
		case 1:
			name, err := f.text(f.at)
			if err != nil {
				return err
			}
			f.at = up(f.at+int64(len(name))+1, 4)
			if f.path = append(f.path, name); len(f.path) > tree.MaxDepth {
				return fmt.Errorf("device tree deeper than %d: %w", tree.MaxDepth, tree.ErrLimit)
			}
			if len(f.path) == 3 && f.path[1] == "images" {
				f.image, f.data, f.size, f.offset, f.pos = name, nil, -1, -1, -1
			}
		case 2:
			if len(f.path) == 3 && f.path[1] == "images" {
				if err := f.emit(visit); err != nil {
					return err
				}
			}
			if len(f.path) == 0 {
				return tree.Broken("device tree closes more than it opens")
			}
			f.path = f.path[:len(f.path)-1]
		case 3:
			if err := f.property(); err != nil {
				return err
			}
		case 4:
		case 9:
			return nil
		default:
			return tree.Broken("device tree token %d", token)
		}
	}
}

func (f *fdt) property() error {
	n, err := f.word()
	if err != nil {
		return err
	}
	nameAt, err := f.word()
	if err != nil {
		return err
	}
	at := f.at
	if int64(n) > f.end-at {
		return tree.Broken("property of %d bytes", n)
	}
	f.at = up(at+int64(n), 4)
	if len(f.path) != 3 || f.path[1] != "images" {
		return nil
	}
	name, err := f.text(f.strings + int64(nameAt))
	if err != nil {
		return err
	}
	if name == "data" {
		f.data = &[2]int64{at, int64(n)}
		return nil
	}
	if n != 4 || !strings.HasPrefix(name, "data-") {
		return nil
	}
	b, err := f.src.Bytes(at, 4)
	if err != nil {
		return err
	}
	switch name {
	case "data-size":
		f.size = int64(be.Uint32(b))
	case "data-offset":
		f.offset = int64(be.Uint32(b))
	case "data-position":
		f.pos = int64(be.Uint32(b))
	}
	return nil
}

// emit visits the image whose node closes.
func (f *fdt) emit(visit tree.Visit) error {
	at, n := int64(-1), f.size
	switch {
	case f.data != nil:
		at, n = f.data[0], f.data[1]
	case f.pos >= 0:
		at = f.pos
	case f.offset >= 0:
		at = f.external + f.offset
	}
	if at < 0 || n < 0 {
		return nil
	}
	if err := segment(f.src, f.image, at, n, visit); err != nil {
		return err
	}
	f.used = max(f.used, at+n)
	return nil
}

// IsAndroid tells whether b begins with an Android boot image of header version 0 to 4.
func IsAndroid(b []byte) bool {
	return len(b) >= 64 && string(b[:8]) == "ANDROID!" && binary.LittleEndian.Uint32(b[40:]) <= 4 || len(b) >= 64 && string(b[:8]) == "ANDROID!" && pageSize(b) != 0
}

func pageSize(b []byte) int64 {
	if n := int64(binary.LittleEndian.Uint32(b[36:])); n >= 2048 && n <= 65536 && n&(n-1) == 0 {
		return n
	}
	return 0
}

// Android is a tree.Reader: kernel, ramdisk and second stage.
func Android(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(64)
	if !IsAndroid(b) {
		return 0, tree.Broken("no Android boot image")
	}
	le := binary.LittleEndian
	page, sizes := pageSize(b), []int64{int64(le.Uint32(b[8:])), int64(le.Uint32(b[16:])), int64(le.Uint32(b[24:]))}
	if v := le.Uint32(b[40:]); v == 3 || v == 4 {
		page, sizes = 4096, []int64{int64(le.Uint32(b[8:])), int64(le.Uint32(b[12:]))}
	}
	if page == 0 {
		return 0, tree.Broken("Android boot image without a page size")
	}
	at := page
	for i, n := range sizes {
		if n == 0 {
			continue
		}
		if err := segment(src, []string{"kernel", "ramdisk", "second"}[i], at, n, visit); err != nil {
			return min(at, src.Size()), err
		}
		at += up(n, page)
	}
	return min(at, src.Size()), nil
}
