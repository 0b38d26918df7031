package rauc

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// judged is what our own verifier, or the device of the variant, says of it.
func judged(v format.Variant, trust format.Trust) error {
	b := v.Bytes
	if v.Files != nil {
		b = v.Files[format.FileSecond]
	}
	bundle, err := OpenUnverified(format.FromBytes(b))
	if err != nil {
		return err
	}
	if _, err := bundle.Verify(trust); err != nil || v.Manifest.Device == nil {
		return err
	}
	return bundle.Check(*v.Manifest.Device)
}

func TestTamper(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "rsa-2048", "ed25519"} {
		p := newPKI(t, cms.PKIOptions{Kind: kind, Intermediate: kind == "ecdsa-p256"})
		for _, k := range []Kind{Plain, Verity, Crypt} {
			if kind != "ecdsa-p256" && k != Verity {
				continue // other keys change the signature only
			}
			genuine := build(t, specOf(k, p))
			before := bytes.Clone(genuine)
			older := specOf(k, p)
			older.Version, older.Payload = "2026.10", junk(5*blockSize+blockSize)
			sister := specOf(k, p)
			sister.Compatible = "Board B"
			means := meansOf(p)
			olderSource, sisterSource := format.FromBytes(build(t, older)), format.FromBytes(build(t, sister))
			for name, m := range map[string]format.Means{
				"no means": {}, "the maker's key": means,
				"other bundles": {Older: &olderSource, Sister: &sisterSource},
			} {
				if kind != "ecdsa-p256" && name != "the maker's key" {
					continue
				}
				made := 0
				for _, variant := range variants() {
					v, err := opened(t, genuine).Tamper(variant, m)
					if errors.Is(err, format.ErrNotApplicable) {
						continue
					}
					require.NoError(t, err, variant)
					made++
					require.Equal(t, before, genuine, "the genuine image was changed")
					assert.NotEqual(t, genuine, v.Bytes)
					assert.NotEmpty(t, v.Manifest.Changed, variant)
					assert.NotEmpty(t, v.Manifest.Expected, variant)
					assert.ErrorIs(t, judged(v, trustOf(p)), v.Manifest.Reason, "%s %s %s %s", kind, k, name, variant)
				}
				require.GreaterOrEqual(t, made, 16, "%s %s", k, name)
				if name == "the maker's key" && k == Verity && kind != "ed25519" {
					require.Equal(t, len(variants())-1, made, "all but mix-and-match")
				}
			}
		}
	}
	_, err := opened(t, build(t, specOf(Verity, newPKI(t, cms.PKIOptions{})))).Tamper("no such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
}

// TestOverlong is CVE-2026-34155: 4 GiB of payload and more, of which the signature covers the first bytes.
func TestOverlong(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes 4 GiB")
	}
	p := newPKI(t, cms.PKIOptions{})
	_, err := opened(t, build(t, specOf(Verity, p))).Overlong()
	require.ErrorIs(t, err, format.ErrNotApplicable)
	plain := opened(t, build(t, specOf(Plain, p)))
	long, err := plain.Overlong()
	require.NoError(t, err)
	head, err := long.Bytes(0, plain.payload)
	require.NoError(t, err)
	require.Equal(t, junk(5*blockSize), head)
	b, err := OpenUnverified(long)
	require.NoError(t, err)
	require.Contains(t, b.Describe().Notes[1], "CVE-2026-34155")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = b.Verify(trustOf(p))
	require.ErrorIs(t, err, format.ErrBadHash)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "bytes allocated on the way through 4 GiB")
}
