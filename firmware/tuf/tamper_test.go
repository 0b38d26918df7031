package tuf

import (
	"bytes"
	"errors"
	"maps"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestTamper makes every variant of every good folder: our own verifier, or a device of ours,
// refuses each for the reason that its manifest names.
func TestTamper(t *testing.T) {
	made := map[string]int{}
	for _, g := range goods(t) {
		img := g.open(t)
		before := maps.Clone(g.files)
		for _, variant := range Format().Variants {
			t.Run(g.name+"/"+variant, func(t *testing.T) {
				v, err := img.Tamper(variant, format.Means{Signer: g.key})
				if errors.Is(err, format.ErrNotApplicable) {
					t.Log(err)
					return
				}
				require.NoError(t, err)
				made[variant]++
				assert.NotEmpty(t, v.Manifest.Changed)
				assert.NotEmpty(t, v.Manifest.Layer)
				assert.NotEmpty(t, v.Manifest.Expected)
				files := v.Files
				if variant == format.Swapped {
					files = map[string][]byte{}
					for file, b := range v.Files {
						if rest, ok := strings.CutPrefix(file, format.FileSecond+"/"); ok {
							files[rest] = b
						} else {
							require.Equal(t, g.files[strings.TrimPrefix(file, format.FileFirst+"/")], b)
						}
					}
				}
				require.Equal(t, before, g.files, "the genuine folder was changed")
				changed, err := OpenUnverified(folder(files))
				if err == nil {
					_, err = changed.Verify(g.trust)
				}
				if v.Manifest.Device != nil {
					require.NoError(t, err)
					err = changed.Check(*v.Manifest.Device)
				}
				t.Log(err)
				require.Error(t, err)
				require.ErrorIs(t, err, v.Manifest.Reason)
			})
		}
	}
	for _, variant := range Format().Variants {
		assert.NotZero(t, made[variant], "%s is made of no folder", variant)
	}
	require.Subset(t, format.Variants(), Format().Variants)
	_, err := goods(t)[0].open(t).Tamper("no-such", format.Means{})
	require.ErrorIs(t, err, format.ErrUnknownVariant)
	_, err = goods(t)[0].open(t).Tamper(format.Freeze, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)
}

// TestSelfMadeChainIsRightInItself: a client that believes the folder's own root takes it.
func TestSelfMadeChainIsRightInItself(t *testing.T) {
	g := goods(t)[0]
	v, err := g.open(t).Tamper(format.SelfMadeChain, format.Means{})
	require.NoError(t, err)
	img, err := OpenUnverified(folder(v.Files))
	require.NoError(t, err)
	_, err = img.Verify(format.Trust{At: now, Own: map[string][]format.Anchor{Name: {{From: "2.root.json", Bytes: v.Files["metadata/2.root.json"]}}}})
	require.NoError(t, err)
}

// TestTamperLeavesTrustOut: a trusted root beside the metadata is no part of the image.
func TestTamperLeavesTrustOut(t *testing.T) {
	g := goods(t)[0]
	files := maps.Clone(g.files)
	files["trusted_root.json"], files["client-state/timestamp.json"] = []byte("{}"), []byte("{}")
	img, err := OpenUnverified(folder(files))
	require.NoError(t, err)
	v, err := img.Tamper(format.TamperedPlain, format.Means{})
	require.NoError(t, err)
	require.Len(t, v.Files, len(g.files))
	for file := range v.Files {
		require.True(t, path.Dir(file) == "metadata" || path.Dir(file) == "targets", file)
	}
	require.False(t, bytes.Equal(nil, v.Files["metadata/timestamp.json"]))
}
