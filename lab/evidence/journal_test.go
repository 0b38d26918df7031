package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJournalIsReadableWhileItGrows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	j := startRun(t, dir)
	defer j.Close()
	e, err := Verify(t.Context(), dir, nil)
	require.NoError(t, err)
	assert.False(t, e.Sealed)
	assert.False(t, e.Ended)
	assert.Zero(t, e.Torn)
	require.Len(t, e.Records, 9)
	assert.Equal(t, genesis, e.Records[0].Prev)
	assert.Equal(t, e.Records[0].Digest, e.Records[1].Prev)
	assert.Len(t, e.Artefacts, 4)
	o, err := e.Observations()
	require.NoError(t, err)
	require.Len(t, o, 1)
	assert.JSONEq(t, `{"accepted":false,"says":"<no> & never"}`, string(o[0].Facts))
}

func TestJournalRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		kind string
		body any
		want string
	}{
		"unknown kind":                {"verdict", nil, `unknown kind "verdict"`},
		"second begin":                {KindBegin, nil, "begin is the first record"},
		"artefact by hand":            {KindArtefact, Artefact{}, "AddBytes"},
		"body that is no object":      {KindNote, []int{1}, "not a JSON object"},
		"body that is no JSON":        {KindNote, json.RawMessage(`{"a":`), "append note"},
		"body that cannot be encoded": {KindNote, func() {}, "unsupported type"},
		"key twice":                   {KindNote, json.RawMessage(`{"b":[{"a":1,"a":2}]}`), `key "a" twice`},
		"too deep":                    {KindNote, json.RawMessage(strings.Repeat(`{"a":`, 99) + "1" + strings.Repeat("}", 99)), "nested more than 64 deep"},
		"observation without id":      {KindObservation, map[string]any{"step": "s"}, "no id"},
		"step without name":           {KindStep, nil, "names no step"},
		"capture without file":        {KindCapture, nil, "names no file"},
		"capture with too few parts":  {KindCapture, Capture{File: "c.pcapng", Frames: 7, Parts: []Part{{"c.pcapng", 6}}}, "hold 6 frames, not its 7"},
		"capture with a part twice":   {KindCapture, Capture{File: "c.pcapng", Frames: 8, Parts: []Part{{"c.pcapng", 4}, {"c.pcapng", 4}}}, "that of another one"},
		"too long":                    {KindNote, map[string]string{"a": strings.Repeat("a", maxLine)}, "more than"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			j := startRun(t, filepath.Join(t.TempDir(), "run"))
			defer j.Close()
			_, err := j.Append(c.kind, c.body)
			require.ErrorContains(t, err, c.want)
			require.NotErrorIs(t, err, ErrJournal)
			must(t, j, KindNote, map[string]string{"still": "open"})
			_, err = Verify(t.Context(), j.Dir(), nil)
			require.NoError(t, err)
		})
	}
}

func TestJournalBeginsAndEnds(t *testing.T) {
	j, err := Create(t.TempDir(), ticking())
	require.NoError(t, err)
	_, err = j.Append(KindNote, nil)
	require.ErrorContains(t, err, "begin is the first record")
	must(t, j, KindBegin, nil)
	must(t, j, KindEnd, nil)
	_, err = j.Append(KindNote, nil)
	require.ErrorIs(t, err, ErrJournal)
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	_, err = Resume(j.Dir(), ticking())
	require.ErrorIs(t, err, ErrJournal)
	_, err = Create(j.Dir(), ticking())
	require.ErrorIs(t, err, os.ErrExist)
}

func TestJournalTakesNothingAfterItsFileIsLost(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, file string){
		"removed": func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) },
		"replaced": func(t *testing.T, file string) {
			b := read(t, file)
			require.NoError(t, os.Remove(file))
			put(t, file, b)
		},
		"grown": func(t *testing.T, file string) { put(t, file, append(read(t, file), "{}\n"...)) },
		"cut":   func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 10)) },
	} {
		t.Run(name, func(t *testing.T) {
			j := startRun(t, t.TempDir())
			defer j.Close()
			harm(t, filepath.Join(j.Dir(), journalName))
			_, err := j.Append(KindNote, nil)
			require.ErrorIs(t, err, ErrJournal)
			require.ErrorContains(t, err, "the file ")
			_, err = j.Append(KindNote, nil)
			require.ErrorIs(t, err, ErrJournal)
			_, err = j.AddBytes("late", "text/plain", nil)
			require.ErrorIs(t, err, ErrJournal)
			require.ErrorIs(t, j.Err(), ErrJournal)
		})
	}
}

