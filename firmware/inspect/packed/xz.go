package packed

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
	"slices"

	"github.com/ulikunitz/xz/lzma"
)

// xzReader reads the container (The .xz File Format 1.1.0) around LZMA2 data. The library's own
// reader gives each block the dictionary that its header asks for, up to 4 GB; here the header is
// looked at before.
type xzReader struct {
	in    *counted
	whole bool // all streams of a file, each index held against its blocks; else one, its index passed over

	flags   [2]byte // of the stream
	started bool
	sum     hash.Hash
	records [][2]int64 // whole: unpadded and unpacked size of each block of the stream

	block io.Reader // nil between blocks
	head  int64     // length of the block's header
	start int64     // of the block's data
	got   int64     // unpacked bytes of the block
	want  int64     // as the header says, -1 where it does not
	err   error
}

func newXZ(in *counted) (io.Reader, error) {
	x := &xzReader{in: in}
	return x, x.stream()
}

// WholeXZ reads an xz file that must be in order to its last byte: each index and footer is what
// the blocks before it ask for, and nothing but streams and their padding follows the first stream.
func WholeXZ(r io.Reader) Stream {
	in := &counted{r: bufio.NewReaderSize(r, 64<<10)}
	return Stream{Reader: &xzReader{in: in, whole: true}, in: in}
}

// stream reads the head of a stream; behind the first one there may be padding, or the end.
func (x *xzReader) stream() error {
	for x.started {
		pad, err := x.in.r.Peek(4)
		if len(pad) == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		if !bytes.Equal(pad, make([]byte, 4)) {
			break
		}
		if err := x.zeros(4); err != nil {
			return err
		}
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(x.in, head); err != nil {
		return noEOF(err)
	}
	if string(head[:6]) != "\xfd7zXZ\x00" || head[6] != 0 || head[7]&0xf0 != 0 ||
		crc32.ChecksumIEEE(head[6:8]) != binary.LittleEndian.Uint32(head[8:]) {
		return fmt.Errorf("xz stream header: %w", ErrCorrupt)
	}
	x.started, x.flags, x.sum, x.records = true, [2]byte(head[6:8]), nil, nil
	switch check := head[7]; check {
	case 0:
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		return fmt.Errorf("xz check %d: %w", check, ErrUnsupported)
	}
	return nil
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
		switch {
		case errors.Is(err, io.EOF):
			x.err = x.end()
		case err != nil:
			x.err = err
		case n == 0 && len(b) > 0:
			x.err = fmt.Errorf("xz block without data: %w", ErrCorrupt)
		}
		if n > 0 || len(b) == 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// next opens the next block; io.EOF after the last index.
func (x *xzReader) next() error {
	if !x.started {
		if err := x.stream(); err != nil {
			return err
		}
	}
	at := x.in.n
	size, err := x.in.ReadByte()
	for ; err == nil && size == 0; size, err = x.in.ReadByte() {
		if !x.whole {
			return x.passIndex()
		}
		if err := x.checkIndex(); err != nil {
			return err
		}
		if err := x.stream(); err != nil {
			return err
		}
		at = x.in.n
	}
	if err != nil {
		return noEOF(err)
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
	x.head, x.want, x.got, x.start = x.in.n-at, want, 0, x.in.n
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
	id, err1 := rest.ReadByte()
	n, err2 := rest.ReadByte()
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
	size := x.head + x.in.n - x.start
	if err := x.zeros(-size & 3); err != nil { // a header's length is a multiple of four
		return err
	}
	if x.sum != nil {
		if err := x.checkSum(); err != nil {
			return err
		}
		size += int64(x.sum.Size())
	}
	if x.whole {
		x.records = append(x.records, [2]int64{size, x.got})
	}
	return nil
}

func (x *xzReader) checkSum() error {
	got := make([]byte, x.sum.Size())
	if _, err := io.ReadFull(x.in, got); err != nil {
		return noEOF(err)
	}
	want := x.sum.Sum(nil)
	if x.flags[1] < 10 { // CRCs are stored little endian
		slices.Reverse(want)
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

// checkIndex compares index and footer with those that the blocks ask for; there is one way to write them.
func (x *xzReader) checkIndex() error {
	want := binary.AppendUvarint([]byte{0}, uint64(len(x.records)))
	for _, r := range x.records {
		want = binary.AppendUvarint(binary.AppendUvarint(want, uint64(r[0])), uint64(r[1]))
	}
	want = append(want, make([]byte, -len(want)&3)...)
	want = binary.LittleEndian.AppendUint32(want, crc32.ChecksumIEEE(want))
	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(want)/4-1))
	foot = append(foot, x.flags[:]...)
	want = binary.LittleEndian.AppendUint32(want, crc32.ChecksumIEEE(foot))
	want = append(append(want, foot...), "YZ"...)
	got := make([]byte, len(want)-1) // the first byte told that it is the index
	if _, err := io.ReadFull(x.in, got); err != nil {
		return noEOF(err)
	}
	if !bytes.Equal(got, want[1:]) {
		return fmt.Errorf("xz index or footer: %w", ErrCorrupt)
	}
	return nil
}

// passIndex passes over the index and the footer.
func (x *xzReader) passIndex() error {
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
