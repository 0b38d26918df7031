package ext

import (
	"errors"
	"io"

	"assay/firmware/inspect/tree"
)

// run is some blocks of a file that lie together; first < 0 is a hole.
type run struct {
	first, count int64
}

// next tells the run at a file's logical block, at least one block long.
type next func(logical int64) (run, error)

// open streams a file's content.
func (im *image) open(n *inode) io.Reader {
	if n.flags&flagInline != 0 {
		return im.inline(n)
	}
	f := &file{im: im, left: n.size}
	if n.flags&flagExtents != 0 {
		f.next = func(logical int64) (run, error) { return im.extent(n.raw[0x28:0x28+60], logical, 6) }
		return f
	}
	f.next = func(logical int64) (run, error) { return im.indirect(n.raw[0x28:0x28+60], logical) }
	return f
}

// inline content lies in the inode: 60 bytes, the rest in the extended attribute "system.data".
func (im *image) inline(n *inode) io.Reader {
	data := append([]byte(nil), n.raw[0x28:0x28+60]...)
	if im.inodeSize > 132 {
		extra := 128 + int64(le.Uint16(n.raw[0x80:]))
		if extra+4 < im.inodeSize && le.Uint32(n.raw[extra:]) == 0xea020000 {
			attrs := n.raw[extra+4:]
			for b := attrs; len(b) >= 20 && le.Uint32(b) != 0; {
				length, at, size := int(b[0]), int(le.Uint16(b[2:])), int(le.Uint32(b[8:]))
				if 16+length > len(b) {
					break
				}
				if b[1] == 7 && string(b[16:16+length]) == "data" && size >= 0 && at <= len(attrs) && size <= len(attrs)-at {
					data = append(data, attrs[at:at+size]...)
				}
				b = b[min(len(b), (16+length+3)&^3):]
			}
		}
	}
	if int64(len(data)) < n.size {
		return failing{tree.Broken("inline data of %d bytes, %d wanted", len(data), n.size)}
	}
	return io.LimitReader(newBytes(data), n.size)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type bytesReader struct{ b []byte }

func newBytes(b []byte) *bytesReader { return &bytesReader{b} }

func (r *bytesReader) Read(b []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.b)
	r.b = r.b[n:]
	return n, nil
}

// extent looks a block up in an extent tree.
func (im *image) extent(node []byte, logical int64, depthLeft int) (run, error) {
	if depthLeft == 0 || le.Uint16(node) != 0xf30a {
		return run{}, tree.Broken("extent tree")
	}
	count, depth := int(le.Uint16(node[2:])), int(le.Uint16(node[6:]))
	if 12+12*count > len(node) || depth >= depthLeft {
		return run{}, tree.Broken("extent tree of depth %d", depth)
	}
	hole := int64(1) << 32
	var found []byte
	for i := range count {
		e := node[12+12*i:]
		if first := int64(le.Uint32(e)); first <= logical {
			found = e
		} else {
			hole = min(hole, first-logical)
			break
		}
	}
	if found == nil {
		return run{-1, hole}, nil
	}
	if depth > 0 {
		at, err := im.block(int64(le.Uint32(found[4:])) | int64(le.Uint16(found[8:]))<<32)
		if err != nil {
			return run{}, err
		}
		b, err := im.src.Bytes(at, im.blockSize)
		if err != nil {
			return run{}, err
		}
		r, err := im.extent(b, logical, depth)
		if r.first < 0 {
			r.count = min(r.count, hole)
		}
		return r, err
	}
	first, length := int64(le.Uint32(found)), int64(le.Uint16(found[4:]))
	unwritten := length > 0x8000
	if unwritten {
		length -= 0x8000
	}
	if logical >= first+length {
		return run{-1, hole}, nil
	}
	r := run{int64(le.Uint32(found[8:])) | int64(le.Uint16(found[6:]))<<32, length}
	r.first, r.count = r.first+logical-first, r.count-(logical-first)
	if unwritten {
		r.first = -1
	}
	return r, nil
}

// indirect looks a block up in the classic map: twelve blocks, then one, two and three levels.
func (im *image) indirect(m []byte, logical int64) (run, error) {
	if logical < 12 {
		return one(le.Uint32(m[4*logical:])), nil
	}
	logical -= 12
	per := im.blockSize / 4
	for level, span := 0, per; level < 3; level, span = level+1, span*per {
		if logical >= span {
			logical -= span
			continue
		}
		n := le.Uint32(m[48+4*level:])
		for ; span > 1; span /= per {
			if n == 0 {
				return run{-1, 1}, nil
			}
			at, err := im.block(int64(n))
			if err != nil {
				return run{}, err
			}
			b, err := im.src.Bytes(at+4*(logical/(span/per)), 4)
			if err != nil {
				return run{}, err
			}
			n = le.Uint32(b)
			logical %= span / per
		}
		return one(n), nil
	}
	return run{}, tree.Broken("file beyond its block map")
}

func one(n uint32) run {
	if n == 0 {
		return run{-1, 1}
	}
	return run{int64(n), 1}
}

// file streams runs of blocks.
type file struct {
	im      *image
	next    next
	logical int64
	left    int64
	cur     io.Reader
}

func (f *file) Read(b []byte) (int, error) {
	for {
		if f.cur != nil {
			n, err := f.cur.Read(b)
			if f.left -= int64(n); n > 0 {
				return n, nil
			}
			if !errors.Is(err, io.EOF) {
				return 0, err
			}
			f.cur = nil
		}
		if f.left == 0 {
			return 0, io.EOF
		}
		r, err := f.next(f.logical)
		if err != nil {
			return 0, err
		}
		if r.count <= 0 {
			return 0, tree.Broken("empty extent")
		}
		// Runs are handed out in pieces, so that the length of one overflows nothing.
		r.count = min(r.count, 1<<20)
		f.logical += r.count
		size := min(f.left, r.count*f.im.blockSize)
		if r.first < 0 {
			f.cur = io.LimitReader(zeros{}, size)
			continue
		}
		if r.first == 0 || r.first > f.im.blocks-r.count {
			return 0, tree.Broken("blocks %d+%d of %d", r.first, r.count, f.im.blocks)
		}
		f.cur = f.im.src.Section(r.first*f.im.blockSize, size)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
