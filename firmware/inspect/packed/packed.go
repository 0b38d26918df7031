// Package packed is for reading compressed data whose sizes nobody may believe: streams that
// take no more memory than MaxWindow, and blocks that never grow beyond a given size. It knows
// gzip, zlib, bzip2, xz, lzma, zstd, lz4 and LZO1X, and never trusts a size in a header.
package packed

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"

	"assay/firmware/format"
)

// MaxWindow is the largest window or dictionary that is allocated for a stream.
const MaxWindow = 64 << 20

// Errors of this package.
var (
	ErrCorrupt     = fmt.Errorf("corrupt compressed data: %w", format.ErrMalformed)
	ErrTooLarge    = fmt.Errorf("more than the block may hold: %w", ErrCorrupt)
	ErrUnsupported = errors.New("compressed in a way that is not read")
)

// A Kind is a compression.
type Kind string

// The kinds.
const (
	Gzip  Kind = "gzip"
	Zlib  Kind = "zlib"
	Raw   Kind = "deflate"
	Bzip2 Kind = "bzip2"
	XZ    Kind = "xz"
	LZMA  Kind = "lzma"
	Zstd  Kind = "zstd"
	LZ4   Kind = "lz4"
	LZ4K  Kind = "lz4-legacy" // as Linux kernels are packed
	LZO   Kind = "lzo"
)

// Detect tells the stream that b begins; empty where it is none. Formats without a
// magic (zlib, raw deflate) are never told.
func Detect(b []byte) Kind {
	for _, m := range []struct {
		kind  Kind
		magic string
	}{
		{Gzip, "\x1f\x8b\x08"}, {Bzip2, "BZh"}, {XZ, "\xfd7zXZ\x00"}, {Zstd, "\x28\xb5\x2f\xfd"},
		{LZ4, "\x04\x22\x4d\x18"}, {LZ4K, "\x02\x21\x4c\x18"},
	} {
		if bytes.HasPrefix(b, []byte(m.magic)) && plausible(m.kind, b) {
			return m.kind
		}
	}
	if isLZMA(b) {
		return LZMA
	}
	return ""
}

func plausible(kind Kind, b []byte) bool {
	switch kind {
	case Gzip:
		return len(b) > 18 && b[3]&0xe0 == 0
	case Bzip2:
		return len(b) > 14 && b[3] >= '1' && b[3] <= '9' && (string(b[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(b[4:10]) == "\x17\x72\x45\x38\x50\x90")
	case LZ4:
		return len(b) > 7 && b[4]>>6 == 1 && b[4]&2 == 0 && b[5]&0x8f == 0
	case LZ4K: // blocks of 8 MB, each behind its size
		n := uint32(b[min(len(b)-1, 4)]) | uint32(b[min(len(b)-1, 5)])<<8 | uint32(b[min(len(b)-1, 6)])<<16 | uint32(b[min(len(b)-1, 7)])<<24
		return len(b) > 8 && n > 0 && n < 8<<20+8<<20/255+16
	case Zstd:
		return len(b) > 9 && b[4]&8 == 0
	}
	return true
}

// isLZMA knows the classic header by its usual properties, a power of two as dictionary
// and a believable size, for it has no magic.
func isLZMA(b []byte) bool {
	if len(b) < 18 || b[0] != 0x5d || b[1] != 0 || b[2] != 0 || b[13] != 0 {
		return false
	}
	dict := uint32(b[3])<<16 | uint32(b[4])<<24
	if dict < 1<<16 || dict&(dict-1) != 0 || dict > MaxWindow {
		return false
	}
	unknown := bytes.Equal(b[5:13], bytes.Repeat([]byte{0xff}, 8))
	return unknown || b[10] == 0 && b[11] == 0 && b[12] == 0 && !bytes.Equal(b[5:13], make([]byte, 8))
}

// counted counts what the decompressor took; it hands out single bytes so that none takes more.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// A Stream is one compressed stream being read.
type Stream struct {
	io.Reader
	in *counted
}

// Used is how many packed bytes were taken so far.
func (s Stream) Used() int64 { return s.in.n }

// Open reads the stream of the kind at the head of r.
func Open(kind Kind, r io.Reader) (Stream, error) {
	in := &counted{r: bufio.NewReaderSize(r, 64<<10)}
	out, err := open(kind, in)
	if err != nil {
		return Stream{}, fmt.Errorf("open %s stream: %w", kind, err)
	}
	return Stream{Reader: out, in: in}, nil
}

func open(kind Kind, in *counted) (io.Reader, error) {
	switch kind {
	case Gzip:
		z, err := gzip.NewReader(in)
		if err == nil {
			z.Multistream(false)
		}
		return z, err
	case Zlib:
		return zlib.NewReader(in)
	case Raw:
		return flate.NewReader(in), nil
	case Bzip2:
		return &frames{r: bzip2.NewReader(in), last: func(err error) bool {
			var e bzip2.StructuralError
			return errors.As(err, &e) && e == "bad magic value in continuation file"
		}}, nil
	case XZ:
		return newXZ(in)
	case LZMA:
		return lzma.ReaderConfig{DictCap: MaxWindow}.NewReader(in)
	case Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow), zstd.WithDecoderMaxMemory(1<<40))
		if err != nil {
			return nil, err
		}
		return &frames{r: z, close: z.Close, last: func(err error) bool { return errors.Is(err, zstd.ErrMagicMismatch) }}, nil
	case LZ4, LZ4K:
		return lz4.NewReader(in), nil
	}
	return nil, fmt.Errorf("%q: %w", kind, ErrUnsupported)
}

// frames reads one stream after the other, as the library does, and takes what follows the
// last one for the end: firmware has other things behind.
type frames struct {
	r     io.Reader
	n     int64
	last  func(error) bool
	close func()
}

func (f *frames) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if f.n += int64(n); err != nil && f.n > 0 && f.last(err) {
		err = io.EOF
	}
	return n, err
}

// Close gives back what the decoder holds.
func (s Stream) Close() error {
	if f, ok := s.Reader.(*frames); ok && f.close != nil {
		f.close()
	}
	return nil
}

// Block unpacks one block into at most limit bytes.
func Block(kind Kind, b []byte, limit int) ([]byte, error) {
	switch kind {
	case LZ4:
		out := make([]byte, limit)
		n, err := lz4.UncompressBlock(b, out)
		if err != nil {
			return nil, fmt.Errorf("lz4 block: %w: %w", err, ErrCorrupt)
		}
		return out[:n], nil
	case LZO:
		return unLZO(b, limit)
	}
	s, err := Open(kind, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	defer s.Close()
	out := bytes.NewBuffer(make([]byte, 0, limit))
	n, err := io.CopyN(out, s, int64(limit)+1)
	switch {
	case n > int64(limit):
		return nil, ErrTooLarge
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s block: %w: %w", kind, err, ErrCorrupt)
	}
	return out.Bytes(), nil
}
