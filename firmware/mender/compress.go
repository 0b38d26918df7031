package mender

import (
	"bufio"
	"io"

	"assay/firmware/format"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The ways in which the inner archives are compressed, by the ending of their name.
const (
	None = ""
	Gzip = ".gz"
	XZ   = ".xz"
	Zstd = ".zst"
)

// What one payload may decompress to: images of file systems are mostly empty, yet not without end.
const (
	bombFloor = 1 << 30
	bombRatio = 200
	maxWindow = 128 << 20 // zstd: what its own tool decodes without being told; xz gets packed.MaxWindow, as preset -9 takes
)

func budget(compressed int64) int64 { return bombFloor + bombRatio*compressed }

// decompress opens an inner archive. It returns at most limit bytes, then an error; the
// memory it takes is bounded before it is taken.
func decompress(kind string, src io.Reader, limit int64) (io.Reader, func(), error) {
	none := func() {}
	switch kind {
	case None:
		return src, none, nil
	case Gzip:
		r, err := gzip.NewReader(bufio.NewReaderSize(src, 64*1024))
		if err != nil {
			return nil, none, format.Malformed("gzip: %v", err)
		}
		return &bounded{r, limit, limit}, none, nil
	case XZ:
		r := newXZ(src)
		return &bounded{r, limit, limit}, none, nil
	case Zstd:
		r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, none, format.Malformed("zstd: %v", err)
		}
		return &bounded{r, limit, limit}, r.Close, nil
	}
	return nil, none, format.Malformed("unknown compression %q", kind)
}

// bounded stops a decompressor that does not end.
type bounded struct {
	r           io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left > 0 {
		n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		return n, err
	}
	if n, err := b.r.Read(make([]byte, 1)); n == 0 { // the end may be exactly here
		return 0, err
	}
	return 0, format.Malformed("decompresses to more than %d bytes", b.limit)
}
