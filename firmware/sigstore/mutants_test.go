package sigstore

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestMutants changes good signatures in 10,000 ways each, and their artifact in as many. No
// other artifact may verify; a changed signature file may, if what counts in it is the same.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	for _, g := range goods(t) {
		if !slices.Contains([]string{"p256", "p256 envelope", "p256 logged", "ed25519 plain", "keyless", "keyless envelope"}, g.name) {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			genuine := g.open(t)
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			for i := range count {
				b := mutate(r, bytes.Clone(g.bundle))
				img, err := OpenUnverified(input(b, firmware))
				if err != nil {
					require.ErrorIs(t, err, format.ErrMalformed)
					continue
				}
				report, err := img.Verify(g.trust)
				require.Equal(t, err == nil, report.Verified)
				if err == nil {
					require.True(t, same(genuine, img), "mutant %d verifies: %s", i, b)
				}
			}
			for range count / 10 {
				artifact := scramble(r, bytes.Clone(firmware))
				if bytes.Equal(artifact, firmware) {
					continue
				}
				img, err := OpenUnverified(input(g.bundle, artifact))
				require.NoError(t, err)
				_, err = img.Verify(g.trust)
				require.ErrorIs(t, err, format.ErrNotVerified)
			}
		})
	}
}

// same compares what is signed and who signed it. Of the two signatures that ECDSA has of
// everything, r and s or r and n-s, a log takes but one; without a log either counts.
func same(a, b *Image) bool {
	if a.envelope != nil && !bytes.Equal(a.envelope.payload, b.envelope.payload) {
		return false
	}
	if a.leaf != nil && !a.leaf.Equal(b.leaf) {
		return false
	}
	return bytes.Equal(a.sig, b.sig)
}

// scramble changes bytes at random places.
func scramble(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b = b[:at]
		case 3:
			b = slices.Insert(b, at, make([]byte, r.IntN(8))...)
		case 4:
			b = slices.Delete(b, at, min(len(b), at+1+r.IntN(8)))
		case 5:
			b = slices.Insert(b, at, bytes.Clone(b[at:min(len(b), at+40)])...)
		}
	}
	return b
}

// mutate changes the text, or one member of the JSON.
func mutate(r *rand.Rand, b []byte) []byte {
	if r.IntN(3) == 0 || b[0] != '{' {
		return scramble(r, b)
	}
	var v object
	if json.Unmarshal(b, &v) != nil {
		return b
	}
	for range 1 + r.IntN(2) {
		mutateJSON(r, v)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return b
	}
	return out
}

func mutateJSON(r *rand.Rand, v object) {
	names := slices.Sorted(maps.Keys(v))
	if len(names) == 0 {
		return
	}
	name := names[r.IntN(len(names))]
	if list, ok := v[name].([]any); ok && len(list) > 0 && r.IntN(4) > 0 {
		if next, ok := list[r.IntN(len(list))].(object); ok {
			mutateJSON(r, next)
			return
		}
		v[name] = append(list, list[0])
		return
	}
	if next, ok := v[name].(object); ok && r.IntN(8) > 0 {
		mutateJSON(r, next)
		return
	}
	text, isText := v[name].(string)
	switch c := r.IntN(8); {
	case c == 0:
		delete(v, name)
	case c == 1:
		v[name] = nil
	case c == 2:
		v[name] = []any{}
	case c == 3:
		v[name] = object{}
	case c == 4:
		v[name] = []any{v[name], v[name]}
	case isText && len(text) > 0:
		b := []byte(text)
		b[r.IntN(len(b))] = "ABCDabcd0123+/=-"[r.IntN(16)]
		v[name] = string(b)
	default:
		v[name] = strings.Repeat("A", 4*r.IntN(20))
	}
}

func FuzzOpen(f *testing.F) {
	all := goods(f)
	for _, g := range all {
		f.Add(g.bundle)
	}
	trust := all[len(all)-1].trust
	trust.NoLog = true
	f.Fuzz(func(t *testing.T, b []byte) {
		in := input(b, firmware)
		img, err := OpenUnverified(in)
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		if len(b) > 0 {
			require.True(t, detect(in), "what opens is detected")
		}
		img.Describe()
		// Keys and logs of the corpus are other processes': nothing may verify.
		report, err := img.Verify(format.Trust{})
		require.ErrorIs(t, err, format.ErrNotVerified)
		require.False(t, report.Verified)
		_, _ = img.Verify(trust)
		for _, variant := range []string{format.Tampered, format.StrippedProof, format.DuplicateEntry, format.TrailerFlip} {
			_, _ = img.Tamper(variant, format.Means{})
		}
	})
}
