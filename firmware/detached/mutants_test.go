package detached

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes each good pair in 10,000 ways. None may verify unless artifact and
// everything that the signature covers are the same.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 300
	}
	for _, p := range pairs(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(len(p.name))))
			taken, count := 0, count
			if !slices.Contains([]string{"minisign", "signify", "signify-list", "raw-p256", "pgp-ed25519", "cms-ecdsa"}, p.name) {
				count /= 20 // slow, and like another one
			}
			for i := range count {
				signature, artifact := bytes.Clone(p.signature), p.artifact
				if artifact != nil && r.IntN(8) == 0 {
					artifact = mutate(r, bytes.Clone(artifact))
				} else {
					signature = mutate(r, signature)
				}
				_, img, err := p.with(signature, artifact).verify()
				if err != nil {
					continue
				}
				taken++
				require.True(t, p.same(t, img), "mutant %d verifies: %q", i, signature)
				require.True(t, bytes.Equal(p.artifact, artifact), "mutant %d: another artifact verifies", i)
			}
			t.Logf("%d of %d differ in nothing that is covered", taken, count)
		})
	}
}

// mutate changes one to three things.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(8) {
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
			if at+2 <= len(b) {
				binary.BigEndian.PutUint16(b[at:], []uint16{0, 1, 0x7fff, 0xffff, uint16(len(b))}[r.IntN(5)])
			}
		case 7:
			b = append(b[:at:at], append([]byte{"\n\r\t =-:\x00"[r.IntN(8)]}, b[at:]...)...)
		}
	}
	return b
}

func FuzzDetached(f *testing.F) {
	all := pairs(f)
	for _, p := range all {
		f.Add(p.signature, p.artifact)
	}
	trust := format.Trust{At: all[0].trust.At, Own: map[string][]format.Anchor{}}
	for _, p := range all {
		for name, a := range p.trust.Own {
			trust.Own[name] = append(trust.Own[name], a...)
			trust.At = p.trust.Now()
		}
	}
	f.Fuzz(func(t *testing.T, signature, artifact []byte) {
		for _, a := range [][]byte{nil, artifact} {
			p := pair{signature: signature, artifact: a, trust: trust}
			for _, known := range Formats() {
				img, err := known.OpenUnverified(p.input())
				if err != nil {
					require.True(t, errors.Is(err, format.ErrMalformed) || errors.Is(err, format.ErrNotVerified), "%v", err)
					continue
				}
				for _, region := range append(img.Describe().Covered, img.Describe().Uncovered...) {
					require.GreaterOrEqual(t, region.Size, int64(0))
				}
				r, err := img.Verify(trust)
				require.Equal(t, err == nil, r.Verified)
				if err != nil {
					continue
				}
				for _, variant := range []string{format.TamperedPlain, format.SignatureFlip, format.WrongKeyForged} {
					v, err := img.Tamper(variant, format.Means{})
					if err != nil {
						continue
					}
					bad := p.with(v.Files[format.FileSignature], v.Files[format.FileArtifact])
					if v.Bytes != nil {
						bad = p.with(v.Bytes, nil)
					}
					_, _, err = bad.verify()
					require.Error(t, err, variant)
				}
			}
		}
	})
}
