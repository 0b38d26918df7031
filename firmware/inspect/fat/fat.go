// Package fat is for reading FAT12, FAT16 and FAT32 file systems that may lie: chains of
// clusters in circles, folders in circles and sizes beyond the file system are refused. It
// reads long names, and writes nothing.
package fat

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

var le = binary.LittleEndian

type image struct {
	src      format.Source
	bits     int
	sector   int64
	cluster  int64 // bytes
	fat      int64 // place of the first table
	fatSize  int64
	root     int64 // place of the root folder of FAT12 and FAT16
	rootSize int64
	rootAt   uint32 // its cluster on FAT32
	data     int64
	clusters uint32 // number of the last cluster
	entries  uint32
}

// Is tells whether b begins with a boot sector that Walk would try.
func Is(b []byte) bool {
	_, _, err := parse(b)
	return err == nil
}

func parse(b []byte) (im image, size int64, err error) {
	bad := func() (image, int64, error) { return image{}, 0, tree.Broken("no FAT boot sector") }
	if len(b) < 512 || b[510] != 0x55 || b[511] != 0xaa || (b[0] != 0xeb || b[2] != 0x90) && b[0] != 0xe9 {
		return bad()
	}
	im.sector = int64(le.Uint16(b[11:]))
	per, reserved, fats := int64(b[13]), int64(le.Uint16(b[14:])), int64(b[16])
	if im.sector < 512 || im.sector > 4096 || im.sector&(im.sector-1) != 0 || per == 0 || per&(per-1) != 0 || reserved == 0 || fats < 1 || fats > 2 || b[21] < 0xf0 {
		return bad()
	}
	sectors := int64(le.Uint16(b[19:]))
	if sectors == 0 {
		sectors = int64(le.Uint32(b[32:]))
	}
	im.fatSize = int64(le.Uint16(b[22:]))
	large := im.fatSize == 0
	if large {
		im.fatSize, im.rootAt = int64(le.Uint32(b[36:])), le.Uint32(b[44:])
	}
	im.cluster = per * im.sector
	im.fat, im.fatSize = reserved*im.sector, im.fatSize*im.sector
	im.root = im.fat + fats*im.fatSize
	im.rootSize = int64(le.Uint16(b[17:])) * 32
	im.data = im.root + (im.rootSize+im.sector-1)/im.sector*im.sector
	size = sectors * im.sector
	if im.fatSize == 0 || im.data >= size || (large != (im.rootSize == 0)) {
		return bad()
	}
	count := (size - im.data) / im.cluster
	switch {
	case large:
		im.bits = 32
	case count < 4085:
		im.bits = 12
	default:
		im.bits = 16
	}
	// The table must have room for the clusters that it describes.
	count = min(count, im.fatSize*8/int64(im.bits)-2)
	if count < 1 || count > 1<<28 {
		return bad()
	}
	im.clusters = uint32(count) + 1
	return im, size, nil
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	b, err := src.Bytes(0, 512)
	if err != nil {
		return 0, err
	}
	im, size, err := parse(b)
	if err != nil {
		return 0, err
	}
	if size > src.Size() {
		return 0, tree.Broken("FAT of %d bytes in %d", size, src.Size())
	}
	im.src = src
	var lines tree.Lines
	if im.bits == 32 {
		return size, im.dir(&chain{im: &im, cluster: im.rootAt, left: -1}, uint64(im.rootAt), "", &lines, visit)
	}
	return size, im.dir(src.Section(im.root, im.rootSize), 0, "", &lines, visit)
}

// next is the cluster behind c; 0 at the end of a chain.
func (im *image) next(c uint32) (uint32, error) {
	if c < 2 || c > im.clusters {
		return 0, tree.Broken("cluster %d of %d", c, im.clusters)
	}
	at, n := int64(c)*int64(im.bits)/8, int64(im.bits+7)/8
	b, err := im.src.Bytes(im.fat+at, n)
	if err != nil {
		return 0, err
	}
	switch im.bits {
	case 12:
		v := le.Uint16(b)
		if c&1 == 1 {
			v >>= 4
		}
		if v &= 0xfff; v >= 0xff8 {
			return 0, nil
		}
		return uint32(v), nil
	case 16:
		if v := le.Uint16(b); v < 0xfff8 {
			return uint32(v), nil
		}
		return 0, nil
	}
	if v := le.Uint32(b) & 0x0fffffff; v < 0x0ffffff8 {
		return v, nil
	}
	return 0, nil
}

