// Package ext is for reading ext2, ext3 and ext4 file systems that may lie: block maps are
// followed with bounds, folders in circles refused, sizes checked before they are allocated.
// It replays no journal, decrypts nothing and writes nothing.
package ext

import (
	"encoding/binary"
	"fmt"
	"io"

	"assay/firmware/format"
	"assay/firmware/inspect/tree"
)

var le = binary.LittleEndian

// Features that change where data lies and that are not read.
const (
	incompatKnown  = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
	incompatMetaBG = 0x10
	incompat64     = 0x80
	incompatFType  = 0x2

	flagExtents = 0x80000
	flagInline  = 0x10000000
	flagEncrypt = 0x800

	maxFolder = 64 << 20
)

type image struct {
	src       format.Source
	blockSize int64
	blocks    int64
	inodes    uint32
	perGroup  uint32
	inodeSize int64
	descSize  int64
	firstData int64
	groups    int64
	metaBG    bool
	firstMeta int64
	backup    bool // sparse_super
	entries   int64
}

// Is tells whether b, the first 2 KB, holds a superblock that Walk would try.
func Is(b []byte) bool {
	if len(b) < 1024+264 {
		return false
	}
	s := b[1024:]
	return s[0x38] == 0x53 && s[0x39] == 0xef && le.Uint32(s[0x18:]) <= 6 && le.Uint32(s[0x4c:]) <= 1 &&
		le.Uint32(s) != 0 && le.Uint32(s[4:]) != 0 && le.Uint32(s[0x28:]) != 0 && le.Uint32(s[0x14:]) <= 1
}

// Walk is a tree.Reader.
func Walk(src format.Source, visit tree.Visit) (int64, error) {
	im, err := open(src)
	if err != nil {
		return 0, err
	}
	var lines tree.Lines
	return im.blocks * im.blockSize, im.dir(2, "", &lines, visit)
}

func open(src format.Source) (*image, error) {
	b, err := src.Bytes(0, 2048)
	if err != nil {
		return nil, err
	}
	if !Is(b) {
		return nil, tree.Broken("no ext superblock")
	}
	s := b[1024:]
	im := &image{src: src, blockSize: 1024 << le.Uint32(s[0x18:]), blocks: int64(le.Uint32(s[4:])), inodes: le.Uint32(s), perGroup: le.Uint32(s[0x28:]),
		inodeSize: 128, descSize: 32, firstData: int64(le.Uint32(s[0x14:])), backup: le.Uint32(s[0x64:])&1 != 0}
	if le.Uint32(s[0x4c:]) == 1 {
		im.inodeSize = int64(le.Uint16(s[0x58:]))
	}
	incompat := le.Uint32(s[0x60:])
	if incompat&^incompatKnown != 0 {
		return nil, fmt.Errorf("ext with features %#x: %w", incompat&^incompatKnown, tree.ErrUnsupported)
	}
	if incompat&incompat64 != 0 {
		im.descSize = max(32, int64(le.Uint16(s[0xfe:])))
		im.blocks |= int64(le.Uint32(s[0x150:])) << 32
	}
	im.metaBG, im.firstMeta = incompat&incompatMetaBG != 0, int64(le.Uint32(s[0x104:]))
	perGroup := int64(le.Uint32(s[0x20:]))
	if perGroup == 0 || im.inodeSize < 128 || im.inodeSize > im.blockSize || im.descSize > 1024 || im.inodeSize&(im.inodeSize-1) != 0 {
		return nil, tree.Broken("ext geometry")
	}
	if im.blocks > src.Size()/im.blockSize {
		return nil, tree.Broken("ext of %d blocks of %d bytes in %d bytes", im.blocks, im.blockSize, src.Size())
	}
	im.groups = (im.blocks - im.firstData + perGroup - 1) / perGroup
	return im, nil
}

// block is the place of one block, checked.
func (im *image) block(n int64) (int64, error) {
	if n <= 0 || n >= im.blocks {
		return 0, tree.Broken("block %d of %d", n, im.blocks)
	}
	return n * im.blockSize, nil
}

// desc is the place of a group's descriptor.
func (im *image) desc(group int64) (int64, error) {
	if group >= im.groups {
		return 0, tree.Broken("group %d of %d", group, im.groups)
	}
	perBlock := im.blockSize / im.descSize
	n := im.firstData + 1 + group/perBlock
	if im.metaBG && group/perBlock >= im.firstMeta {
		first := group / perBlock * perBlock
		n = im.firstData + first*(im.blocksPerGroup())
		if im.hasSuper(first) {
			n++
		}
	}
	at, err := im.block(n)
	return at + group%perBlock*im.descSize, err
}

func (im *image) blocksPerGroup() int64 {
	b, err := im.src.Bytes(1024+0x20, 4)
	if err != nil {
		return 1
	}
	return int64(le.Uint32(b))
}

