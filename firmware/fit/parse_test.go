package fit

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// edited takes a good image apart, changes its tree and writes it again.
func edited(t testing.TB, spec Spec, change func(d *fdt.Draft)) []byte {
	tree, err := fdt.Parse(format.FromBytes(build1(t, spec, "p256")))
	require.NoError(t, err)
	d, err := tree.Draft(1 << 20)
	require.NoError(t, err)
	change(d)
	b, err := d.Encode()
	require.NoError(t, err)
	return b
}

func isRefusal(err error) bool {
	return errors.Is(err, format.ErrMalformed) || errors.Is(err, format.ErrNotVerified)
}

// wholeFile wants the regions to be the whole file, without holes and overlaps.
func wholeFile(t testing.TB, f format.Facts) {
	at := map[int64]int64{}
	for _, r := range append(f.Covered, f.Uncovered...) {
		require.Positive(t, r.Size)
		at[r.Offset] = r.Size
	}
	end := int64(0)
	for end < f.Size {
		require.Contains(t, at, end)
		end += at[end]
	}
	require.Equal(t, f.Size, end)
	require.Len(t, at, len(f.Covered)+len(f.Uncovered))
}

func TestRegionsAreTheWholeFile(t *testing.T) {
	for _, g := range goodImages() {
		img, err := OpenUnverified(format.FromBytes(g.bytes(t)))
		require.NoError(t, err)
		wholeFile(t, img.Describe())
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(d *fdt.Draft)
		want   string
	}{
		"no images":               {func(d *fdt.Draft) { d.Root.Remove(d.Find("/images")) }, "is no FIT"},
		"empty images":            {func(d *fdt.Draft) { d.Find("/images").Nodes = nil }, "no image in"},
		"image without data":      {func(d *fdt.Draft) { d.Find("/images/kernel-1").Unset("data") }, "want data"},
		"data in and out":         {func(d *fdt.Draft) { d.Find("/images/kernel-1").SetCells("data-offset", 0) }, "inside the tree and outside"},
		"size alone":              {func(d *fdt.Draft) { out(d, "data-size", 1) }, "want data"},
		"offset and position":     {func(d *fdt.Draft) { out(d, "data-size", 1, "data-offset", 0, "data-position", 0) }, "want data"},
		"position in the tree":    {func(d *fdt.Draft) { out(d, "data-size", 1, "data-position", 64) }, "inside the tree"},
		"behind the file":         {func(d *fdt.Draft) { out(d, "data-size", 1, "data-offset", 0x7fffffff) }, "outside the file"},
		"larger than the file":    {func(d *fdt.Draft) { out(d, "data-size", 0x7fffffff, "data-offset", 0) }, "outside the file"},
		"negative":                {func(d *fdt.Draft) { out(d, "data-size", 1, "data-offset", 0xfffffff0) }, "no positive number"},
		"kernel that is none":     {func(d *fdt.Draft) { d.Find("/configurations/conf-1").SetText("kernel", "kernel-9") }, "which is no image"},
		"kernel that is no text":  {func(d *fdt.Draft) { d.Find("/configurations/conf-1").Set("kernel", []byte{1}) }, "no list of strings"},
		"default that is none":    {func(d *fdt.Draft) { d.Find("/configurations").SetText("default", "conf-9") }, "does not exist"},
		"hashed-strings short":    {func(d *fdt.Draft) { sig(d).SetCells("hashed-strings", 0) }, "string block"},
		"hashed-strings huge":     {func(d *fdt.Draft) { sig(d).SetCells("hashed-strings", 0, 0x7fffffff) }, "string block"},
		"hashed-strings moved":    {func(d *fdt.Draft) { sig(d).SetCells("hashed-strings", 8, 8) }, "string block"},
		"two algorithms":          {func(d *fdt.Draft) { sig(d).SetText("algo", "sha256,rsa2048", "x") }, "want one"},
		"a long signature":        {func(d *fdt.Draft) { sig(d).Set("value", make([]byte, 5000)) }, "at most"},
		"a hash without end":      {func(d *fdt.Draft) { d.Find("/images/fdt-1/hash-1").Set("algo", []byte("sha256")) }, "no list of strings"},
		"a deep path":             {func(d *fdt.Draft) { deep(d.Find("/images/fdt-1")) }, "U-Boot has room"},
		"too many signatures":     {func(d *fdt.Draft) { many(d.Find("/configurations/conf-1")) }, "more than 16"},
		"too many of an image":    {func(d *fdt.Draft) { many(d.Find("/images/fdt-1")) }, "more than 16"},
		"too many nodes":          {func(d *fdt.Draft) { crowd(d.Root, 1<<15) }, "at most"},
		"too many configurations": {func(d *fdt.Draft) { crowd(d.Find("/configurations"), 5000) }, "at most"},
	} {
		_, err := OpenUnverified(format.FromBytes(edited(t, fullSpec(), tc.change)))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.want, name)
	}
	b := edited(t, fullSpec(), func(*fdt.Draft) {})
	for name, tail := range map[string]string{"zeros": "\x00\x00", "erased flash": "\xff", "zeros, then erased flash": "\x00\xff\xff"} {
		_, err := Open(format.FromBytes(append(b[:len(b):len(b)], tail...)), bare(t, "p256"))
		require.NoError(t, err, name)
	}
	for name, tail := range map[string]string{"data": "x", "zeros behind erased flash": "\xff\x00"} {
		_, err := OpenUnverified(format.FromBytes(append(b[:len(b):len(b)], tail...)))
		require.ErrorIs(t, err, format.ErrTrailing, name)
	}
}

func sig(d *fdt.Draft) *fdt.Item { return d.Find("/configurations/conf-1/signature-1") }

// out makes the kernel's data external, with these properties.
func out(d *fdt.Draft, pairs ...any) {
	n := d.Find("/images/kernel-1")
	n.Unset("data")
	for i := 0; i < len(pairs); i += 2 {
		n.SetCells(pairs[i].(string), uint32(pairs[i+1].(int)))
	}
}

func deep(n *fdt.Item) {
	for range 5 {
		n = n.Add("a-name-of-sixty-bytes-and-more-a-name-of-sixty-bytes-and-more")
	}
}

func many(n *fdt.Item) {
	for i := range 17 {
		n.Add("signature-" + string(rune('a'+i)))
	}
}

func crowd(n *fdt.Item, count int) {
	for i := range count {
		n.Add(fmt.Sprintf("n%d", i))
	}
}
