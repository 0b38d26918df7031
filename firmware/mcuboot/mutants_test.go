package mcuboot

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes good images in 10,000 ways each. None may verify unless it is the
// same image in the words of Verify: covered bytes and TLVs equal, erased flash behind.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			good, keys := g.bytes(t), trust(t, g.key)
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			for i := range count {
				b := mutate(r, bytes.Clone(good))
				if img, err := Open(b, keys); err == nil {
					require.True(t, sameImage(t, good, img), "mutant %d verifies: %x", i, b)
				}
			}
		})
	}
}

func sameImage(t testing.TB, good []byte, img *Image) bool {
	want, err := OpenUnverified(good)
	require.NoError(t, err)
	if !bytes.Equal(want.raw[:want.covered], img.raw[:img.covered]) {
		return false
	}
	for _, x := range want.unprotected {
		if !bytes.HasPrefix(find(img.unprotected, x.Type), x.Value) { // zeros may follow a signature
			return false
		}
	}
	return true
}

// mutate changes one to three things, at random places and where it hurts: sizes,
// totals, types, heads.
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
			to := min(len(b), at+1+r.IntN(80))
			b = append(b[:to:to], b[at:]...) // something twice
		case 6:
			field := []int{4, 8, 10, 12, 16, 20, 24, 28}[r.IntN(8)]
			if field+4 <= len(b) {
				binary.LittleEndian.PutUint32(b[field:], extreme(r))
			}
		case 7:
			b = mutateTLV(r, b)
		case 8:
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

func extreme(r *rand.Rand) uint32 {
	return []uint32{0, 1, 31, 32, 33, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xfffffffc, 0xffffffff, r.Uint32()}[r.IntN(12)]
}

// mutateTLV edits one of the unprotected TLVs and keeps the area consistent.
func mutateTLV(r *rand.Rand, b []byte) []byte {
	img, err := OpenUnverified(b)
	if err != nil || len(img.unprotected) == 0 {
		return b
	}
	tlvs := img.Unprotected()
	i := r.IntN(len(tlvs))
	switch r.IntN(5) {
	case 0:
		tlvs = append(tlvs[:i], tlvs[i+1:]...)
	case 1:
		tlvs[i].Type = Type(r.IntN(0x80))
	case 2:
		tlvs[i].Value = tlvs[i].Value[:r.IntN(len(tlvs[i].Value)+1)]
	case 3:
		tlvs[i].Value = append(bytes.Clone(tlvs[i].Value), byte(r.IntN(2)))
	case 4:
		tlvs = append(tlvs, TLV{Type(r.IntN(0x80)), make([]byte, r.IntN(65))})
	}
	out, err := appendArea(bytes.Clone(img.raw[:img.covered]), unprotectedMagic, tlvs)
	if err != nil {
		return b
	}
	return append(out, img.raw[img.end:]...)
}

func FuzzOpen(f *testing.F) {
	for _, g := range goodImages() {
		if rsaKeys[g.key] == nil {
			f.Add(g.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := OpenUnverified(b)
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		facts := img.Describe()
		require.LessOrEqual(t, len(img.Payload()), len(b))
		var sum int64
		for _, r := range append(facts.Covered, facts.Uncovered...) {
			require.Equal(t, sum, r.Offset)
			sum += r.Size
		}
		require.EqualValues(t, len(img.raw), sum)
		// What parses prints back the same bytes.
		again, err := img.withUnprotected(img.Unprotected())
		require.NoError(t, err)
		require.Equal(t, img.raw, again)
	})
}

func FuzzVerify(f *testing.F) {
	good := made(f, fullSpec(), "p256")
	covered, err := fullSpec().covered()
	require.NoError(f, err)
	keys := trust(f, "p256")
	f.Add(good)
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		f.Add(mutate(r, bytes.Clone(good)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := OpenUnverified(b)
		if err != nil {
			return
		}
		report, err := img.Verify(keys)
		require.Equal(t, err == nil, report.Verified)
		if err == nil {
			// Another process of the fuzzer has signed it again, so only what is covered is the same.
			require.Equal(t, covered, img.raw[:img.covered])
		} else {
			require.ErrorIs(t, err, format.ErrNotVerified)
		}
		for _, variant := range []string{format.Tampered, format.TamperedPlain, format.Unsigned} {
			if changed, err := img.Tamper(variant, format.Means{}); err == nil {
				_, err = Open(changed.Bytes, keys)
				require.Error(t, err, variant)
			}
		}
	})
}
