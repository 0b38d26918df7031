package fdt

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func example() *Draft {
	root := &Item{}
	root.SetText("model", "a board")
	root.SetCells("#address-cells", 1)
	soc := root.Add("soc")
	soc.SetText("compatible", "vendor,board", "vendor,family")
	uart := soc.Add("serial@1000")
	uart.SetCells("reg", 0x1000, 0x100)
	uart.Set("broken", nil)
	uart.Set("blob", bytes.Repeat([]byte{0xa5}, 40_001))
	root.Add("chosen").SetText("stdout-path", "/soc/serial@1000")
	return &Draft{Root: root, Reserved: []Reservation{{0x8000, 0x1000}}, BootCPU: 1}
}

func encoded(t testing.TB, d *Draft) []byte {
	b, err := d.Encode()
	require.NoError(t, err)
	return b
}

func TestRead(t *testing.T) {
	tree, err := Parse(format.FromBytes(encoded(t, example())))
	require.NoError(t, err)
	require.Equal(t, []Reservation{{0x8000, 0x1000}}, tree.Reserved)
	require.EqualValues(t, 1, tree.Header.BootCPU)

	uart := tree.Find("/soc/serial@1000")
	require.NotNil(t, uart)
	assert.Equal(t, "/soc/serial@1000", uart.Path())
	assert.Equal(t, "/", tree.Root.Path())
	assert.Same(t, tree.Root, tree.Find("/"))
	assert.Nil(t, tree.Find("/soc/serial"), "a name without its unit address is another name")
	assert.Nil(t, tree.Find("soc"))
	assert.Nil(t, tree.Find("/nothing/below"))

	reg, err := tree.Cells(uart.Property("reg"))
	require.NoError(t, err)
	assert.Equal(t, []uint32{0x1000, 0x100}, reg)
	model, err := tree.Text(tree.Root.Property("model"))
	require.NoError(t, err)
	assert.Equal(t, "a board", model)
	list, err := tree.Strings(tree.Find("/soc").Property("compatible"))
	require.NoError(t, err)
	assert.Equal(t, []string{"vendor,board", "vendor,family"}, list)
	blob, err := tree.Bytes(uart.Property("blob"), 1<<20)
	require.NoError(t, err)
	assert.Len(t, blob, 40_001)

	for name, err := range map[string]error{
		"one of two":   second(tree.Text(tree.Find("/soc").Property("compatible"))),
		"no text":      second(tree.Text(uart.Property("reg"))),
		"empty":        second(tree.Strings(uart.Property("broken"))),
		"no cells":     second(tree.Cells(tree.Find("/soc").Property("compatible"))),
		"over a limit": second(tree.Bytes(uart.Property("blob"), 100)),
		"long text":    second(tree.Text(uart.Property("blob"))),
	} {
		assert.ErrorIs(t, err, format.ErrMalformed, name)
	}
	empty, err := tree.Text(uart.Property("absent"))
	require.NoError(t, err)
	assert.Empty(t, empty)
}

func second[T any](_ T, err error) error { return err }

func TestDraftOfAnUnchangedTreeIsTheSame(t *testing.T) {
	b := encoded(t, example())
	tree, err := Parse(format.FromBytes(append(bytes.Clone(b), "behind"...)))
	require.NoError(t, err)
	d, err := tree.Draft(1 << 20)
	require.NoError(t, err)
	require.Equal(t, b, encoded(t, d))

	d.Find("/soc").Add("new").SetText("model", "x")
	d.Root.Remove(d.Find("/chosen"))
	d.Find("/soc/serial@1000").Unset("broken")
	again, err := Parse(format.FromBytes(encoded(t, d)))
	require.NoError(t, err)
	assert.NotNil(t, again.Find("/soc/new"))
	assert.Nil(t, again.Find("/chosen"))
	assert.Nil(t, again.Find("/soc/serial@1000").Property("broken"))

	_, err = tree.Draft(1000)
	require.ErrorIs(t, err, format.ErrMalformed)
}

// edit changes one 32-bit field of the header.
func edit(b []byte, field int, v uint32) []byte {
	b = bytes.Clone(b)
	binary.BigEndian.PutUint32(b[4*field:], v)
	return b
}

