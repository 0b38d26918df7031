package rauc

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Just enough of squashfs 4.0 to read one small file of the root folder: the manifest of a
// plain bundle. Compression is gzip, as mksquashfs has it by default, or none. Every size is
// bounded before it is used. Layout: Documentation/filesystems/squashfs.rst of the kernel.

const (
	squashfsMagic = "hsqs"
	metadataSize  = 8192
	maxListing    = 1 << 20 // bytes of the root folder's entries
	noFragment    = 0xffffffff
	plainMetadata = 0x8000  // of a metadata block's size: not compressed
	plainData     = 1 << 24 // of a data block's size
)

var (
	errSquashfs    = errors.New("the squashfs is damaged")
	errCompression = errors.New("the squashfs is compressed with something other than gzip")
)

type squashfs struct {
	r         io.ReaderAt
	size      int64
	blockSize uint32
	fragments uint32
	inodes    uint64 // offsets of the tables
	folders   uint64
	fragTable uint64
}

// readSquashfsFile returns one regular file of the root folder.
func readSquashfsFile(r io.ReaderAt, size int64, file string) ([]byte, error) {
	super := make([]byte, 96)
	if _, err := r.ReadAt(super, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	s := &squashfs{r: r, size: size, blockSize: le.Uint32(super[12:]), fragments: le.Uint32(super[16:]),
		inodes: le.Uint64(super[64:]), folders: le.Uint64(super[72:]), fragTable: le.Uint64(super[80:])}
	if string(super[:4]) != squashfsMagic || le.Uint16(super[28:]) != 4 || s.blockSize < 4096 || s.blockSize > 1<<20 {
		return nil, errSquashfs
	}
	if le.Uint16(super[20:]) != 1 {
		return nil, errCompression
	}
	ref, err := s.lookup(le.Uint64(super[32:]), file)
	if err != nil {
		return nil, err
	}
	return s.readFile(ref)
}

// bytes reads n bytes at an absolute offset.
func (s *squashfs) bytes(at uint64, n int) ([]byte, error) {
	if at > uint64(s.size) || uint64(n) > uint64(s.size)-at {
		return nil, errSquashfs
	}
	b := make([]byte, n)
	_, err := s.r.ReadAt(b, int64(at))
	return b, err
}

func inflate(b []byte, limit int) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSquashfs, err)
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err != nil || len(out) > limit {
		return nil, errSquashfs
	}
	return out, nil
}

// metadata reads n bytes that begin at an offset in the metadata block at start, and may go on in the next ones.
func (s *squashfs) metadata(start uint64, offset, n int) ([]byte, error) {
	var out []byte
	for len(out) < offset+n {
		head, err := s.bytes(start, 2)
		if err != nil {
			return nil, err
		}
		word := binary.LittleEndian.Uint16(head)
		length := int(word &^ plainMetadata)
		if length == 0 || length > metadataSize {
			return nil, errSquashfs
		}
		block, err := s.bytes(start+2, length)
		if err != nil {
			return nil, err
		}
		if word&plainMetadata == 0 {
			if block, err = inflate(block, metadataSize); err != nil {
				return nil, err
			}
		}
		if len(block) < metadataSize && len(out)+len(block) < offset+n {
			return nil, errSquashfs // only the last block of a table may be short
		}
		out = append(out, block...)
		start += 2 + uint64(length)
	}
	return out[offset : offset+n], nil
}

// inode reads n bytes of the inode at ref.
func (s *squashfs) inode(ref uint64, n int) ([]byte, error) {
	offset := int(ref & 0xffff)
	if offset >= metadataSize || ref>>16 > uint64(s.size) {
		return nil, errSquashfs
	}
	return s.metadata(s.inodes+ref>>16, offset, n)
}

// lookup finds a file of the folder at ref.
func (s *squashfs) lookup(ref uint64, file string) (uint64, error) {
	le := binary.LittleEndian
	b, err := s.inode(ref, 32)
	if err != nil {
		return 0, err
	}
	var block uint32
	var size, offset int
	switch le.Uint16(b) {
	case 1:
		block, size, offset = le.Uint32(b[16:]), int(le.Uint16(b[24:])), int(le.Uint16(b[26:]))
	case 8:
		if b, err = s.inode(ref, 40); err != nil {
			return 0, err
		}
		block, size, offset = le.Uint32(b[24:]), int(le.Uint32(b[20:])), int(le.Uint16(b[34:]))
	default:
		return 0, errSquashfs
	}
	if size < 3 || size > maxListing || offset >= metadataSize {
		return 0, errSquashfs
	}
	list, err := s.metadata(s.folders+uint64(block), offset, size-3)
	if err != nil {
		return 0, err
	}
	return find(list, file)
}

