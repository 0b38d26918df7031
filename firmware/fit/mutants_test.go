package fit

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// coveredBytes are those of the regions that the facts call covered: all together under a
// configuration's signature, each alone where images are signed.
func coveredBytes(b []byte, f format.Facts, by string) (parts []string) {
	for _, r := range f.Covered {
		parts = append(parts, string(b[r.Offset:r.Offset+r.Size]))
	}
	if by == "conf" {
		return []string{strings.Join(parts, "")}
	}
	return parts
}

// TestMutants changes good images in up to 10,000 ways each. One that verifies must differ
// in nothing that the report calls covered, as one of the maker's configurations has it;
// where images are signed one by one, any of them may stand for another.
func TestMutants(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			count := 1000
			if slices.Contains([]string{"rsa2048", "rsa2048_images", "p256_external"}, g.name) && !testing.Short() {
				count = 10_000
			}
			good, trust := g.bytes(t), g.trust(t)
			img, err := OpenUnverified(format.FromBytes(good))
			require.NoError(t, err)
			genuine := map[string]bool{}
			for _, c := range img.configs {
				for _, part := range coveredBytes(good, img.describe(c, g.by == "conf"), g.by) {
					genuine[part] = true
				}
			}
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			for i := range count {
				b := mutate(r, bytes.Clone(good))
				mutant, err := OpenUnverified(format.FromBytes(b))
				if err != nil {
					require.ErrorIs(t, err, format.ErrMalformed)
					continue
				}
				report, err := mutant.Verify(trust)
				if err != nil {
					require.True(t, isRefusal(err), "%v", err)
					continue
				}
				parts := coveredBytes(b, report.Image, g.by)
				require.NotEmpty(t, parts)
				for _, part := range parts {
					require.True(t, genuine[part], "mutant %d verifies: %x", i, b)
				}
			}
		})
	}
}

// mutate changes one to three things, at random places and where it hurts: the header,
// tags, lengths and whole nodes.
func mutate(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(3) {
		if len(b) < 4 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(9) {
		case 0, 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] = byte(r.Uint32())
		case 3:
			b = b[:at]
		case 4:
			b = append(b, byte(r.Uint32()))
		case 5:
			at &^= 3
			binary.BigEndian.PutUint32(b[min(at, len(b)-4):], extreme(r))
		case 6:
			if len(b) >= 40 {
				binary.BigEndian.PutUint32(b[4*(1+r.IntN(9)):], extreme(r))
			}
		case 7, 8:
			b = mutateTree(r, b)
		}
	}
	return b
}

func extreme(r *rand.Rand) uint32 {
	return []uint32{0, 1, 2, 3, 4, 9, 16, 17, 40, 0x7fffffff, 0xfffffffc, 0xffffffff, r.Uint32N(4096)}[r.IntN(13)]
}

// mutateTree edits nodes and properties and keeps the tree consistent.
func mutateTree(r *rand.Rand, b []byte) []byte {
	tree, err := fdt.Parse(format.FromBytes(b))
	if err != nil {
		return b
	}
	d, err := tree.Draft(1 << 20)
	if err != nil {
		return b
	}
	var items []*fdt.Item
	var walk func(n *fdt.Item)
	walk = func(n *fdt.Item) {
		items = append(items, n)
		for _, c := range n.Nodes {
			walk(c)
		}
	}
	walk(d.Root)
	n, o := items[r.IntN(len(items))], items[r.IntN(len(items))]
	switch r.IntN(6) {
	case 0:
		if len(n.Nodes) > 0 {
			n.Remove(n.Nodes[r.IntN(len(n.Nodes))])
		}
	case 1:
		c := o.Clone()
		c.Name += []string{"", "x", "@1"}[r.IntN(3)]
		n.Nodes = append([]*fdt.Item{c}, n.Nodes...)
	case 2:
		if len(n.Props) > 0 {
			n.Unset(n.Props[r.IntN(len(n.Props))].Name)
		}
	case 3:
		if len(n.Props) > 0 && len(o.Props) > 0 {
			n.Props[r.IntN(len(n.Props))] = o.Props[r.IntN(len(o.Props))]
		}
	case 4:
		if len(n.Props) > 0 {
			n.Props[r.IntN(len(n.Props))].Data = make([]byte, r.IntN(40))
		}
	case 5:
		n.Name, o.Name = o.Name, n.Name
	}
	out, err := assemble(d, b[(tree.Header.TotalSize):], 0)
	if err != nil {
		return b
	}
	return out
}

// TestMemory wants what is allocated to go by the structure, not by the data or by what lengths claim.
func TestMemory(t *testing.T) {
	spec := smallSpec()
	spec.Parts[0].Data = make([]byte, 64<<20)
	for name, external := range map[string]bool{"inside": false, "outside": true} {
		spec.External = external
		src := format.FromBytes(build1(t, spec, "p256"))
		trust := bare(t, "p256")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Open(src, trust)
		runtime.ReadMemStats(&after)
		require.NoError(t, err, name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), name)
	}
}

func FuzzOpen(f *testing.F) {
	for _, g := range goodImages() {
		if rsaKeys[g.key] == nil {
			f.Add(g.bytes(f))
		}
	}
	trust := bare(f, "p256", "p384")
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := OpenUnverified(format.FromBytes(b))
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		facts := img.Describe()
		wholeFile(t, facts)
		report, err := img.Verify(trust)
		require.Equal(t, err == nil, report.Verified)
		if err != nil {
			require.True(t, isRefusal(err), "%v", err)
		}
		for _, variant := range []string{format.Tampered, format.TamperedPlain, format.SignatureFlip, format.Unsigned, format.NodeClone, format.UnitAddress} {
			if v, err := img.Tamper(variant, format.Means{}); err == nil {
				_, err = Open(format.FromBytes(v.Bytes), trust)
				require.Error(t, err, variant)
			}
		}
	})
}

func FuzzControl(f *testing.F) {
	b, err := Control("any", required(f, "conf", "p256"), required(f, "image", "p384"))
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := readControl(format.Anchor{From: "x", Bytes: b})
		if err != nil {
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
		}
		isControl(b)
	})
}

func BenchmarkVerify(b *testing.B) {
	spec := smallSpec()
	spec.Parts[0].Data = make([]byte, 256<<20)
	spec.External = true
	src := format.FromBytes(build1(b, spec, "p256"))
	trust := bare(b, "p256")
	b.SetBytes(256 << 20)
	b.ReportAllocs()
	for b.Loop() {
		_, err := Open(src, trust)
		require.NoError(b, err)
	}
}
