package mender

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes a good artifact in 10,000 ways. None may verify unless what the
// manifest binds is the same, and then only bytes that Describe names as uncovered may differ.
func TestMutants(t *testing.T) {
	kinds := []goodImage{}
	for _, g := range goodImages() {
		if g.name != "rsa" && g.name != "version_2" {
			kinds = append(kinds, g)
		}
	}
	count := 10_000 / len(kinds)
	if testing.Short() {
		count = 200
	}
	for _, g := range kinds {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			good, trusted := g.bytes(t), trust(t, signer(t, g.key).Public())
			want := opened(t, good)
			uncovered := make([]bool, len(good))
			for _, r := range want.Describe().Uncovered {
				for i := range r.Size {
					uncovered[r.Offset+i] = true
				}
			}
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			verified := 0
			for i := range count {
				b := mutate(r, bytes.Clone(good))
				img, err := OpenUnverified(input(b))
				if err != nil {
					require.ErrorIs(t, err, format.ErrMalformed)
					continue
				}
				if _, err = img.Verify(trusted); err != nil {
					continue
				}
				verified++
				require.Equal(t, bound(t, want), bound(t, img), "mutant %d", i)
				for at := range good {
					if len(b) == len(good) && b[at] != good[at] {
						require.True(t, uncovered[at], "mutant %d differs at covered offset %d", i, at)
					}
				}
			}
			t.Logf("%d of %d mutants verify, all with the same contents", verified, count)
		})
	}
}

// bound is everything that the manifest binds: it names the hashes of all the rest.
func bound(t testing.TB, img *Image) string {
	manifest, err := img.small(img.manifest)
	require.NoError(t, err)
	header, err := img.in.Bytes(img.header.at, img.header.size)
	require.NoError(t, err)
	return fmt.Sprintf("%s%x%d", manifest, header, len(img.data))
}

// mutate changes one to three things, at random places and where it hurts: tar headers,
// lines of the manifest, compressed data behind repaired checksums.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) < 2*blockSize {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(9) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b = b[:at]
		case 3:
			b = append(b[:at:at], append(make([]byte, r.IntN(8)*[]int{1, blockSize}[r.IntN(2)]), b[at:]...)...)
		case 4:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 5:
			block := at / blockSize * blockSize
			to := min(len(b), block+blockSize*(1+r.IntN(4)))
			b = append(b[:to:to], b[block:]...) // blocks twice
		case 6, 7:
			block := at / blockSize * blockSize
			field := []int{0, 100, 124, 135, 148, 156, 157, 257, 265, 345}[r.IntN(10)]
			if block+blockSize <= len(b) {
				b[block+field] = byte(r.Uint32())
				repairTar(b[block : block+blockSize])
			}
		case 8:
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

// TestMemoryIsFlat verifies an artifact of 64 MiB and wants no more than a few of them taken.
func TestMemoryIsFlat(t *testing.T) {
	spec := fullSpec()
	spec.Compression = None
	spec.Files = []File{{"rootfs.ext4", make([]byte, 64<<20)}}
	img, trusted := opened(t, made(t, spec, "ecdsa")), trust(t, signer(t, "ecdsa").Public())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := img.Verify(trusted)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

// BenchmarkVerify tells the speed over an uncompressed payload, to be held against openssl dgst.
func BenchmarkVerify(b *testing.B) {
	spec := fullSpec()
	spec.Compression = None
	spec.Files = []File{{"rootfs.ext4", make([]byte, 64<<20)}}
	img, trusted := opened(b, made(b, spec, "ecdsa")), trust(b, signer(b, "ecdsa").Public())
	b.SetBytes(64 << 20)
	for b.Loop() {
		_, err := img.Verify(trusted)
		require.NoError(b, err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, g := range goodImages() {
		if g.key != "rsa" {
			f.Add(g.bytes(f))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	good := made(f, fullSpec(), "ecdsa")
	for range 50 {
		f.Add(mutate(r, bytes.Clone(good)))
	}
	trusted := trust(f, signer(f, "ecdsa").Public())
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := OpenUnverified(input(b))
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		facts := img.Describe()
		var sum int64
		for _, x := range append(facts.Covered, facts.Uncovered...) {
			sum += x.Size
		}
		require.EqualValues(t, len(b), sum)
		report, err := img.Verify(trusted)
		require.Equal(t, err == nil, report.Verified)
	})
}