func TestJournalTimesNeverRunBack(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	j, err := Create(t.TempDir(), func() time.Time { at = at.Add(-time.Hour); return at })
	require.NoError(t, err)
	must(t, j, KindBegin, nil)
	must(t, j, KindNote, nil)
	must(t, j, KindNote, nil)
	_, err = Verify(t.Context(), j.Dir(), nil)
	require.NoError(t, err)
	require.NoError(t, j.Close())
	_, err = Resume(j.Dir(), func() time.Time { return at })
	require.ErrorContains(t, err, "the clock says")
}

func TestTornTailIsReportedAndCutOff(t *testing.T) {
	j := startRun(t, t.TempDir())
	require.NoError(t, j.Close())
	file := filepath.Join(j.Dir(), journalName)
	whole := read(t, file)
	last := whole[strings.LastIndexByte(strings.TrimSuffix(string(whole), "\n"), '\n')+1:]
	for cut := range len(last) {
		put(t, file, whole[:len(whole)-cut])
		e, err := Open(j.Dir())
		require.NoError(t, err)
		want := 9
		if cut > 0 {
			want = 8
			require.EqualValues(t, len(last)-cut, e.Torn)
		}
		require.Len(t, e.Records, want)
	}
	e, err := Verify(t.Context(), j.Dir(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, e.Torn)
	p := newPair(t)
	b := requireBroken(t, Seal(t.Context(), j.Dir(), filepath.Join(t.TempDir(), "x.assay"), p.signer))
	require.Equal(t, "journal line 9", b.Where)

	clock := ticking()
	j, err = Resume(j.Dir(), func() time.Time { return clock().Add(time.Hour) })
	require.NoError(t, err)
	_, err = j.AddBytes("dossier.yaml", "application/yaml", nil)
	require.ErrorContains(t, err, "is there already")
	must(t, j, KindEnd, nil)
	require.NoError(t, j.Close())
	e, err = Verify(t.Context(), j.Dir(), nil)
	require.NoError(t, err)
	require.Zero(t, e.Torn)
	require.True(t, e.Ended)
	require.Equal(t, KindGap, e.Records[8].Kind)
	var gap struct {
		What, SHA256 string
		From, To     time.Time
		Bytes        int
		Kept         []byte
	}
	require.NoError(t, json.Unmarshal(e.Records[8].Body, &gap))
	require.Equal(t, TornTail, gap.What)
	require.Equal(t, 1, gap.Bytes)
	require.Equal(t, e.Records[7].Time, gap.From)
	require.WithinRange(t, gap.To, gap.From, e.Records[8].Time)
	sum := sha256.Sum256(gap.Kept)
	require.Equal(t, hex.EncodeToString(sum[:]), gap.SHA256)
	require.Len(t, gap.Kept, 1)
}

func TestJournalIsSafeForConcurrentUse(t *testing.T) {
	j := startRun(t, t.TempDir())
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 5 {
				_, err := j.Append(KindNote, map[string]int{"writer": n, "number": i})
				assert.NoError(t, err)
				_, err = j.AddBytes(fmt.Sprintf("file-%d-%d", n, i), "text/plain", []byte{byte(i)})
				assert.NoError(t, err)
			}
			_, err := j.AddBytes("only-one", "text/plain", []byte{byte(n)})
			if err != nil {
				assert.ErrorContains(t, err, "is there already")
			}
		})
	}
	wg.Wait()
	require.NoError(t, j.Close())
	e, err := Verify(t.Context(), j.Dir(), nil)
	require.NoError(t, err)
	require.Len(t, e.Records, 9+8*5*2+1)
}

