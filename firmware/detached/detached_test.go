package detached

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestGoodPairsVerify(t *testing.T) {
	for _, p := range pairs(t) {
		t.Run(p.name, func(t *testing.T) {
			r, img, err := p.verify()
			require.NoError(t, err)
			assert.True(t, r.Verified)
			assert.Equal(t, p.format, r.Image.Format)
			assert.NotEmpty(t, r.Signature)
			assert.NotEmpty(t, r.Digest)
			assert.NotNil(t, r.Key)
			assert.GreaterOrEqual(t, len(r.Chain), 3)
			assert.True(t, p.same(t, img))
			assert.NotEmpty(t, r.Image.Notes)

			_, err = img.Verify(format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey, "nobody is trusted")

			if p.artifact == nil {
				return
			}
			alone := p.with(p.signature, nil)
			f, found := find(alone.input())
			if p.format == "raw" {
				require.False(t, found, "without an artifact nothing makes it a signature")
				return
			}
			require.True(t, found)
			bare, err := f.OpenUnverified(alone.input())
			require.NoError(t, err)
			if bare.(*Image).embedded != nil {
				return
			}
			_, err = bare.Verify(p.trust)
			require.ErrorIs(t, err, format.ErrNotVerified)
			_, err = bare.Tamper(format.Tampered, p.means)
			require.ErrorIs(t, err, format.ErrNotApplicable)
		})
	}
}

// TestEveryVariantIsRefused makes all variants of all schemes: our own verifier, or the
// device that the manifest describes, must refuse each for the reason that it gives.
func TestEveryVariantIsRefused(t *testing.T) {
	for _, p := range pairs(t) {
		t.Run(p.name, func(t *testing.T) {
			f, ok := find(p.input())
			require.True(t, ok)
			img, err := f.OpenUnverified(p.input())
			require.NoError(t, err)
			made := 0
			for _, variant := range f.Variants {
				v, err := img.Tamper(variant, p.means)
				if errors.Is(err, format.ErrNotApplicable) {
					t.Logf("%s: %v", variant, err)
					continue
				}
				require.NoError(t, err, variant)
				made++
				judge(t, p, f, variant, v)
			}
			assert.GreaterOrEqual(t, made, 10)
			_, err = img.Tamper("no such", p.means)
			require.ErrorIs(t, err, format.ErrUnknownVariant)
			_, err = img.Tamper(format.PathEscape, p.means)
			require.ErrorIs(t, err, format.ErrNotApplicable)
			r, _, err := p.verify()
			require.NoError(t, err, "the good pair was not touched")
			require.True(t, r.Verified)
		})
	}
}

func judge(t *testing.T, p pair, f format.Format, variant string, v format.Variant) {
	m := v.Manifest
	require.Equal(t, variant, m.Variant)
	require.Equal(t, p.format, m.Format)
	require.NotEmpty(t, m.Changed, variant)
	require.NotEmpty(t, m.Expected, variant)
	require.NotEmpty(t, m.Layer, variant)
	bad := p.with(v.Bytes, nil)
	switch {
	case v.Files[format.FileSecond] != nil && v.Files[format.FileSignature] == nil:
		bad = p.with(v.Files[format.FileSecond], nil)
	case v.Files[format.FileSecond] != nil:
		first, _, err := p.with(v.Files[format.FileSignature], v.Files[format.FileFirst]).verify()
		require.NoError(t, err)
		require.True(t, first.Verified, "what is checked is genuine")
		bad = p.with(v.Files[format.FileSignature], v.Files[format.FileSecond])
	case v.Files != nil:
		bad = p.with(v.Files[format.FileSignature], v.Files[format.FileArtifact])
	}
	r, img, err := bad.verify()
	if m.Device != nil {
		require.NoError(t, err, "%s is genuine", variant)
		err = img.Check(*m.Device)
	} else {
		require.False(t, r.Verified, variant)
		if errors.Is(err, format.ErrUnknownFormat) { // the front door finds nothing; the format itself says why
			_, err = f.OpenUnverified(bad.input())
		}
	}
	require.ErrorIs(t, err, m.Reason, "%s: %+v", variant, m)
}

func TestFormatsRefuseNothingness(t *testing.T) {
	artifact := format.FromBytes([]byte("firmware"))
	for _, f := range Formats() {
		for _, b := range [][]byte{nil, []byte("\n"), []byte("untrusted comment: x\n"), {0x88}, {0x30, 0x80}} {
			for _, a := range []*format.Source{nil, &artifact} {
				in := format.Input{Source: format.FromBytes(b), Artifact: a}
				f.Detect(in)
				img, err := f.OpenUnverified(in)
				if f.Name == "raw" && len(b) > 0 {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, format.ErrMalformed, "%s of %q", f.Name, b)
				require.Nil(t, img)
			}
		}
		require.NotEmpty(t, f.Variants)
		require.True(t, slices.IsSortedFunc(f.Variants, func(a, b string) int {
			return slices.Index(format.Variants(), a) - slices.Index(format.Variants(), b)
		}))
	}
}

func TestCheck(t *testing.T) {
	all := pairs(t)
	for _, p := range all {
		_, img, err := p.verify()
		require.NoError(t, err)
		require.NoError(t, img.Check(format.Device{}))
		require.ErrorIs(t, img.Check(format.Device{Size: 3}), format.ErrTooLarge, p.name)
		require.Error(t, img.Check(format.Device{Counter: new(uint64)}))
		if p.format != "minisign" {
			require.ErrorIs(t, img.Check(format.Device{Version: "1"}), format.ErrDevice, p.name)
			require.ErrorIs(t, img.Check(format.Device{Is: map[string]string{"hardware": "a"}}), format.ErrDevice, p.name)
			continue
		}
		for device, want := range map[*format.Device]error{
			{Version: "2.4.1", Is: map[string]string{"hardware": "board-a", "product": "lamp"}}: nil,
			{Version: "2.4"}:                             nil,
			{Version: "2.4.2"}:                           format.ErrRollback,
			{Version: "10"}:                              format.ErrRollback,
			{Version: "newest"}:                          format.ErrDevice,
			{Is: map[string]string{"hw": "board-b"}}:     format.ErrWrongDevice,
			{Is: map[string]string{"product": "kettle"}}: format.ErrWrongDevice,
			{Is: map[string]string{"colour": "red"}}:     format.ErrWrongDevice,
		} {
			require.ErrorIs(t, img.Check(*device), want, "%+v", device)
		}
		r := img.Describe()
		assert.Equal(t, "2.4.1", r.Version)
		assert.Equal(t, []string{"hardware=board-a", "product=lamp"}, r.Targets)
	}
}

// TestCMSAsBER: signers that stream write indefinite lengths; what was signed is the same.
func TestCMSAsBER(t *testing.T) {
	for _, p := range cmsPairs(t) {
		require.Equal(t, []byte{0x30, 0x82}, p.signature[:2])
		p.signature = slices.Concat([]byte{0x30, 0x80}, p.signature[4:], []byte{0, 0})
		r, _, err := p.verify()
		require.NoError(t, err, p.name)
		require.Contains(t, strings.Join(r.Image.Notes, "\n"), "BER")
		p.artifact = append(bytes.Clone(p.artifact), 0)
		_, _, err = p.verify()
		require.ErrorIs(t, err, format.ErrNotVerified)
		p.signature = p.signature[:len(p.signature)-1]
		_, _, err = p.verify()
		require.ErrorIs(t, err, format.ErrMalformed)
	}
}
