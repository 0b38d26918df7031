package ubi

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"assay/firmware/format"
	"assay/firmware/inspect/packed"
	"assay/firmware/inspect/tree"
)

var le = binary.LittleEndian

const (
	nodeMagic = 0x06101831
	nodeIno   = 0
	nodeData  = 1
	nodeDent  = 2
	nodeSuper = 6
	nodeMast  = 7
	nodeIndex = 9

	block     = 4096
	maxNodes  = 1 << 22
	maxLevels = 32
	dirty     = 1 // of a master node: the journal was not committed
	encrypted = 0x10
	signed    = 0x20
)

// compressions of data nodes.
var compressions = map[uint16]packed.Kind{1: packed.LZO, 2: packed.Raw, 3: packed.Zstd}

// IsFS tells whether b begins with a superblock node that is intact.
func IsFS(b []byte) bool {
	return len(b) >= 4096 && le.Uint32(b) == nodeMagic && b[20] == nodeSuper && le.Uint32(b[16:]) == 4096 && le.Uint32(b[4:]) == crc(b[8:4096])
}

type place struct {
	at, size int64
}

type dent struct {
	ino  uint64
	name string
}

type ubifs struct {
	src   format.Source
	leb   int64
	nodes int
	inos  map[uint32]place
	dents map[uint32][]place
	data  map[uint32]map[uint32]place // by inode, by block
}

// FS is a tree.Reader.
func FS(src format.Source, visit tree.Visit) (int64, error) {
	b := src.Head(4096)
	if !IsFS(b) {
		return 0, tree.Broken("no UBIFS superblock")
	}
	u := &ubifs{src: src, leb: int64(le.Uint32(b[36:])), inos: map[uint32]place{}, dents: map[uint32][]place{}, data: map[uint32]map[uint32]place{}}
	if flags := le.Uint32(b[28:]); flags&(encrypted|signed) != 0 {
		return 0, fmt.Errorf("UBIFS with flags %#x: %w", flags, tree.ErrUnsupported)
	}
	count := int64(le.Uint32(b[40:]))
	if u.leb < 4096 || u.leb > 8<<20 || count < 3 {
		return 0, tree.Broken("UBIFS of %d blocks of %d bytes", count, u.leb)
	}
	used := min(count*u.leb, src.Size())
	root, journal, err := u.master()
	if err != nil {
		return used, err
	}
	if err := u.index(root, -1); err != nil {
		return used, err
	}
	var lines tree.Lines
	if err := u.dir(1, "", &lines, visit); err != nil {
		return used, err
	}
	if journal {
		return used, fmt.Errorf("the journal was not committed, and is not replayed: %w", tree.ErrUnsupported)
	}
	return used, nil
}

// node reads one node and checks it.
func (u *ubifs) node(p place, kind byte) ([]byte, error) {
	if p.size < 24 || p.size > u.leb {
		return nil, tree.Broken("node of %d bytes", p.size)
	}
	b, err := u.src.Bytes(p.at, p.size)
	if err != nil {
		return nil, err
	}
	if le.Uint32(b) != nodeMagic || b[20] != kind || int64(le.Uint32(b[16:])) > p.size || le.Uint32(b[16:]) < 24 || le.Uint32(b[4:]) != crc(b[8:le.Uint32(b[16:])]) {
		return nil, tree.Broken("node of type %d at %d", kind, p.at)
	}
	return b, nil
}

// master finds the last master node; the two first blocks behind the superblock hold copies.
func (u *ubifs) master() (root place, journal bool, err error) {
	for _, number := range []int64{1, 2} {
		var last []byte
		for at := number * u.leb; at+512 <= (number+1)*u.leb && at+512 <= u.src.Size(); at += 512 {
			b, err := u.node(place{at, 512}, nodeMast)
			if err != nil {
				continue
			}
			last = b
		}
		if last != nil {
			p, err := u.place(le.Uint32(last[48:]), le.Uint32(last[52:]), le.Uint32(last[56:]))
			return p, le.Uint32(last[40:])&dirty != 0, err
		}
	}
	return place{}, false, tree.Broken("no master node")
}

func (u *ubifs) place(number, offset, size uint32) (place, error) {
	if int64(offset) >= u.leb || int64(number) > u.src.Size()/u.leb {
		return place{}, tree.Broken("node in block %d at %d", number, offset)
	}
	return place{int64(number)*u.leb + int64(offset), int64(size)}, nil
}