func TestAddFile(t *testing.T) {
	j := startRun(t, t.TempDir())
	defer j.Close()
	path := filepath.Join(t.TempDir(), "firmware.bin")
	put(t, path, []byte("firmware"))
	a, err := j.AddFile("images/firmware.bin", "application/octet-stream", path)
	require.NoError(t, err)
	require.EqualValues(t, 8, a.Size)
	again, err := j.AddFile("images/again.bin", "application/octet-stream", path)
	require.NoError(t, err)
	require.Equal(t, a.SHA256, again.SHA256)
	entries, err := os.ReadDir(filepath.Join(j.Dir(), filesName))
	require.NoError(t, err)
	require.Len(t, entries, 4, "one file per content, nothing temporary left")
	e, err := Verify(t.Context(), j.Dir(), nil)
	require.NoError(t, err)
	require.Equal(t, "firmware", content(t, e, "images/firmware.bin"))

	_, err = j.AddFile("gone", "text/plain", path+".gone")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = j.AddFile("gone", "text/plain", path)
	require.NoError(t, err, "a name that was never recorded is free again")
	_, err = j.AddFile("folder", "text/plain", t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
	for _, name := range []string{"", ".", "..", "../x", "/x", "a//b", "a/../b", `a\b`, "c:x", "a\nb", "a\x00", "a\xff", strings.Repeat("a", 256)} {
		_, err = j.AddBytes(name, "text/plain", nil)
		require.ErrorContains(t, err, "artefact name", name)
	}
	_, err = j.AddBytes("typeless", "", nil)
	require.ErrorContains(t, err, "media type")

	// Whoever writes to a file after it was added breaks the evidence, and is noticed.
	link, err := os.ReadFile(filepath.Join(j.Dir(), filesName, a.SHA256))
	require.NoError(t, err)
	link[0] ^= 1
	put(t, filepath.Join(j.Dir(), filesName, a.SHA256), link)
	_, err = Verify(t.Context(), j.Dir(), nil)
	require.Equal(t, "files/"+a.SHA256, requireBroken(t, err).Where)
	r, err := e.Artefact("images/firmware.bin")
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadAll(r)
	requireBroken(t, err)
}

func TestDirectoryNamesWhatIsMissing(t *testing.T) {
	j := startRun(t, t.TempDir())
	require.NoError(t, j.Close())
	e, err := Open(j.Dir())
	require.NoError(t, err)
	a, _ := e.Find("capture.pcapng")
	file := filepath.Join(j.Dir(), filesName, a.SHA256)
	require.NoError(t, os.Remove(file))
	_, err = Verify(t.Context(), j.Dir(), nil)
	require.Equal(t, a.entry(), requireBroken(t, err).Where)
	_, err = e.Artefact("nothing")
	require.ErrorIs(t, err, os.ErrNotExist)
	if os.Symlink(filepath.Join(j.Dir(), journalName), file) == nil {
		_, err = Verify(t.Context(), j.Dir(), nil)
		require.Contains(t, requireBroken(t, err).Why, "not a regular file")
	}
	_, err = Verify(t.Context(), t.TempDir(), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.False(t, errors.Is(err, ErrBroken), "a directory without a journal is unusable input, not broken evidence")
}

func TestDirectoryJournalIsRead(t *testing.T) {
	j := startRun(t, t.TempDir())
	require.NoError(t, j.Close())
	file := filepath.Join(j.Dir(), journalName)
	b := read(t, file)
	lines := strings.SplitAfter(string(b), "\n")
	c, err := parseJournal(b)
	require.NoError(t, err)
	r := c.records[2]
	r.Time = r.Time.Add(-time.Hour)
	earlier := rechain(t, [][]byte{c.lines[0], c.lines[1], encodeLine(r), c.lines[3]})
	for name, c := range map[string]struct{ text, where string }{
		"line-removed":    {strings.Join(append(lines[:2:2], lines[3:]...), ""), "journal line 3"},
		"line-twice":      {lines[0] + lines[1] + lines[1] + lines[2], "journal line 3"},
		"lines-exchanged": {lines[0] + lines[2] + lines[1], "journal line 2"},
		"first-line-gone": {strings.Join(lines[1:], ""), "journal line 1"},
		"text":            {"hello\n", "journal line 1"},
		"empty-line":      {lines[0] + "\n" + lines[1], "journal line 2"},
		"white-space":     {strings.Replace(lines[0], ",", ", ", 1), "journal line 1"},
		"other-prev":      {lines[0] + strings.Replace(lines[1], `"prev":"`, `"prev":"0`, 1), "journal line 2"},
		"earlier":         {string(earlier), "journal line 3"},
		"local-time":      {strings.Replace(lines[0], "Z\"", "+00:00\"", 1), "journal line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, file, []byte(c.text))
			_, err := Open(j.Dir())
			b := requireBroken(t, err)
			assert.Equal(t, c.where, b.Where)
			assert.Equal(t, layerChain, b.What)
		})
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// TestKeysInOneCase refuses what this program would read and everybody else would not.
func TestKeysInOneCase(t *testing.T) {
	j, err := Create(t.TempDir(), ticking())
	require.NoError(t, err)
	defer j.Close()
	must(t, j, KindBegin, nil)
	for kind, body := range map[string]string{
		KindObservation: `{"id":"o-001","step":"s","facts":{"trusted":true},"Facts":{"trusted":false}}`,
		KindStep:        `{"Step":"s"}`,
		KindCapture:     `{"file":"c.pcapng","frames":1,"FRAMES":7}`,
	} {
		_, err := j.Append(kind, json.RawMessage(body))
		require.ErrorContains(t, err, "readers differ", kind)
	}
	must(t, j, KindObservation, json.RawMessage(`{"id":"o-001","step":"s","facts":{"Host":1,"host":2}}`))
	var v struct {
		Run string `json:"run"`
	}
	require.Error(t, Record{Kind: KindBegin, Body: json.RawMessage(`{"run":"a","Run":"b"}`)}.Decode(&v))
}
