package swupdate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes a good archive in 10,000 ways. None may verify unless what the
// signature binds is the same, and then only bytes that Describe names as uncovered may differ.
func TestMutants(t *testing.T) {
	count := 10_000 / len(goodImages())
	if testing.Short() {
		count = 200
	}
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			good, trusted := g.bytes(t), trust(t, g.key)
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

// bound is everything that the signature binds.
func bound(t testing.TB, img *Image) string {
	s := string(img.text)
	for _, m := range img.members {
		if _, named := img.description.hashes[m.name]; named {
			b, err := img.in.Bytes(m.at, m.size)
			require.NoError(t, err)
			s += fmt.Sprintf("%s %x", m.name, b)
		}
	}
	return s
}

// mutate changes one to three things, at random places and where it hurts: numbers of cpio
// headers, whole members, sw-description.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) < 512 {
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
			b = append(b[:at:at], append(make([]byte, r.IntN(8)), b[at:]...)...)
		case 4:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 5:
			to := min(len(b), at/4*4+4*r.IntN(64))
			b = append(b[:to:to], b[min(to, at/4*4):]...) // something twice
		case 6, 7:
			if img, err := OpenUnverified(input(b)); err == nil {
				m := img.members[r.IntN(len(img.members))]
				copy(b[m.header+6+8*int64(r.IntN(13)):], fmt.Sprintf("%08X", []uint32{0, 1, 2, 0x7fffffff, 0xffffffff, r.Uint32(), uint32(m.size + 1)}[r.IntN(7)]))
			}
		case 8:
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

func large(t testing.TB) *Image {
	spec := fullSpec()
	spec.CRC = true
	spec.Images[0].Data = make([]byte, 64<<20)
	return opened(t, made(t, spec, "ec"))
}

// TestMemoryIsFlat verifies an archive of 64 MiB and wants no more than a few of them taken.
func TestMemoryIsFlat(t *testing.T) {
	img, trusted := large(t), trust(t, "ec")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := img.Verify(trusted)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

// BenchmarkVerify tells the speed with hash and sum, to be held against openssl dgst.
func BenchmarkVerify(b *testing.B) {
	img, trusted := large(b), trust(b, "ec")
	b.SetBytes(64 << 20)
	for b.Loop() {
		_, err := img.Verify(trusted)
		require.NoError(b, err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, g := range goodImages() {
		f.Add(g.bytes(f))
	}
	r := rand.New(rand.NewPCG(1, 2))
	good := made(f, fullSpec(), "ec")
	for range 50 {
		f.Add(mutate(r, bytes.Clone(good)))
	}
	f.Add(rewritten(f, good, func(w *work) { w.files[0].Data = sealAES(f, w.files[0].Data) }))
	trusted := trust(f, "ec")
	trusted.Recipients = []format.Anchor{{From: "the.key", Bytes: []byte(keyFile)}}
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

func FuzzDescription(f *testing.F) {
	spec := fullSpec()
	for range 2 {
		text, err := spec.description()
		require.NoError(f, err)
		f.Add(text)
		spec.JSON = true
	}
	f.Add([]byte("a = (1, \"x\" \"y\\n\", { b = [ 0x1L, -2.5e3, true ] }); /* c */ # d"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := readDescription(text)
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		require.NotEmpty(t, d.version(selection{}))
	})
}
