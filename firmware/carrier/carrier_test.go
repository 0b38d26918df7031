package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// fake is an image format of the test: it begins with "IMG" and verifies if it ends with "good".
type fake struct{ in format.Input }

func fakeFormat() format.Format {
	return format.Format{
		Name:           "fake",
		Detect:         func(in format.Input) bool { return bytes.HasPrefix(in.Head(3), []byte("IMG")) },
		OpenUnverified: func(in format.Input) (format.Image, error) { return fake{in}, nil },
		Variants:       []string{format.Tampered},
	}
}

func (f fake) Describe() format.Facts {
	facts := format.Facts{Format: "fake", Version: "1.2", Size: f.in.Size()}
	if b, err := f.in.Whole(1 << 20); err == nil {
		if at := bytes.Index(b, []byte("open")); at >= 0 { // what is behind it is covered by nothing
			facts.Uncovered = []format.Region{{Name: "rest", Offset: int64(at), Size: int64(len(b) - at)}}
		}
	}
	return facts
}

func (f fake) Verify(format.Trust) (format.Report, error) {
	r := format.Report{Image: f.Describe()}
	r.Image.Notes = append(r.Image.Notes, "Verified late.")
	b, err := f.in.Whole(1 << 20)
	if err != nil || !bytes.HasSuffix(b, []byte("good")) {
		return r, format.ErrBadSignature
	}
	r.Verified = true
	return r, nil
}

func (f fake) Check(format.Device) error { return format.ErrRollback }
func (f fake) Tamper(string, format.Means) (format.Variant, error) {
	return format.Variant{}, errors.New("not asked")
}

func image() []byte {
	return append([]byte("IMG"), append(bytes.Repeat([]byte{1, 2, 3}, 9000), "good"...)...)
}

// carriers are all, around the same bytes. The address crosses 64 KB.
func carriers(t testing.TB, data []byte) map[string][]byte {
	gz, err := Gzip(data)
	require.NoError(t, err)
	return map[string][]byte{
		"hex": HEX(0x0800fff0, data), "srec": SRecord(0x0800fff0, data), "ti-txt": TI(0x8000, data), "uf2": UF2(0x2000, 0xada52840, data), "gzip": gz,
	}
}

func openAny(t testing.TB, b []byte) (format.Image, error) {
	in := format.Input{Source: format.FromBytes(b)}
	for _, f := range Formats([]format.Format{fakeFormat()}) {
		if f.Detect(in) {
			return f.OpenUnverified(in)
		}
	}
	return nil, format.ErrUnknownFormat
}

func TestCarriedImageIsVerified(t *testing.T) {
	for name, b := range carriers(t, image()) {
		img, err := openAny(t, b)
		require.NoError(t, err, name)
		carried, ok := img.(*Image).Carried()
		require.True(t, ok)
		require.Equal(t, image(), carried, name)
		r, err := img.Verify(format.Trust{})
		require.NoError(t, err, name)
		assert.True(t, r.Verified)
		assert.Equal(t, "fake", r.Image.Format)
		assert.Equal(t, "1.2", r.Image.Version)
		notes := strings.Join(r.Image.Notes, " ")
		assert.Contains(t, notes, "gives no authenticity", name)
		assert.Contains(t, notes, "Verified late.", name)
		require.ErrorIs(t, img.Check(format.Device{}), format.ErrRollback)
	}
	bad := append(image(), 'x')
	for name, b := range carriers(t, bad) {
		img, err := openAny(t, b)
		require.NoError(t, err, name)
		r, err := img.Verify(format.Trust{})
		require.ErrorIs(t, err, format.ErrBadSignature, name)
		assert.False(t, r.Verified)
	}
}

func TestCarriersThemselvesVouchForNothing(t *testing.T) {
	for name, b := range carriers(t, []byte("some program, unknown to us")) {
		img, err := openAny(t, b)
		require.NoError(t, err, name)
		r, err := img.Verify(format.Trust{})
		require.ErrorIs(t, err, format.ErrUnsigned, name)
		assert.Equal(t, name, r.Image.Format)
		assert.Contains(t, strings.Join(r.Image.Notes, " "), "no authenticity", name)
		require.ErrorIs(t, img.Check(format.Device{}), format.ErrDevice)
		for _, variant := range format.Variants() {
			v, err := img.Tamper(variant, format.Means{})
			if errors.Is(err, format.ErrNotApplicable) {
				continue
			}
			require.NoError(t, err)
			bad, err := openAny(t, v.Bytes)
			if errors.Is(err, format.ErrUnknownFormat) { // nothing, or cut within its first line
				require.Nil(t, bad)
				continue
			}
			require.ErrorIs(t, err, v.Manifest.Reason, "%s %s", name, variant)
		}
		_, err = img.Tamper("no such", format.Means{})
		require.ErrorIs(t, err, format.ErrUnknownVariant)
	}
}

