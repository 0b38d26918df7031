// Package romfs is for reading romfs images that may lie: entries in circles and data outside
// the image are refused. It follows no hard link and writes nothing.
package romfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

var be = binary.BigEndian

// maxEntries bounds a walk: an image may lay many entries over the same bytes.
const maxEntries = 1 << 20

type image struct {
	src  format.Source
	size int64
	seen map[int64]bool
}

// Is tells whether b begins with a superblock that Walk would try.
func Is(b []byte) bool {
	if len(b) < 32 || string(b[:8]) != "-rom1fs-" || be.Uint32(b[8:]) < 32 {
		return false
	}
	n := int(min(512, be.Uint32(b[8:])&^3))
	if len(b) < n {
		return true
	}
	var sum uint32 // of the first 512 bytes it is zero
	for ; n > 0; n, b = n-4, b[4:] {
		sum += be.Uint32(b)
	}
	return sum == 0
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(512)
	if !Is(b) {
		return 0, tree.Broken("no romfs superblock")
	}
	im := &image{src: src, size: int64(be.Uint32(b[8:])), seen: map[int64]bool{}}
	if im.size > src.Size() {
		return 0, tree.Broken("romfs of %d bytes in %d", im.size, src.Size())
	}
	_, at, err := im.name(16)
	if err != nil {
		return 0, err
	}
	if err := visit(tree.Entry{Mode: fs.ModeDir, NoMode: true}); err != nil {
		return im.size, err
	}
	var lines tree.Lines
	return im.size, im.dir(at, "", &lines, visit)
}

// name reads a name that is padded to 16 bytes, and where it ends.
func (im *image) name(at int64) (string, int64, error) {
	var name []byte
	for len(name) < tree.MaxName && at+16 <= im.size {
		b, err := im.src.Bytes(at, 16)
		if err != nil {
			return "", 0, err
		}
		at += 16
		if end := bytes.IndexByte(b, 0); end >= 0 {
			return string(append(name, b[:end]...)), at, nil
		}
		name = append(name, b...)
	}
	return "", 0, tree.Broken("name without an end")
}

func (im *image) dir(at int64, dir string, lines *tree.Lines, visit tree.Visit) error {
	if err := lines.Enter(uint64(at)); err != nil {
		return err
	}
	defer lines.Leave()
	for at != 0 {
		// Each header is in one folder only; only hard links come back to one.
		if im.seen[at] {
			return fmt.Errorf("entry at %d in %q: %w", at, dir, tree.ErrLoop)
		}
		if im.seen[at] = true; len(im.seen) > maxEntries {
			return fmt.Errorf("%d entries: %w", len(im.seen), tree.ErrLimit)
		}
		if at >= im.size {
			return tree.Broken("entry at %d of %d", at, im.size)
		}
		b, err := im.src.Bytes(at, 16)
		if err != nil {
			return err
		}
		name, data, err := im.name(at + 16)
		if err != nil {
			return err
		}
		if name != "." && name != ".." {
			if err := im.entry(b, dir+"/"+name, data, lines, visit); err != nil {
				return err
			}
		}
		at = int64(be.Uint32(b) &^ 15)
	}
	return nil
}

func (im *image) entry(b []byte, name string, data int64, lines *tree.Lines, visit tree.Visit) error {
	e := tree.Entry{Name: name, NoMode: true}
	next, info, size := be.Uint32(b), be.Uint32(b[4:]), int64(be.Uint32(b[8:]))
	switch next & 7 {
	case 0: // a hard link
		return nil
	case 1:
		e.Mode = fs.ModeDir
		if err := visit(e); err != nil {
			return err
		}
		if info == 0 {
			return nil
		}
		return im.dir(int64(info), name, lines, visit)
	case 2:
		if size > im.size-data {
			return tree.Broken("file %q of %d bytes", name, size)
		}
		s := format.NewSource(im.src.Section(data, size), size)
		e.Size, e.Place = size, &s
	case 3:
		if size > tree.MaxName {
			return tree.Broken("link target of %d bytes", size)
		}
		target, err := im.src.Bytes(data, size)
		if err != nil {
			return err
		}
		e.Mode, e.Target = fs.ModeSymlink, string(target)
	case 4:
		e.Mode = fs.ModeDevice
	case 5:
		e.Mode = fs.ModeDevice | fs.ModeCharDevice
	case 6:
		e.Mode = fs.ModeSocket
	case 7:
		e.Mode = fs.ModeNamedPipe
	}
	return visit(e)
}