func find(list []byte, file string) (uint64, error) {
	le := binary.LittleEndian
	for len(list) > 0 {
		if len(list) < 12 || le.Uint32(list) >= 256 {
			return 0, errSquashfs
		}
		count, start := int(le.Uint32(list))+1, uint64(le.Uint32(list[4:]))
		list = list[12:]
		for range count {
			if len(list) < 8 {
				return 0, errSquashfs
			}
			offset, n := uint64(le.Uint16(list)), int(le.Uint16(list[6:]))+1
			if len(list) < 8+n {
				return 0, errSquashfs
			}
			if string(list[8:8+n]) == file {
				return start<<16 | offset, nil
			}
			list = list[8+n:]
		}
	}
	return 0, errNoManifest
}

// A fileInode is where a file's bytes lie.
type fileInode struct {
	start    uint64
	size     uint64
	fragment uint32
	offset   uint32
	head     int // bytes before the block sizes
}

func (s *squashfs) fileInode(ref uint64) (fileInode, error) {
	le := binary.LittleEndian
	b, err := s.inode(ref, 32)
	if err != nil {
		return fileInode{}, err
	}
	switch le.Uint16(b) {
	case 2:
		return fileInode{uint64(le.Uint32(b[16:])), uint64(le.Uint32(b[28:])), le.Uint32(b[20:]), le.Uint32(b[24:]), 32}, nil
	case 9:
		if b, err = s.inode(ref, 56); err != nil {
			return fileInode{}, err
		}
		return fileInode{le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint32(b[44:]), le.Uint32(b[48:]), 56}, nil
	}
	return fileInode{}, fmt.Errorf("%w: the manifest is no regular file", errSquashfs)
}

func (s *squashfs) readFile(ref uint64) ([]byte, error) {
	f, err := s.fileInode(ref)
	if err != nil {
		return nil, err
	}
	if f.size > maxManifest {
		return nil, fmt.Errorf("the manifest has %d bytes, at most %d are read", f.size, maxManifest)
	}
	blocks := int(f.size / uint64(s.blockSize))
	if f.fragment == noFragment && f.size%uint64(s.blockSize) > 0 {
		blocks++
	}
	b, err := s.inode(ref, f.head+4*blocks)
	if err != nil {
		return nil, err
	}
	var out []byte
	at := f.start
	for i := range blocks {
		word := binary.LittleEndian.Uint32(b[f.head+4*i:])
		block, err := s.dataBlock(at, word)
		if err != nil {
			return nil, err
		}
		out = append(out, block...)
		at += uint64(word &^ plainData)
	}
	if f.fragment != noFragment {
		tail, err := s.fragment(f, int(f.size%uint64(s.blockSize)))
		if err != nil {
			return nil, err
		}
		out = append(out, tail...)
	}
	if uint64(len(out)) != f.size {
		return nil, errSquashfs
	}
	return out, nil
}

func (s *squashfs) dataBlock(at uint64, word uint32) ([]byte, error) {
	n := word &^ plainData
	if n == 0 || n > s.blockSize {
		return nil, errSquashfs
	}
	b, err := s.bytes(at, int(n))
	if err != nil || word&plainData != 0 {
		return b, err
	}
	return inflate(b, int(s.blockSize))
}

// fragment reads the end of a file, which shares a block with others.
func (s *squashfs) fragment(f fileInode, n int) ([]byte, error) {
	if f.fragment >= s.fragments {
		return nil, errSquashfs
	}
	pointer, err := s.bytes(s.fragTable+8*uint64(f.fragment/512), 8)
	if err != nil {
		return nil, err
	}
	entry, err := s.metadata(binary.LittleEndian.Uint64(pointer), int(f.fragment%512)*16, 16)
	if err != nil {
		return nil, err
	}
	block, err := s.dataBlock(binary.LittleEndian.Uint64(entry), binary.LittleEndian.Uint32(entry[8:]))
	if err != nil {
		return nil, err
	}
	if uint64(f.offset)+uint64(n) > uint64(len(block)) {
		return nil, errSquashfs
	}
	return block[f.offset:][:n], nil
}
