package mender

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"assay/firmware/format"

	"github.com/ulikunitz/xz/lzma"
)

// An xzReader reads the container (The .xz File Format 1.1.0) around LZMA2 data. The
// container of the library is not used because it allocates whatever dictionary a block
// asks for, up to 4 GiB, before a byte is decoded.
type xzReader struct {
	r       *bufio.Reader
	pos     int64
	check   func() hash.Hash
	flags   [2]byte
	started bool
	records [][2]int64 // unpadded and uncompressed size of each block of the stream

	block      io.Reader // nil between blocks
	sum        hash.Hash
	head, size int64 // length of the block's header, bytes that came out of it
	start      int64
	err        error
}

func newXZ(src io.Reader) *xzReader { return &xzReader{r: bufio.NewReaderSize(src, 64*1024)} }

// xzCursor is what the LZMA2 decoder reads from, byte by byte and never too far.
type xzCursor struct{ x *xzReader }

func (c xzCursor) Read(p []byte) (int, error) {
	n, err := c.x.r.Read(p)
	c.x.pos += int64(n)
	return n, err
}

func (c xzCursor) ReadByte() (byte, error) {
	b, err := c.x.r.ReadByte()
	if err == nil {
		c.x.pos++
	}
	return b, err
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			if x.err = x.next(); x.err != nil {
				break
			}
		}
		n, err := x.block.Read(p)
		x.sum.Write(p[:n])
		x.size += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			x.err = x.endBlock()
		case err != nil:
			x.err = err
		case n == 0 && len(p) > 0:
			x.err = errors.New("no data")
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	if errors.Is(x.err, io.EOF) {
		return 0, io.EOF
	}
	return 0, format.Malformed("xz at offset %d: %v", x.pos, x.err)
}

func (x *xzReader) take(n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := io.ReadFull(x.r, b)
	x.pos += int64(got)
	if err != nil {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// next goes to the next block, over the index and into the next stream where there is one.
func (x *xzReader) next() error {
	if !x.started {
		if err := x.startStream(); err != nil {
			return err
		}
	}
	for {
		start := x.pos
		size, err := x.take(1)
		if err != nil {
			return err
		}
		if size[0] != 0 {
			rest, err := x.take(int(size[0])*4 + 3)
			if err != nil {
				return err
			}
			return x.startBlock(append(size, rest...), start)
		}
		if err := x.index(); err != nil {
			return err
		}
		if err := x.startStream(); err != nil {
			return err
		}
	}
}

// startStream reads a stream header; behind the first stream there may be padding, or the end.
func (x *xzReader) startStream() error {
	for x.started {
		pad, err := x.r.Peek(4)
		if len(pad) == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		if len(pad) < 4 || binary.LittleEndian.Uint32(pad) != 0 {
			break
		}
		if _, err := x.take(4); err != nil {
			return err
		}
	}
	b, err := x.take(12)
	if err != nil {
		return err
	}
	if string(b[:6]) != "\xfd7zXZ\x00" || crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return errors.New("no stream header")
	}
	switch x.flags = [2]byte(b[6:8]); x.flags {
	case [2]byte{0, 0}:
		x.check = func() hash.Hash { return noCheck{} }
	case [2]byte{0, 1}:
		x.check = func() hash.Hash { return crc32.NewIEEE() }
	case [2]byte{0, 4}:
		x.check = func() hash.Hash { return crc64.New(crc64.MakeTable(crc64.ECMA)) }
	case [2]byte{0, 10}:
		x.check = sha256.New
	default:
		return fmt.Errorf("unknown check %x", x.flags)
	}
	x.started, x.records = true, nil
	return nil
}

// startBlock wants one filter, LZMA2, and gives it no more memory than maxDict.
func (x *xzReader) startBlock(b []byte, start int64) error {
	end := len(b) - 4
	if crc32.ChecksumIEEE(b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return errors.New("checksum of a block header")
	}
	flags, rest := b[1], b[2:end]
	for range int(flags>>6&1) + int(flags>>7) { // sizes that the writer may announce
		_, n := binary.Uvarint(rest)
		if n <= 0 {
			return errors.New("block header")
		}
		rest = rest[n:]
	}
	if flags&0x3f != 0 || len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 || rest[2] > 40 {
		return errors.New("a filter other than LZMA2")
	}
	bits := rest[2]
	dict := int64(2|bits&1) << (bits/2 + 11)
	if dict > maxDict {
		return fmt.Errorf("a dictionary of %d bytes, at most %d are given", dict, maxDict)
	}
	x.head, x.size, x.start = x.pos-start, 0, x.pos
	r, err := lzma.Reader2Config{DictCap: int(dict)}.NewReader2(xzCursor{x})
	if err != nil {
		return err
	}
	x.block, x.sum = r, x.check()
	return nil
}

// endBlock checks padding and check value.
func (x *xzReader) endBlock() error {
	packed := x.pos - x.start
	pad, err := x.take(int((4 - packed%4) % 4))
	if err != nil {
		return err
	}
	want, err := x.take(x.sum.Size())
	if err != nil {
		return err
	}
	got := x.sum.Sum(nil)
	if x.flags[1] != 10 { // CRCs are little endian, Go's sums big endian
		for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
			got[i], got[j] = got[j], got[i]
		}
	}
	if !zero(pad) || !bytes.Equal(got, want) {
		return errors.New("check value of a block")
	}
	x.records = append(x.records, [2]int64{x.head + packed + int64(len(want)), x.size})
	x.block = nil
	return nil
}

// index compares index and footer with those that the blocks ask for; there is one way to write them.
func (x *xzReader) index() error {
	want := binary.AppendUvarint([]byte{0}, uint64(len(x.records)))
	for _, r := range x.records {
		want = binary.AppendUvarint(binary.AppendUvarint(want, uint64(r[0])), uint64(r[1]))
	}
	want = append(want, make([]byte, (4-len(want)%4)%4)...)
	want = binary.LittleEndian.AppendUint32(want, crc32.ChecksumIEEE(want))
	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(want)/4-1))
	foot = append(foot, x.flags[:]...)
	want = binary.LittleEndian.AppendUint32(want, crc32.ChecksumIEEE(foot))
	want = append(append(want, foot...), "YZ"...)
	got, err := x.take(len(want) - 1) // its first byte told that it is the index
	if err == nil && !bytes.Equal(got, want[1:]) {
		err = errors.New("index or footer")
	}
	return err
}

// noCheck is the check that an xz stream without one has.
type noCheck struct{}

func (noCheck) Write(p []byte) (int, error) { return len(p), nil }
func (noCheck) Sum(b []byte) []byte         { return b }
func (noCheck) Reset()                      {}
func (noCheck) Size() int                   { return 0 }
func (noCheck) BlockSize() int              { return 1 }
