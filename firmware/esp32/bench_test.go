package esp32

import (
	"bytes"
	"crypto/sha256"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// BenchmarkVerify beside the plain hash of the same bytes.
func BenchmarkVerify(b *testing.B) {
	image := made(b, func(s *Spec) {
		s.Segments = nil
		for range maxSegments - 1 {
			s.Segments = append(s.Segments, Segment{0x42000000, make([]byte, 16<<20)})
		}
	}, "p256")
	trust := trust(b, "p256")
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(image)))
		b.ReportAllocs()
		for b.Loop() {
			_, err := Open(format.FromBytes(image), trust)
			require.NoError(b, err)
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(image)))
		for b.Loop() {
			sha256.Sum256(image)
		}
	})
}

// TestMemoryIsFlat: what a pass allocates does not grow with the image.
func TestMemoryIsFlat(t *testing.T) {
	small := opened(t, made(t, func(*Spec) {}, "p256"))
	large := opened(t, made(t, func(s *Spec) {
		data := bytes.Repeat([]byte{1}, 2<<20)
		for range maxSegments - len(s.Segments) - 1 {
			s.Segments = append(s.Segments, Segment{0x42000000, data})
		}
	}, "p256"))
	allocated := func(img *Image) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := img.Verify(trust(t, "p256"))
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(small)
	require.Less(t, allocated(large), allocated(small)+1<<20, "for %d bytes", large.src.Size())
}