// chain streams clusters. It takes no more of them than there are.
type chain struct {
	im      *image
	cluster uint32
	left    int64 // bytes of the file; -1 for a folder, which ends with its chain
	seen    uint32
	cur     io.Reader
}

func (c *chain) Read(b []byte) (int, error) {
	for {
		if c.cur != nil {
			if n, _ := c.cur.Read(b); n > 0 {
				if c.left > 0 {
					c.left -= int64(n)
				}
				return n, nil
			}
			next, err := c.im.next(c.cluster)
			if err != nil {
				return 0, err
			}
			c.cur, c.cluster = nil, next
		}
		if c.left == 0 || c.left < 0 && c.cluster == 0 {
			return 0, io.EOF
		}
		if c.seen++; c.seen > c.im.clusters {
			return 0, tree.Broken("clusters in a circle")
		}
		if c.cluster < 2 || c.cluster > c.im.clusters {
			return 0, tree.Broken("cluster %d of %d", c.cluster, c.im.clusters)
		}
		size := c.im.cluster
		if c.left > 0 {
			size = min(size, c.left)
		}
		s := c.im.src.Section(c.im.data+int64(c.cluster-2)*c.im.cluster, size)
		if s.Size() < size {
			return 0, tree.Broken("cluster outside the image")
		}
		c.cur = s
	}
}

func (im *image) dir(r io.Reader, id uint64, name string, lines *tree.Lines, visit tree.Visit) error {
	if err := lines.Enter(id); err != nil {
		return err
	}
	defer lines.Leave()
	if name == "" {
		if err := visit(tree.Entry{Mode: fs.ModeDir, NoMode: true}); err != nil {
			return err
		}
	}
	listing, err := io.ReadAll(io.LimitReader(r, 65536*32)) // what the specification allows for one folder
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	var long []uint16
	for ; len(listing) >= 32 && listing[0] != 0; listing = listing[32:] {
		e := listing[:32]
		attr := e[11]
		switch {
		case e[0] == 0xe5:
			long = nil
		case attr == 0x0f:
			long = longName(long, e)
		case attr&0x08 != 0: // the volume's label
			long = nil
		default:
			own := shortName(e)
			if len(long) > 0 {
				own = string(utf16.Decode(long))
			}
			long = nil
			if own == "." || own == ".." {
				continue
			}
			if err := im.child(e, name+"/"+own, lines, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (im *image) child(e []byte, name string, lines *tree.Lines, visit tree.Visit) error {
	if im.entries++; im.entries > im.clusters+1<<16 {
		return fmt.Errorf("%d entries: %w", im.entries, tree.ErrLimit)
	}
	first := uint32(le.Uint16(e[26:]))
	if im.bits == 32 {
		first |= uint32(le.Uint16(e[20:])) << 16
	}
	if e[11]&0x10 != 0 {
		if err := visit(tree.Entry{Name: name, Mode: fs.ModeDir, NoMode: true}); err != nil {
			return err
		}
		return im.dir(&chain{im: im, cluster: first, left: -1}, uint64(first), name, lines, visit)
	}
	size := int64(le.Uint32(e[28:]))
	return visit(tree.Entry{Name: name, NoMode: true, Size: size, Open: func() (io.Reader, error) {
		return &chain{im: im, cluster: first, left: size}, nil
	}})
}

// longName puts one piece of a long name before those that came earlier.
func longName(have []uint16, e []byte) []uint16 {
	if e[0]&0x40 != 0 {
		have = nil
	}
	if len(have) > 255 {
		return nil
	}
	var part []uint16
	for _, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
		c := le.Uint16(e[at:])
		if c == 0 || c == 0xffff {
			break
		}
		part = append(part, c)
	}
	return append(part, have...)
}

func shortName(e []byte) string {
	stem, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if e[12]&0x08 != 0 {
		stem = strings.ToLower(stem)
	}
	if e[12]&0x10 != 0 {
		ext = strings.ToLower(ext)
	}
	if strings.HasPrefix(stem, "\x05") {
		stem = "\xe5" + stem[1:]
	}
	if ext != "" {
		stem += "." + ext
	}
	return stem
}