func TestTwoSegments(t *testing.T) {
	one, two := string(HEX(0, image())), string(HEX(0x100000, []byte("an unsigned boot loader")))
	both := strings.Replace(one, ":00000001FF\r\n", "", 1) + two
	img, err := openAny(t, []byte(both))
	require.NoError(t, err)
	_, err = img.Verify(format.Trust{})
	require.ErrorIs(t, err, format.ErrUnsigned, "the good image in it does not vouch for what lies beside it")
	_, ok := img.(*Image).Carried()
	require.False(t, ok)
	assert.Contains(t, strings.Join(img.Describe().Notes, " "), "more than one segment")

	// What the carried image itself leaves uncovered may have holes: they stay erased.
	slot := func(head, tail string) string {
		return strings.Replace(string(HEX(0, []byte(head))), ":00000001FF\r\n", "", 1) + string(HEX(0x1000, []byte(tail)))
	}
	img, err = openAny(t, []byte(slot("IMG open", "good")))
	require.NoError(t, err)
	_, err = img.Verify(format.Trust{})
	require.NoError(t, err)
	assert.Contains(t, strings.Join(img.Describe().Notes, " "), "read as erased flash")
	img, err = openAny(t, []byte(slot("IMG", "open good")))
	require.NoError(t, err)
	_, err = img.Verify(format.Trust{})
	require.ErrorIs(t, err, format.ErrUnsigned, "a hole in what the signature covers")

	twice := strings.Replace(one, ":00000001FF\r\n", "", 1) + string(HEX(0x10, []byte("other bytes")))
	_, err = openAny(t, []byte(twice))
	require.ErrorIs(t, err, format.ErrMalformed)

	lines := strings.SplitAfter(one, "\r\n")
	lines[1], lines[2] = lines[2], lines[1]
	img, err = openAny(t, []byte(strings.Join(lines, "")))
	require.NoError(t, err, "records may come in any order")
	r, err := img.Verify(format.Trust{})
	require.NoError(t, err)
	assert.True(t, r.Verified)
}

func TestStructure(t *testing.T) {
	data := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	hexText, srec, ti := string(HEX(0, data)), string(SRecord(0, data)), string(TI(0, data))
	uf2 := UF2(0, 1, bytes.Repeat(data, 20))
	gz, err := Gzip(data)
	require.NoError(t, err)
	edit := func(at int, to byte) []byte {
		b := bytes.Clone(uf2)
		b[at] = to
		return b
	}
	bomb, err := Gzip(make([]byte, maxCarried+1))
	require.NoError(t, err)
	for name, b := range map[string][]byte{
		"hex without end":        []byte(strings.Replace(hexText, ":00000001FF\r\n", "", 1)),
		"hex line behind end":    []byte(hexText + hexText),
		"hex checksum":           []byte(strings.Replace(hexText, ":00000001FF", ":00000001FE", 1)),
		"hex length":             []byte(strings.Replace(hexText, ":00000001FF", ":01000001FF", 1)),
		"hex digits":             []byte(strings.Replace(hexText, ":00000001FF", ":0000000zFF", 1)),
		"hex record type":        []byte(strings.Replace(hexText, ":00000001FF", ":00000009F7", 1)),
		"hex short segment":      []byte(":0100000401FA\r\n" + hexText),
		"hex empty line":         []byte(strings.Replace(hexText, "\r\n", "\r\n\r\n", 1)),
		"hex wraps":              []byte(":02FFFF000102FD\r\n" + ":00000001FF\r\n"),
		"hex long line":          []byte(hexText + ":" + strings.Repeat("00", 10000)),
		"hex of nothing":         []byte(":00000001FF\r\n"),
		"srec without end":       []byte(srec[:strings.LastIndex(srec, "S7")]),
		"srec line behind end":   []byte(srec + srec),
		"srec checksum":          []byte(strings.Replace(srec, "S7", "S9", 1)[:len(srec)-3] + "00\n"),
		"srec length":            []byte(strings.Replace(srec, "S70500000000FA", "S70600000000FA", 1)),
		"srec type":              []byte(strings.Replace(srec, "S70500000000FA", "S40500000000FA", 1)),
		"srec count":             []byte(strings.Replace(srec, "S70500000000FA", "S5030009F3\nS70500000000FA", 1)),
		"ti without end":         []byte(strings.TrimSuffix(ti, "q\n")),
		"ti line behind end":     []byte(ti + ti),
		"ti no blanks":           []byte(strings.Replace(ti, " ", "", 1)),
		"ti other blanks":        []byte(strings.Replace(ti, " ", "-", 1)),
		"ti digits":              []byte(strings.Replace(ti, "30 31", "30 3x", 1)),
		"ti two addresses":       []byte(strings.Replace(ti, "q\n", "@0000\n00\nq\n", 1)),
		"uf2 cut":                uf2[:700],
		"uf2 a block less":       uf2[:512],
		"uf2 end magic":          edit(511, 0),
		"uf2 second magic":       edit(512+4, 0),
		"uf2 size":               edit(512+17, 4),
		"uf2 number":             edit(512+20, 0),
		"uf2 other family":       edit(512+28, 9),
		"uf2 file container":     edit(9, 0x30),
		"uf2 unknown flag":       edit(8, 0x80),
		"gzip cut":               gz[:len(gz)-4],
		"gzip checksum":          append(append([]byte{}, gz[:len(gz)-8]...), make([]byte, 8)...),
		"gzip two members":       append(bytes.Clone(gz), gz...),
		"gzip bytes behind":      append(bytes.Clone(gz), 0),
		"gzip bomb":              bomb,
		"gzip with broken start": gz[:5],
	} {
		_, err := openAny(t, b)
		require.ErrorIs(t, err, format.ErrMalformed, name)
	}
	for name, b := range map[string][]byte{"colon": []byte(": hello"), "S": []byte("Sxx"), "at": []byte("@home\n"), "short uf2": uf2[:100]} {
		_, err := openAny(t, b)
		require.ErrorIs(t, err, format.ErrUnknownFormat, name)
	}
	one := edit(0, 'U')
	img, err := openAny(t, one)
	require.NoError(t, err)
	assert.Contains(t, img.Describe().Fields, format.Field{Name: "family", Value: "0x00000001"})
}

