package evidence

import (
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pcapng is a capture of n frames.
func pcapng(order binary.AppendByteOrder, n int) []byte {
	block := func(b []byte, typ uint32, body []byte) []byte {
		length := uint32(len(body) + 12)
		b = order.AppendUint32(order.AppendUint32(b, typ), length)
		return order.AppendUint32(append(b, body...), length)
	}
	section := order.AppendUint32(nil, pcapngMagic)
	section = order.AppendUint16(order.AppendUint16(section, 1), 0)
	b := block(nil, blockSection, order.AppendUint64(section, 1<<64-1))
	b = block(b, 1, order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, 1), 0), 0))
	for range n {
		body := make([]byte, 12)
		data := strings.Repeat("packet ", 8)
		body = order.AppendUint32(order.AppendUint32(body, uint32(len(data))), uint32(len(data)))
		b = block(b, blockEnhanced, append(body, data...))
	}
	return b
}

func TestFramesAreCounted(t *testing.T) {
	le := pcapng(binary.LittleEndian, 7)
	for name, c := range map[string]struct {
		b    []byte
		want string
		cut  bool // says the journal
	}{
		"as-said":       {le, "", false},
		"big-endian":    {pcapng(binary.BigEndian, 7), "", false},
		"two-sections":  {append(pcapng(binary.BigEndian, 3), pcapng(binary.LittleEndian, 4)...), "", false},
		"fewer":         {pcapng(binary.LittleEndian, 6), "has 6 frames, the journal says 7", false},
		"more":          {pcapng(binary.LittleEndian, 8), "has 8 frames", false},
		"empty":         {nil, "has 0 frames", false},
		"cut":           {le[:len(le)-1], "ends inside a block", false},
		"cut-in-a-head": {append(append([]byte{}, le...), 6, 0, 0, 0), "ends inside a block", false},
		"known-cut":     {pcapng(binary.LittleEndian, 8)[:len(pcapng(binary.LittleEndian, 8))-1], "", true},
		"known-head":    {append(append([]byte{}, le...), 6, 0, 0, 0), "", true},
		"known-fewer":   {le[:len(le)-1], "has 6 frames, the journal says 7", true},
		"known-text":    {[]byte("this is a text of no importance"), "does not begin as a pcapng", true},
		"text":          {[]byte("this is a text of no importance"), "does not begin as a pcapng", false},
		"length-zero":   {append(append([]byte{}, le...), make([]byte, 12)...), "a block of 0 bytes", false},
		"no-magic":      {append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, make([]byte, 24)...), "byte-order magic", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 5, 12, 4096} {
				f := &frameCheck{want: map[string]uint64{"capture.pcapng": 7}, cut: func(string) bool { return c.cut }}
				for b := c.b; len(b) > 0; b = b[min(piece, len(b)):] {
					_, _ = f.Write(b[:min(piece, len(b))])
				}
				if c.want == "" {
					require.NoError(t, f.result(Artefact{}))
					continue
				}
				require.ErrorContains(t, f.result(Artefact{}), c.want)
			}
		})
	}
}

// TestCaptureWithFewerFramesIsNeverSealed cites a frame that the file does not have.
func TestCaptureWithFewerFramesIsNeverSealed(t *testing.T) {
	j, err := Create(t.TempDir(), ticking())
	require.NoError(t, err)
	must(t, j, KindBegin, nil)
	_, err = j.AddBytes("capture.pcapng", "application/x-pcapng", pcapng(binary.LittleEndian, 6))
	require.NoError(t, err)
	must(t, j, KindEnd, map[string]any{"capture": "capture.pcapng", "frames": 7})
	require.NoError(t, j.Close())
	p := newPair(t)
	b := requireBroken(t, Seal(t.Context(), j.Dir(), filepath.Join(t.TempDir(), "x.assay"), p.signer))
	require.Equal(t, layerComplete, b.What)
	require.Contains(t, b.Why, "has 6 frames, the journal says 7")
}

// TestEveryCaptureIsCounted has a second name for a file, and a capture that calls itself something else.
func TestEveryCaptureIsCounted(t *testing.T) {
	j := startRun(t, t.TempDir())
	_, err := j.AddBytes("empty.pcapng", "text/plain", capture())
	require.NoError(t, err)
	must(t, j, KindCapture, Capture{File: "empty.pcapng", Frames: 8})
	must(t, j, KindEnd, nil)
	require.NoError(t, j.Close())
	b := requireBroken(t, Seal(t.Context(), j.Dir(), filepath.Join(t.TempDir(), "x.assay"), newPair(t).signer))
	require.Contains(t, b.Why, "empty.pcapng has 7 frames, the journal says 8")
}

// TestPartsOfOneCapture has a file be a part of a capture and a longer capture by itself, and a capture go on in two ways.
func TestPartsOfOneCapture(t *testing.T) {
	parts := func(second string) Capture {
		return Capture{File: "c.pcapng", Frames: 14, Parts: []Part{{"c.pcapng", 7}, {second, 7}}}
	}
	for want, more := range map[string][]Capture{
		"":                                 {parts("c.00002.pcapng"), {File: "c.00002.pcapng", Frames: 7}},
		"1000 frames by itself and 7 as a": {parts("c.00002.pcapng"), {File: "c.00002.pcapng", Frames: 1000}},
		"goes on in other files here":      {parts("c.00002.pcapng"), parts("d.pcapng")},
	} {
		j := startRun(t, t.TempDir())
		for _, name := range []string{"c.pcapng", "c.00002.pcapng", "d.pcapng"} {
			_, err := j.AddBytes(name, "application/x-pcapng", capture())
			require.NoError(t, err)
		}
		for _, c := range more {
			must(t, j, KindCapture, c)
		}
		must(t, j, KindEnd, map[string]any{"capture": "c.pcapng", "frames": 14})
		require.NoError(t, j.Close())
		err := Seal(t.Context(), j.Dir(), filepath.Join(t.TempDir(), "x.assay"), newPair(t).signer)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.Contains(t, requireBroken(t, err).Why, want)
	}
}

// TestBundleWithFewerFrames is sealed by a lab that did not look.
func TestBundleWithFewerFrames(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	list := splitBundle(t, read(t, path))
	old := capture()
	less := pcapng(binary.LittleEndian, 6)
	lines := strings.Split(strings.TrimSuffix(string(list[1].b), "\n"), "\n")
	var all [][]byte
	for _, l := range lines {
		l = strings.ReplaceAll(l, digestOf(old), digestOf(less))
		l = strings.ReplaceAll(l, sizeOf(old), sizeOf(less))
		all = append(all, []byte(l))
	}
	list[1].b = rechain(t, all)
	for i, e := range list {
		if e.name == filesName+"/"+digestOf(old) {
			list[i] = entryBytes{filesName + "/" + digestOf(less), less}
		}
	}
	list = mendTree(t, list)
	list[len(list)-1].b = signAnew(t, list, p, "")
	_, err := Verify(t.Context(), write(t, joinBundle(t, list)), p.keys())
	require.Contains(t, requireBroken(t, err).Why, "has 6 frames, the journal says 7")
}

// FuzzFrames hands in captures: none may do more than be refused.
func FuzzFrames(f *testing.F) {
	f.Add(pcapng(binary.LittleEndian, 2))
	f.Add(pcapng(binary.BigEndian, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &frameCheck{}
		_, _ = c.Write(b)
		require.LessOrEqual(t, c.frames, uint64(len(b)/lenBlock))
	})
}
