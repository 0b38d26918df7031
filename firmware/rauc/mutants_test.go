package rauc

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// mutate changes one to three things, at random places and where it hurts: behind the
// payload, where all the structure is.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		if r.IntN(3) > 0 {
			at = max(0, len(b)-1-r.IntN(min(len(b), 2500)))
		}
		switch r.IntN(8) {
		case 0, 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] = byte(r.Uint32())
		case 3:
			b = b[:at]
		case 4:
			b = append(b[:at:at], append(make([]byte, r.IntN(8)), b[at:]...)...)
		case 5:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 6:
			if len(b) >= tailSize {
				n := binary.BigEndian.Uint64(b[len(b)-tailSize:])
				binary.BigEndian.PutUint64(b[len(b)-tailSize:], []uint64{0, 1, n - 1, n + 1, n + 4096, n - 4096, 1 << 31, 1 << 63, r.Uint64()}[r.IntN(9)])
			}
		case 7:
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

// TestMutants changes good bundles in 10,000 ways. None may verify unless the bytes that
// differ are where Describe says that nothing covers them.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	p := newPKI(t, cms.PKIOptions{Intermediate: true})
	for _, k := range []Kind{Plain, Verity} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			s := specOf(k, p)
			s.Payload = junk(2 * blockSize)
			good := build(t, s)
			facts := opened(t, good).Describe()
			free := func(at int) bool {
				for _, r := range facts.Uncovered {
					if int64(at) >= r.Offset && int64(at) < r.Offset+r.Size {
						return true
					}
				}
				return false
			}
			r := rand.New(rand.NewPCG(1, uint64(len(k))))
			for i := range count {
				b := mutate(r, bytes.Clone(good))
				if _, err := verify(b, trustOf(p)); err != nil {
					continue
				}
				require.Len(t, b, len(good), "mutant %d verifies", i)
				for at := range good {
					require.True(t, good[at] == b[at] || free(at), "mutant %d verifies with byte %d changed", i, at)
				}
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	p := newPKI(f, cms.PKIOptions{})
	for _, k := range []Kind{Plain, Verity, Crypt} {
		s := specOf(k, p)
		s.Payload = junk(2 * blockSize)
		f.Add(build(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		detect(format.Input{Source: format.FromBytes(b)})
		bundle, err := OpenUnverified(format.FromBytes(b))
		if err != nil {
			return
		}
		facts := bundle.Describe()
		for _, r := range append(facts.Covered, facts.Uncovered...) {
			require.LessOrEqual(t, r.Offset+r.Size, int64(len(b)), r.Name)
		}
		report, err := bundle.Verify(trustOf(p))
		require.Equal(t, err == nil, report.Verified)
		if v, err := bundle.Tamper(format.Tampered, format.Means{}); err == nil {
			require.Error(t, judged(v, trustOf(p)))
		}
	})
}

func FuzzSquashfs(f *testing.F) {
	f.Add(junk(blockSize))
	f.Add(squashed(f, map[string][]byte{"manifest.raucm": []byte("[update]\ncompatible=x\n")}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = readSquashfsFile(format.FromBytes(b), "manifest.raucm")
	})
}
