package esp32

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes good images in 10,000 ways each. None may verify unless it is the
// same image: what differs lies in the signature sector, which nothing covers.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			good, trust := g.bytes(t), trust(t, g.key)
			want := opened(t, good)
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			for i := range count {
				b := mutate(r, bytes.Clone(good))
				img, err := Open(format.FromBytes(b), trust)
				if err != nil {
					continue
				}
				require.Equal(t, good[:want.covered], b[:img.covered], "mutant %d verifies", i)
				require.Len(t, b, len(good), "mutant %d verifies", i)
				if want.v1 != nil {
					require.Equal(t, good, b, "mutant %d verifies", i)
				}
			}
		})
	}
}

// mutate changes one to three things, at random places and where it hurts: header,
// segment heads, the fields of a block with its CRC made good.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
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
			n := r.IntN(8)
			b = append(b[:at:at], append(make([]byte, n), b[at:]...)...)
		case 4:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 5:
			if head := min(len(b), 40); head > 0 {
				b[r.IntN(head)] = byte(r.Uint32())
			}
		case 6:
			if len(b) >= 32 {
				binary.LittleEndian.PutUint32(b[28:], []uint32{0, 3, 4, 256, 0x7fffffff, 0xfffffff0, 0xffffffff, r.Uint32()}[r.IntN(8)])
			}
		case 7:
			b = mutateBlock(r, b)
		case 8:
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

// mutateBlock edits a block, or swaps two, and keeps the CRC consistent.
func mutateBlock(r *rand.Rand, b []byte) []byte {
	if len(b) < sectorSize {
		return b
	}
	sector := b[len(b)-sectorSize:]
	slot := func(i int) []byte { return sector[i*blockSize : (i+1)*blockSize] }
	raw := slot(r.IntN(maxBlocks))
	switch r.IntN(4) {
	case 0:
		raw[r.IntN(crcAt)] ^= 1 << r.IntN(8)
	case 1:
		raw[r.IntN(170)] = byte(r.Uint32())
	case 2:
		copy(raw, slot(r.IntN(maxBlocks)))
	case 3:
		from := r.IntN(crcAt)
		clear(raw[from:min(crcAt, from+64)])
	}
	sealed(raw)
	return b
}

func FuzzOpen(f *testing.F) {
	for _, g := range goodImages() {
		if g.key != "rsa" {
			f.Add(g.bytes(f))
		}
	}
	keys := trust(f, "p256", "p384", "p192")
	good := map[string]bool{}
	for _, g := range goodImages() {
		if g.key != "rsa" {
			b := g.bytes(f)
			good[string(b[:opened(f, b).covered])] = true
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		detect(format.Input{Source: format.FromBytes(b)})
		img, err := OpenUnverified(format.FromBytes(b))
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		facts := img.Describe()
		var sum int64
		for _, r := range append(facts.Covered, facts.Uncovered...) {
			require.Equal(t, sum, r.Offset)
			sum += r.Size
		}
		require.EqualValues(t, len(b), sum)
		if _, err := img.Verify(keys); err == nil {
			require.True(t, good[string(b[:img.covered])])
		}
		for _, variant := range []string{format.Tampered, format.TamperedPlain, format.Unsigned, format.SignatureFlip} {
			if v, err := img.Tamper(variant, format.Means{}); err == nil {
				_, err = Open(format.FromBytes(v.Bytes), keys)
				require.Error(t, err, variant)
			}
		}
	})
}

func FuzzAnchor(f *testing.F) {
	f.Add(p192PEM(f))
	f.Add(bytes.Repeat([]byte{1}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnchor(format.Anchor{Bytes: b})
		require.Equal(t, isAnchor(b), err == nil && len(a) > 0)
	})
}