func TestRefuses(t *testing.T) {
	good := encoded(t, example())
	word := func(i int) uint32 { return binary.BigEndian.Uint32(good[4*i:]) }
	at := func(i int, v uint32) []byte { // a word of the structure
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[word(2)+uint32(4*i):], v)
		return b
	}
	draft := func(change func(root *Item)) []byte {
		d := example()
		change(d.Root)
		return encoded(t, d)
	}
	behind, err := example().EncodeBehind(&Item{})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":                       {nil, "0 bytes are no header"},
		"magic":                       {edit(good, 0, 1), "magic"},
		"total size over the file":    {edit(good, 1, word(1)+1), "header says"},
		"total size under the blocks": {edit(good, 1, word(1)-1), "leaves the tree"},
		"tiny":                        {edit(good, 1, 8), "header says"},
		"structure over the names":    {edit(good, 9, word(9)+4), "overlaps"},
		"structure in the header":     {edit(good, 2, 8), "overlaps"},
		"unaligned":                   {edit(good, 2, word(2)+1), "not aligned"},
		"names outside":               {edit(good, 8, word(8)+1), "leaves the tree"},
		"names too many":              {edit(good, 8, 1<<30), "property names"},
		"names short":                 {edit(good, 8, 3), "does not end"},
		"reservations outside":        {edit(good, 4, word(1)&^7), "do not end"},
		"reservations in the header":  {edit(good, 4, 0), "do not end"},
		"version 16":                  {edit(good, 5, 16), "version 16"},
		"version 18":                  {edit(good, 6, 18), "compatible to 18"},
		"structure cut":               {edit(good, 9, word(9)-4), "inside a token"},
		"named root":                  {at(1, 0x61000000), "root node is named"},
		"no root":                     {at(0, uint32(End)), "is not the end"},
		"nop before the root":         {at(0, uint32(Nop)), "outside the one root"},
		"unknown tag":                 {at(2, 7), "unknown tag"},
		"value outside":               {at(3, 0x7fffffff), "leave the structure"},
		"name outside":                {at(4, 0x7fffffff), "outside the string block"},
		"two roots":                   {behind, "outside the one root"},
		"slash in a name":             {draft(func(r *Item) { r.Add("a/b") }), "node name"},
		"control in a name":           {draft(func(r *Item) { r.Add("a\x1b") }), "node name"},
		"empty name":                  {draft(func(r *Item) { r.Add("") }), "node name"},
		"long name":                   {draft(func(r *Item) { r.Add(strings.Repeat("x", 300)) }), "does not end"},
		"long property name":          {draft(func(r *Item) { r.Set(strings.Repeat("x", 300), nil) }), "does not end"},
		"property with a space":       {draft(func(r *Item) { r.Set("a b", nil) }), "property name"},
		"node twice":                  {draft(func(r *Item) { r.Add("soc") }), "node /soc twice"},
		"property twice":              {draft(func(r *Item) { r.Props = append(r.Props, r.Props[0]) }), "property model of / twice"},
		"too many nodes": {draft(func(r *Item) {
			for range maxTokens {
				r.Props = append(r.Props, Value{Name: "x"})
			}
		}), "more than"},
	} {
		_, err := Parse(format.FromBytes(tc.b))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.want, name)
	}
	deep := example()
	n := deep.Root
	for range maxDepth - 1 {
		n = n.Add("n")
	}
	_, err = Parse(format.FromBytes(encoded(t, deep)))
	require.NoError(t, err)
	n.Add("n")
	_, err = deep.Encode()
	require.ErrorIs(t, err, format.ErrMalformed)
}

func TestMutants(t *testing.T) {
	d := example()
	d.Find("/soc/serial@1000").Set("blob", []byte("short"))
	good := encoded(t, d)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		b := bytes.Clone(good)
		for range 1 + r.IntN(3) {
			switch at := r.IntN(len(b)); r.IntN(4) {
			case 0:
				b[at] ^= 1 << r.IntN(8)
			case 1:
				b = b[:max(at, 1)]
			case 2:
				b = append(b[:at:at], b[min(len(b), at+4):]...)
				b = append(b, 0)
			case 3:
				if at &^= 3; at+4 <= len(b) {
					binary.BigEndian.PutUint32(b[at:], []uint32{0, 1, 2, 3, 4, 9, 0x7fffffff, 0xfffffffc}[r.IntN(8)])
				}
			}
		}
		roundTrip(t, b)
	}
}

// roundTrip wants that what parses is written back as what parses to the same.
func roundTrip(t *testing.T, b []byte) {
	tree, err := Parse(format.FromBytes(b))
	if err != nil {
		require.ErrorIs(t, err, format.ErrMalformed)
		return
	}
	end := tree.Header.StructAt
	for _, tok := range tree.Tokens {
		require.Equal(t, end, tok.At)
		end = tok.End
	}
	require.Equal(t, tree.Header.StructAt+tree.Header.StructSize, end)
	d, err := tree.Draft(int64(len(b)) * 2)
	require.NoError(t, err)
	again, err := Parse(format.FromBytes(encoded(t, d)))
	require.NoError(t, err)
	require.Equal(t, tree.Reserved, again.Reserved)
	e, err := again.Draft(int64(len(b)) * 2)
	require.NoError(t, err)
	require.Equal(t, d.Root, e.Root)
}

func FuzzParse(f *testing.F) {
	d := example()
	d.Find("/soc/serial@1000").Set("blob", []byte("short"))
	f.Add(encoded(f, d))
	f.Fuzz(roundTrip)
}

// TestCompiler reads what Debian's device-tree-compiler writes, and the other way round.
func TestCompiler(t *testing.T) {
	dtc, err := exec.LookPath("dtc")
	if err != nil {
		t.Skip("dtc is missing: install device-tree-compiler")
	}
	run := func(in []byte, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), dtc, append(args, "-q", "-")...)
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.Output()
		require.NoError(t, err, args)
		return out
	}
	blob := run([]byte(`/dts-v1/; /memreserve/ 0x8000 0x1000; / { model = "a board"; soc { serial@1000 { reg = <0x1000 0x100>; }; }; };`),
		"-I", "dts", "-O", "dtb")
	tree, err := Parse(format.FromBytes(blob))
	require.NoError(t, err)
	reg, err := tree.Cells(tree.Find("/soc/serial@1000").Property("reg"))
	require.NoError(t, err)
	assert.Equal(t, []uint32{0x1000, 0x100}, reg)
	assert.Equal(t, []Reservation{{0x8000, 0x1000}}, tree.Reserved)

	source := string(run(encoded(t, example()), "-I", "dtb", "-O", "dts"))
	for _, want := range []string{`model = "a board"`, "serial@1000 {", "reg = <0x1000 0x100>;", "broken;", `compatible = "vendor,board\0vendor,family"`} {
		assert.Contains(t, source, want)
	}
}
