package packed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzReader reads one .xz stream. The library's own reader gives each block the dictionary
// that its header asks for, up to 4 GB; here the header is looked at before.
type xzReader struct {
	in    *counted
	check int
	sum   hash.Hash
	block io.Reader
	start int64 // of the block's data
	got   int64 // unpacked bytes of the block
	want  int64 // as the header says, -1 where it does not
	err   error
}

func newXZ(in *counted) (io.Reader, error) {
	head := make([]byte, 12)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	if string(head[:6]) != "\xfd7zXZ\x00" || head[6] != 0 || head[7]&0xf0 != 0 ||
		crc32.ChecksumIEEE(head[6:8]) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, fmt.Errorf("xz stream header: %w", ErrCorrupt)
	}
	x := &xzReader{in: in, check: int(head[7])}
	switch x.check {
	case 0:
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		return nil, fmt.Errorf("xz check %d: %w", x.check, ErrUnsupported)
	}
	return x, nil
}

func (x *xzReader) Read(b []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			if x.err = x.next(); x.err != nil {
				break
			}
		}
		n, err := x.block.Read(b)
		x.got += int64(n)
		if x.sum != nil {
			x.sum.Write(b[:n])
		}
		if errors.Is(err, io.EOF) {
			err = x.end()
		}
		x.err = err
		if n > 0 || len(b) == 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// next opens the next block; io.EOF after the index.
func (x *xzReader) next() error {
	size, err := x.in.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	if size == 0 {
		return x.index()
	}
	head := make([]byte, 4*(int(size)+1))
	head[0] = size
	if _, err := io.ReadFull(x.in, head[1:]); err != nil {
		return noEOF(err)
	}
	body := head[:len(head)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(head[len(body):]) {
		return fmt.Errorf("xz block header: %w", ErrCorrupt)
	}
	dict, want, err := blockHeader(body)
	if err != nil {
		return err
	}
	x.want, x.got, x.start = want, 0, x.in.n
	if x.sum != nil {
		x.sum.Reset()
	}
	x.block, err = lzma.Reader2Config{DictCap: dict}.NewReader2(x.in)
	return err
}

func blockHeader(b []byte) (dict int, want int64, err error) {
	want = -1
	flags, rest := b[1], bytes.NewReader(b[2:])
	if flags&0x3c != 0 {
		return 0, 0, fmt.Errorf("xz block flags: %w", ErrUnsupported)
	}
	if flags&3 != 0 {
		return 0, 0, fmt.Errorf("xz with a filter for machine code or deltas: %w", ErrUnsupported)
	}
	if flags&0x40 != 0 {
		if _, err := binary.ReadUvarint(rest); err != nil {
			return 0, 0, fmt.Errorf("xz block header: %w", ErrCorrupt)
		}
	}
	if flags&0x80 != 0 {
		n, err := binary.ReadUvarint(rest)
		if err != nil || n >= 1<<62 {
			return 0, 0, fmt.Errorf("xz block header: %w", ErrCorrupt)
		}
		want = int64(n)
	}
	id, err1 := binary.ReadUvarint(rest)
	n, err2 := binary.ReadUvarint(rest)
	bits, err3 := rest.ReadByte()
	if err := errors.Join(err1, err2, err3); err != nil || id != 0x21 || n != 1 || bits > 40 {
		return 0, 0, fmt.Errorf("xz filter: %w", ErrUnsupported)
	}
	size := uint64(1<<32 - 1)
	if bits < 40 {
		size = uint64(2|bits&1) << (bits/2 + 11)
	}
	if size > MaxWindow {
		return 0, 0, fmt.Errorf("xz dictionary of %d bytes, at most %d: %w", size, MaxWindow, ErrUnsupported)
	}
	return max(int(size), lzma.MinDictCap), want, nil
}

// end reads padding and check of a block.
func (x *xzReader) end() error {
	x.block = nil
	if x.want >= 0 && x.want != x.got {
		return fmt.Errorf("xz block of %d bytes unpacks to %d: %w", x.want, x.got, ErrCorrupt)
	}
	if err := x.zeros(-(x.in.n - x.start) & 3); err != nil {
		return err
	}
	if x.sum == nil {
		return nil
	}
	got := make([]byte, x.sum.Size())
	if _, err := io.ReadFull(x.in, got); err != nil {
		return noEOF(err)
	}
	want := x.sum.Sum(nil)
	if x.check < 10 { // CRCs are stored little endian
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
			want[i], want[j] = want[j], want[i]
		}
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("xz block check: %w", ErrCorrupt)
	}
	return nil
}

func (x *xzReader) zeros(n int64) error {
	for range n {
		if b, err := x.in.ReadByte(); err != nil || b != 0 {
			return fmt.Errorf("xz padding: %w", ErrCorrupt)
		}
	}
	return nil
}

// index passes over the index and the footer.
func (x *xzReader) index() error {
	start := x.in.n - 1
	records, err := binary.ReadUvarint(x.in)
	if err != nil {
		return noEOF(err)
	}
	for range records {
		for range 2 {
			if _, err := binary.ReadUvarint(x.in); err != nil {
				return noEOF(err)
			}
		}
	}
	if err := x.zeros(-(x.in.n - start) & 3); err != nil {
		return err
	}
	foot := make([]byte, 16) // CRC of the index, then the footer
	if _, err := io.ReadFull(x.in, foot); err != nil {
		return noEOF(err)
	}
	if string(foot[14:]) != "YZ" {
		return fmt.Errorf("xz footer: %w", ErrCorrupt)
	}
	return io.EOF
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