func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	data := append([]byte("IMG"), append(bytes.Repeat([]byte{7}, 600), "good"...)...)
	for name, b := range carriers(t, data) {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			for i := range count {
				bad := bytes.Clone(b)
				for range 1 + r.IntN(3) {
					if len(bad) == 0 {
						break
					}
					at := r.IntN(len(bad))
					switch r.IntN(4) {
					case 0:
						bad[at] ^= 1 << r.IntN(8)
					case 1:
						bad = bad[:at]
					case 2:
						bad = append(bad[:at:at], append([]byte("0F\n:S@q")[:r.IntN(8)], bad[at:]...)...)
					case 3:
						bad = append(bad[:at:at], bad[min(len(bad), at+1+r.IntN(40)):]...)
					}
				}
				img, err := openAny(t, bad)
				if err != nil {
					require.True(t, errors.Is(err, format.ErrMalformed) || errors.Is(err, format.ErrUnknownFormat), "%v", err)
					continue
				}
				require.LessOrEqual(t, img.(*Image).memory.size, int64(len(bad)*40), "mutant %d", i)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range carriers(f, []byte("IMG good")) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := openAny(t, b)
		if err != nil {
			return
		}
		_, _ = img.Verify(format.Trust{})
		img.Describe()
	})
}

// TestSrecCat: what srec_cat writes, we read alike; what we write, it reads.
func TestSrecCat(t *testing.T) {
	if _, err := exec.LookPath("srec_cat"); err != nil {
		t.Skip("srec_cat is not installed")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(path("in"), image(), 0o600))
	run := func(args ...string) {
		out, err := exec.Command("srec_cat", args...).CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	const at = 0x8000
	for name, form := range map[string]string{"hex": "-intel", "srec": "-motorola", "ti-txt": "-ti-txt"} {
		run(path("in"), "-binary", "-offset", fmt.Sprint(at), "-o", path("theirs"), form)
		theirs, err := os.ReadFile(path("theirs"))
		require.NoError(t, err)
		img, err := openAny(t, theirs)
		require.NoError(t, err, name)
		require.Equal(t, name, img.(*Image).kind.name)
		carried, ok := img.(*Image).Carried()
		require.True(t, ok)
		require.Equal(t, image(), carried, name)

		ours := map[string][]byte{"hex": HEX(at, image()), "srec": SRecord(at, image()), "ti-txt": TI(at, image())}[name]
		require.NoError(t, os.WriteFile(path("ours"), ours, 0o600))
		run(path("ours"), form, "-offset", fmt.Sprint(-at), "-o", path("out"), "-binary")
		out, err := os.ReadFile(path("out"))
		require.NoError(t, err)
		require.Equal(t, image(), out, name)

		if name == "ti-txt" {
			continue // it has no checksum that either could miss
		}
		img, err = openAny(t, ours)
		require.NoError(t, err)
		v, err := img.Tamper(format.TamperedPlain, format.Means{})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path("bad"), v.Bytes, 0o600))
		text, err := exec.Command("srec_cat", path("bad"), form, "-o", path("out"), "-binary").CombinedOutput()
		require.Error(t, err, "%s: srec_cat takes %s", name, v.Manifest.Expected)
		t.Logf("%s: %s", name, text)
	}
}