// index walks the tree; each level must be one below the last.
func (u *ubifs) index(p place, level int) error {
	b, err := u.node(p, nodeIndex)
	if err != nil {
		return err
	}
	if len(b) < 28 {
		return tree.Broken("index node at %d", p.at)
	}
	count, own := int(le.Uint16(b[24:])), int(le.Uint16(b[26:]))
	if level >= 0 && own != level || own > maxLevels || 28+20*count > len(b) {
		return tree.Broken("index node at %d", p.at)
	}
	for i := range count {
		e := b[28+20*i:]
		child, err := u.place(le.Uint32(e), le.Uint32(e[4:]), le.Uint32(e[8:]))
		if err != nil {
			return err
		}
		if u.nodes++; u.nodes > maxNodes {
			return fmt.Errorf("%d nodes: %w", u.nodes, tree.ErrLimit)
		}
		if own > 0 {
			if err := u.index(child, own-1); err != nil {
				return err
			}
			continue
		}
		ino, low := le.Uint32(e[12:]), le.Uint32(e[16:])
		switch low >> 29 {
		case nodeIno:
			u.inos[ino] = child
		case nodeDent:
			u.dents[ino] = append(u.dents[ino], child)
		case nodeData:
			if u.data[ino] == nil {
				u.data[ino] = map[uint32]place{}
			}
			u.data[ino][low&(1<<29-1)] = child
		}
	}
	return nil
}

func (u *ubifs) dir(ino uint32, name string, lines *tree.Lines, visit tree.Visit) error {
	b, err := u.inode(ino)
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	if err := lines.Enter(uint64(ino)); err != nil {
		return err
	}
	defer lines.Leave()
	if err := visit(tree.Entry{Name: name, Mode: tree.Mode(le.Uint32(b[104:])), UID: le.Uint32(b[96:]), GID: le.Uint32(b[100:])}); err != nil {
		return err
	}
	var list []dent
	for _, p := range u.dents[ino] {
		d, err := u.node(p, nodeDent)
		if err != nil {
			return fmt.Errorf("folder %q: %w", name, err)
		}
		if len(d) < 56 || 56+int(le.Uint16(d[50:])) > len(d) {
			return tree.Broken("entry in %q", name)
		}
		list = append(list, dent{le.Uint64(d[40:]), string(d[56 : 56+int(le.Uint16(d[50:]))])})
	}
	slices.SortFunc(list, func(a, b dent) int { return cmp.Compare(a.name, b.name) })
	for _, d := range list {
		if d.name == "" || d.name == "." || d.name == ".." || bytes.ContainsAny([]byte(d.name), "/\x00") {
			if err := visit(tree.Entry{Name: "../" + d.name, Mode: fs.ModeIrregular}); err != nil {
				return err
			}
			continue
		}
		if err := u.child(uint32(d.ino), name+"/"+d.name, lines, visit); err != nil {
			return err
		}
	}
	return nil
}

func (u *ubifs) inode(ino uint32) ([]byte, error) {
	p, ok := u.inos[ino]
	if !ok {
		return nil, tree.Broken("inode %d is missing", ino)
	}
	b, err := u.node(p, nodeIno)
	if err == nil && len(b) < 160 {
		err = tree.Broken("inode %d", ino)
	}
	return b, err
}

func (u *ubifs) child(ino uint32, name string, lines *tree.Lines, visit tree.Visit) error {
	b, err := u.inode(ino)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	mode := le.Uint32(b[104:])
	e := tree.Entry{Name: name, Mode: tree.Mode(mode), UID: le.Uint32(b[96:]), GID: le.Uint32(b[100:])}
	switch mode & 0o170000 {
	case 0o040000:
		return u.dir(ino, name, lines, visit)
	case 0o100000:
		if e.Size = int64(le.Uint64(b[48:])); e.Size < 0 {
			return tree.Broken("%q of %d bytes", name, uint64(e.Size))
		}
		e.Open = func() (io.Reader, error) { return &file{u: u, blocks: u.data[ino], size: e.Size}, nil }
	case 0o120000:
		if n := int(le.Uint32(b[112:])); n >= 0 && n <= len(b)-160 && n <= tree.MaxName {
			e.Target = string(b[160 : 160+n])
		}
	}
	return visit(e)
}

// file streams blocks; one that has no node is a hole.
type file struct {
	u      *ubifs
	blocks map[uint32]place
	at     int64
	size   int64
	buf    []byte
}

func (f *file) Read(b []byte) (int, error) {
	if len(f.buf) == 0 {
		if f.at >= f.size {
			return 0, io.EOF
		}
		if err := f.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, f.buf)
	f.buf = f.buf[n:]
	return n, nil
}

func (f *file) fill() error {
	out := make([]byte, min(block, f.size-f.at))
	p, ok := f.blocks[uint32(f.at/block)]
	f.at += int64(len(out))
	f.buf = out
	if !ok {
		return nil
	}
	b, err := f.u.node(p, nodeData)
	if err != nil {
		return err
	}
	if len(b) < 48 || le.Uint32(b[40:]) > block {
		return tree.Broken("data node at %d", p.at)
	}
	data, kind := b[48:le.Uint32(b[16:])], le.Uint16(b[44:])
	if kind != 0 {
		k, ok := compressions[kind]
		if !ok {
			return fmt.Errorf("UBIFS compression %d: %w", kind, tree.ErrUnsupported)
		}
		if data, err = packed.Block(k, data, block); err != nil {
			return err
		}
	}
	copy(out, data[:min(len(data), int(le.Uint32(b[40:])))])
	return nil
}
