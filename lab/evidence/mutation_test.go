package evidence

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/lab/evidence/fulciotest"
	"assay/lab/evidence/stamptest"
)

// A region is one class of a bundle's bytes.
type region struct {
	name     string
	from, to int
}

// regions are the classes of bytes of a bundle: what frames each entry, and what is in it.
func regions(t testing.TB, b []byte) []region {
	t.Helper()
	c, err := readContainer(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	var all []region
	for _, e := range c.entries {
		class := e.name
		if e.isFile() {
			class = "files"
		}
		all = append(all, region{"header of " + class, int(e.offset), int(e.data())}, region{class, int(e.data()), int(e.next())})
	}
	return append(all, region{"central directory", int(c.tail), len(b)})
}

// mutate changes bytes inside a region in one of several ways, and the length of the file in some.
func mutate(r *rand.Rand, b []byte, in region) (string, []byte) {
	from, n := in.from+r.IntN(in.to-in.from), 1+r.IntN(16)
	to := min(from+n, in.to)
	m := bytes.Clone(b)
	switch kind := r.IntN(8); kind {
	case 0:
		m[from] ^= 1 << r.IntN(8)
		return "bit", m
	case 1:
		m[from] = byte(r.IntN(256))
		return "byte", m
	case 2:
		for i := from; i < to; i++ {
			m[i] = byte(r.IntN(256))
		}
		return "bytes", m
	case 3:
		clear(m[from:to])
		return "zeros", m
	case 4:
		return "removed", append(m[:from], b[to:]...)
	case 5:
		return "twice", append(append(append([]byte{}, b[:to]...), b[from:to]...), b[to:]...)
	case 6:
		m[from], m[to-1] = m[to-1], m[from]
		return "exchanged", m
	default:
		return "inserted", append(append(append([]byte{}, b[:from]...), byte(r.IntN(256))), b[from:]...)
	}
}

// TestTenThousandMutants changes a bundle with everything that one can have, in every class of its bytes:
// none verifies. The half of them has its archive mended, so that only what is inside can tell.
// What is tried beyond ten thousand are mutants that say the same.
func TestTenThousandMutants(t *testing.T) {
	p, a := newPeople(t), stamptest.New(t, time.Now)
	trust := p.trust()
	trust.Authorities = trusting(t, p.lab, a).Authorities
	t.Run("under a key", func(t *testing.T) {
		_, path := sealRun(t, p.lab)
		_, err := AddStamp(t.Context(), path, a.URL)
		require.NoError(t, err)
		mutants(t, path, p, trust)
	})
	t.Run("under a certificate", func(t *testing.T) {
		f, trust := fulciotest.New(t, time.Now), trust
		trust.Keyless = keylessTrust(t, f, a, owner).Keyless
		mutants(t, sealKeyless(t, certified(t, f, f.Mail(t, owner)), a), p, trust)
	})
}

func mutants(t *testing.T, path string, p people, trust Trust) {
	for range 2 {
		_, err := Amend(t.Context(), path, p.reviewer.signer, amendment(AmendReview, RoleReviewer, ""))
		require.NoError(t, err)
	}
	b := read(t, path)
	sealed, err := verifyBundle(t.Context(), bytes.NewReader(b), int64(len(b)), path, trust)
	require.NoError(t, err)
	all := regions(t, b)
	list := splitBundle(t, b)
	killed, layers := map[string]int{}, map[string]int{}
	r := rand.New(rand.NewPCG(1, 2))
	for n, tries := 0, 0; n < 10_000; tries++ {
		in := all[tries%len(all)]
		how, m := mutate(r, b, in)
		if tries%2 == 1 {
			at := r.IntN(len(list))
			how, m = mend(t, r, list, at)
			in.name = "mended " + list[at].name
			if list[at].name[:5] == "files" {
				in.name = "mended files"
			}
		}
		if bytes.Equal(m, b) {
			continue
		}
		e, err := verifyBundle(t.Context(), bytes.NewReader(m), int64(len(m)), path, trust)
		if err == nil && slices.ContainsFunc(e.Amendments, func(a Amendment) bool { return !a.Checked }) {
			layers["an amendment counts for nothing"]++ // its hint names a key that nobody gave
			continue
		}
		if err == nil && in.name == "mended "+stampName {
			// An authority's answer has bytes that it did not sign (its status, algorithm parameters); the archive's
			// CRC-32 was mended over them. What it says must be the same to the second and to the number.
			require.Equal(t, sealed.Stamp.Time, e.Stamp.Time)
			require.Equal(t, sealed.Stamp.Serial, e.Stamp.Serial)
			require.Equal(t, sealed.Stamp.token.signer.Raw, e.Stamp.token.signer.Raw)
			layers["bytes that the authority did not sign"]++
			continue
		}
		require.Error(t, err, "mutant %d verifies: %s in %s", n, how, in.name)
		killed[in.name]++
		n++
		layers[requireBroken(t, err).What]++
	}
	for name, n := range killed {
		t.Logf("%5d %s", n, name)
	}
	t.Log(fmt.Sprint(layers))
}

// mend changes one entry and writes the archive anew around it.
func mend(t testing.TB, r *rand.Rand, list []entryBytes, at int) (string, []byte) {
	t.Helper()
	mutant := append([]entryBytes{}, list...)
	how, b := mutate(r, mutant[at].b, region{"", 0, len(mutant[at].b)})
	mutant[at].b = b
	return how, packed(mutant)
}

// packed writes entries as a bundle in its only form, in memory.
func packed(list []entryBytes) []byte {
	var b, directory []byte
	for _, x := range list {
		e := entry{name: x.name, crc: crc32.ChecksumIEEE(x.b), size: uint64(len(x.b)), offset: uint64(len(b))}
		b = append(append(b, e.local()...), x.b...)
		directory = append(directory, e.central()...)
	}
	end := ending(uint64(len(list)), uint64(len(b)), uint64(len(directory)))
	return append(append(b, directory...), end...)
}