// hasSuper tells the groups that hold a copy of the superblock: powers of 3, 5 and 7.
func (im *image) hasSuper(group int64) bool {
	if !im.backup || group <= 1 {
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

// inode is one inode's raw bytes and what follows from them.
type inode struct {
	raw   []byte
	mode  uint32
	size  int64
	flags uint32
}

func (im *image) inode(number uint32) (*inode, error) {
	if number == 0 || number > im.inodes {
		return nil, tree.Broken("inode %d of %d", number, im.inodes)
	}
	at, err := im.desc(int64((number - 1) / im.perGroup))
	if err != nil {
		return nil, err
	}
	d, err := im.src.Bytes(at, im.descSize)
	if err != nil {
		return nil, err
	}
	table := int64(le.Uint32(d[8:]))
	if im.descSize >= 64 {
		table |= int64(le.Uint32(d[0x28:])) << 32
	}
	if table, err = im.block(table); err != nil {
		return nil, err
	}
	raw, err := im.src.Bytes(table+int64((number-1)%im.perGroup)*im.inodeSize, im.inodeSize)
	if err != nil {
		return nil, err
	}
	n := &inode{raw: raw, mode: uint32(le.Uint16(raw)), size: int64(le.Uint32(raw[4:])), flags: le.Uint32(raw[0x20:])}
	if n.mode&0o170000 == 0o100000 {
		n.size |= int64(le.Uint32(raw[0x6c:])) << 32
	}
	if n.size < 0 {
		return nil, tree.Broken("inode %d of %d bytes", number, uint64(n.size))
	}
	return n, nil
}

func (im *image) dir(number uint32, name string, lines *tree.Lines, visit tree.Visit) error {
	n, err := im.inode(number)
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	if n.mode&0o170000 != 0o040000 {
		return tree.Broken("%q is no folder", name)
	}
	if err := lines.Enter(uint64(number)); err != nil {
		return err
	}
	defer lines.Leave()
	if err := visit(im.entry(n, name)); err != nil {
		return err
	}
	if n.size > maxFolder {
		return fmt.Errorf("folder %q of %d bytes: %w", name, n.size, tree.ErrLimit)
	}
	if n.flags&flagEncrypt != 0 {
		return fmt.Errorf("folder %q is encrypted: %w", name, tree.ErrUnsupported)
	}
	listing, err := io.ReadAll(im.open(n))
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	if n.flags&flagInline != 0 && len(listing) >= 4 {
		listing = listing[4:] // the parent's inode stands where "." and ".." would
		return im.entriesOf(listing, name, lines, visit)
	}
	for len(listing) > 0 {
		block := listing[:min(int64(len(listing)), im.blockSize)]
		if err := im.entriesOf(block, name, lines, visit); err != nil {
			return err
		}
		listing = listing[len(block):]
	}
	return nil
}

// entriesOf visits the entries of one block of a listing. Those of hashed folders' index
// blocks hide behind an empty entry.
func (im *image) entriesOf(b []byte, dir string, lines *tree.Lines, visit tree.Visit) error {
	for len(b) >= 8 {
		number, size, length := le.Uint32(b), int(le.Uint16(b[4:])), int(b[6])
		if size == 0 && number == 0 {
			return nil
		}
		if im.blockSize == 65536 && (size == 65535 || size == 0) {
			size = 65536
		}
		if size < 8 || size > len(b) || 8+length > size {
			return tree.Broken("listing of %q", dir)
		}
		name := string(b[8 : 8+length])
		b = b[size:]
		if number == 0 || name == "." || name == ".." || length == 0 {
			continue
		}
		if im.entries++; im.entries > int64(im.inodes)*16+1024 {
			return fmt.Errorf("%d entries for %d inodes: %w", im.entries, im.inodes, tree.ErrLimit)
		}
		if err := im.child(number, dir+"/"+name, lines, visit); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) child(number uint32, name string, lines *tree.Lines, visit tree.Visit) error {
	n, err := im.inode(number)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if n.mode&0o170000 == 0o040000 {
		return im.dir(number, name, lines, visit)
	}
	return visit(im.entry(n, name))
}

func (im *image) entry(n *inode, name string) tree.Entry {
	e := tree.Entry{Name: name, Mode: tree.Mode(n.mode), UID: uint32(le.Uint16(n.raw[2:])) | uint32(le.Uint16(n.raw[0x78:]))<<16,
		GID: uint32(le.Uint16(n.raw[0x18:])) | uint32(le.Uint16(n.raw[0x7a:]))<<16}
	switch n.mode & 0o170000 {
	case 0o100000:
		e.Size = n.size
		e.Open = func() (io.Reader, error) {
			if n.flags&flagEncrypt != 0 {
				return nil, fmt.Errorf("encrypted: %w", tree.ErrUnsupported)
			}
			return im.open(n), nil
		}
	case 0o120000:
		if n.size > tree.MaxName {
			break
		}
		if n.size < 60 && n.flags&flagExtents == 0 {
			e.Target = string(n.raw[0x28 : 0x28+n.size])
			break
		}
		if b, err := io.ReadAll(im.open(n)); err == nil {
			e.Target = string(b)
		}
	}
	return e
}
