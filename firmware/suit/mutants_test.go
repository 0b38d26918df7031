package suit

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes good envelopes in 10,000 ways each. None may verify unless it is the
// same envelope in the words of Verify.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			good, trust := g.bytes(t), trust(t, g.key)
			want, err := Open(input(good), trust)
			require.NoError(t, err)
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			n := count
			if slices.Contains([]string{"p384", "p521", "rsa2048"}, g.key) {
				n /= 5 // the same reader, and slower signatures
			}
			for i := range n {
				b := mutate(r, bytes.Clone(good))
				if img, err := Open(input(b), trust); err == nil {
					require.True(t, sameImage(want, img), "mutant %d verifies: %x", i, b)
				}
			}
		})
	}
}

// sameImage holds where only what is described as uncovered differs: the manifest is the
// same, and so is everything whose digest it holds; text may be severed.
func sameImage(want, img *Image) bool {
	if !bytes.Equal(want.manifestRaw, img.manifestRaw) || !bytes.Equal(want.digestRaw, img.digestRaw) {
		return false
	}
	for key, raw := range want.severable {
		if got := img.severable[key]; got == nil && key == keyText {
			continue
		} else if !bytes.Equal(raw, got) {
			return false
		}
	}
	for n, m := range want.members {
		if !m.isName {
			continue
		}
		at, ok := img.payload(m.name)
		if !ok {
			return false
		}
		if want.needed[n] {
			if !img.needed[at] || !sameImage(want.subs[n].img, img.subs[at].img) {
				return false
			}
		} else if !bytes.Equal(payloadOf(want, n), payloadOf(img, at)) {
			return false
		}
	}
	return true
}

func payloadOf(img *Image, n int) []byte {
	b, _ := img.src.Bytes(img.members[n].body, img.members[n].size)
	return b
}

// mutate changes one to three things, at random places and where it hurts.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(10) {
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
			to := min(len(b), at+1+r.IntN(80))
			b = append(b[:to:to], b[at:]...) // something twice
		case 6:
			b[min(len(b)-1, r.IntN(16))] ^= 1 << r.IntN(8) // heads
		case 7, 8:
			b = mutateParts(r, b)
		case 9:
			b = append(b, byte(r.Uint32()))
		}
	}
	return b
}

// mutateParts edits members and blocks, and keeps lengths and, mostly, the digest consistent.
func mutateParts(r *rand.Rand, b []byte) []byte {
	img, err := OpenUnverified(input(b))
	if err != nil || img.bare {
		return b
	}
	d, err := img.draft()
	if err != nil {
		return b
	}
	flip := func(p []byte) {
		if len(p) > 0 {
			p[r.IntN(len(p))] ^= 1 << r.IntN(8)
		}
	}
	switch r.IntN(9) {
	case 0:
		flip(d.manifest)
	case 1:
		d.manifest = d.manifest[:r.IntN(len(d.manifest)+1)]
	case 2:
		if len(d.members) > 0 {
			i := r.IntN(len(d.members))
			d.members = append(d.members[:i:i], d.members[i+1:]...)
		}
	case 3:
		if len(d.members) > 0 {
			flip(d.members[r.IntN(len(d.members))].value)
		}
	case 4:
		d.blocks = append(d.blocks, d.blocks...)
	case 5:
		d.blocks = nil
	case 6:
		d.members = append(d.members, part{encode("#more"), []byte("more")})
	case 7:
		d.tagged = !d.tagged
	case 8:
		d.first = bytes.Clone(d.manifest)
		flip(d.first)
	}
	if r.IntN(4) > 0 {
		_ = d.redigest()
	}
	return d.bytes()
}

func FuzzOpen(f *testing.F) {
	for _, g := range goodImages() {
		if g.key != "rsa2048" {
			f.Add(g.bytes(f))
		}
	}
	f.Add(append([]byte{0xd9, 0x04, 0x2e}, encode(entry{keyVersion: 1, keySequence: 1, keyCommon: encode(entry{})})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := OpenUnverified(input(b))
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		facts := img.Describe()
		var sum int64
		for _, r := range merged(facts.Covered, facts.Uncovered) {
			require.Equal(t, sum, r.Offset)
			sum += r.Size
		}
		require.EqualValues(t, len(b), sum)
		if img.bare {
			return
		}
		// What parses prints back the same bytes.
		d, err := img.draft()
		require.NoError(t, err)
		require.Equal(t, b, d.bytes())
	})
}

// merged orders regions by offset.
func merged(a, b []format.Region) []format.Region {
	var out []format.Region
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].Offset < b[0].Offset {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

func FuzzVerify(f *testing.F) {
	trust := trust(f, "p256", "ed25519", "mac")
	// The same in every process of the fuzzer, for Ed25519 and the MAC do not depend on chance.
	var known []*Image
	for _, g := range goodImages() {
		if g.key != "ed25519" && g.key != "mac" {
			continue
		}
		good := g.bytes(f)
		img, err := Open(input(good), trust)
		require.NoError(f, err)
		known = append(known, img)
		f.Add(good)
		r := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			f.Add(mutate(r, bytes.Clone(good)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := OpenUnverified(input(b))
		if err != nil {
			return
		}
		report, err := img.Verify(trust)
		require.Equal(t, err == nil, report.Verified)
		if err != nil {
			require.True(t, isRefusal(err), "%v", err)
			return
		}
		same := false
		for _, k := range known {
			same = same || sameImage(k, img)
		}
		require.True(t, same)
		for _, variant := range []string{format.Tampered, format.TamperedPlain, format.Unsigned, format.SeveredMissing} {
			if v, err := img.Tamper(variant, format.Means{}); err == nil {
				_, err = Open(input(v.Bytes), trust)
				require.Error(t, err, variant)
			}
		}
	})
}
