package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

func TestSealedRunVerifies(t *testing.T) {
	p := newPair(t)
	dir, path := sealRun(t, p)
	stranger := newPair(t)
	e, err := Verify(t.Context(), path, []signature.Verifier{stranger.verifier, p.verifier})
	require.NoError(t, err)
	assert.True(t, e.Sealed)
	assert.True(t, e.Ended)
	assert.Len(t, e.Records, 10)
	assert.Equal(t, "assay: profile/v1\n", content(t, e, "profile/same.yaml"))
	assert.Equal(t, string(capture()), content(t, e, "capture.pcapng"))
	assert.Equal(t, e.Root, e.Statement.Subject[0].Digest["sha256"])
	hint, err := Hint(p.signer)
	require.NoError(t, err)
	assert.Equal(t, hint, e.Hint)

	again := filepath.Join(t.TempDir(), "again.assay")
	require.NoError(t, Seal(t.Context(), dir, again, p.signer), "a directory stays as it was")
	require.ErrorIs(t, Seal(t.Context(), dir, again, p.signer), os.ErrExist)
	left, err := os.ReadDir(filepath.Dir(again))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing temporary stays")

	opened, err := Open(path)
	require.NoError(t, err)
	require.Equal(t, e.Records, opened.Records)
	_, err = Verify(t.Context(), path, nil)
	require.ErrorIs(t, err, ErrNoKey)
	require.False(t, errors.Is(err, ErrBroken))
	_, err = Verify(t.Context(), path+".gone", p.keys())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestBundleIsAnOrdinaryArchive(t *testing.T) {
	_, path := sealRun(t, newPair(t))
	z, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer z.Close()
	b := read(t, path)
	for i, e := range splitBundle(t, b) {
		f := z.File[i]
		require.Equal(t, e.name, f.Name)
		require.Equal(t, zip.Store, f.Method)
		require.Empty(t, f.Extra)
		r, err := f.Open()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, e.b, got)
		require.NoError(t, r.Close())
	}
	require.Equal(t, b, joinBundle(t, splitBundle(t, b)), "an archive can be rebuilt from its entries")
}

// TestEveryBitCounts flips one bit in every byte of a bundle, another one each time.
func TestEveryBitCounts(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	b := read(t, path)
	t.Logf("%d bytes", len(b))
	where := map[string]int{}
	for i := range b {
		bit := byte(1) << (i % 8)
		b[i] ^= bit
		_, err := verifyBundle(t.Context(), bytes.NewReader(b), int64(len(b)), path, Trust{Keys: p.keys()})
		broken := requireBroken(t, err)
		where[broken.Where]++
		b[i] ^= bit
	}
	_, err := verifyBundle(t.Context(), bytes.NewReader(b), int64(len(b)), path, Trust{Keys: p.keys()})
	require.NoError(t, err)
	for w, n := range where {
		t.Logf("%5d %s", n, w)
	}
}

// TestFlippedBitIsNamed flips bits inside known entries.
func TestFlippedBitIsNamed(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	b := read(t, path)
	line6 := bytes.Index(b, []byte(`{"seq":6,`))
	packet := bytes.Index(b, []byte("packet "))
	c, err := readContainer(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	seal, _ := c.find(sealName)
	treeEntry, _ := c.find(treeName)
	for name, want := range map[string]struct {
		at    int
		where string
	}{
		"fact of an observation": {line6 + bytes.Index(b[line6:], []byte("never")), "journal line 6"},
		"prev of a line":         {line6 + bytes.Index(b[line6:], []byte(`"prev":"`)) + 9, "journal line 6"},
		"end":                    {bytes.Index(b, []byte(`"finished"`)) + 1, "journal line 10"},
		"capture":                {packet, "files/"},
		"seal":                   {int(seal.data()) + 200, sealName},
		"root":                   {int(treeEntry.data()) + bytes.Index(b[treeEntry.data():], []byte(`"root":"`)) + 10, treeName},
		"mimetype":               {lenLocal + len(mimeName) + 3, mimeName},
		"end of the archive":     {len(b) - 1, "end of central directory"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			m := bytes.Clone(b)
			m[want.at] ^= 1
			_, err := Verify(t.Context(), write(t, m), p.keys())
			assert.Contains(t, requireBroken(t, err).Where, want.where)
		})
	}
}

func TestTruncatedBundle(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	b := read(t, path)
	for n := range b {
		_, err := verifyBundle(t.Context(), bytes.NewReader(b[:n]), int64(n), path, Trust{Keys: p.keys()})
		require.Equal(t, layerContainer, requireBroken(t, err).What)
	}
	for _, more := range []string{"\x00", "PK\x05\x06", string(b)} {
		_, err := Verify(t.Context(), write(t, append(bytes.Clone(b), more...)), p.keys())
		require.Equal(t, layerContainer, requireBroken(t, err).What)
	}
	_, err := Verify(t.Context(), write(t, append([]byte("MZ"), b...)), p.keys())
	require.Equal(t, layerContainer, requireBroken(t, err).What)
}

// TestForgedJournal changes the journal, mends its chain, and leaves or mends the
// tree: without the key the seal cannot be mended.
func TestForgedJournal(t *testing.T) {
	p, stranger := newPair(t), newPair(t)
	_, path := sealRun(t, p)
	list := splitBundle(t, read(t, path))
	lines := bytes.Split(bytes.TrimSuffix(list[1].b, []byte("\n")), []byte("\n"))
	for name, forge := range map[string]func() [][]byte{
		"removed":    func() [][]byte { return append(append([][]byte{}, lines[:6]...), lines[7:]...) },
		"duplicated": func() [][]byte { return append(append([][]byte{}, lines[:7]...), lines[6:]...) },
		"changed": func() [][]byte {
			all := append([][]byte{}, lines...)
			all[5] = bytes.Replace(all[5], []byte(`"accepted":false`), []byte(`"accepted":true`), 1)
			return all
		},
		"reordered": func() [][]byte {
			all := append([][]byte{}, lines...)
			sooner, err := parseLine(all[5])
			require.NoError(t, err)
			later, err := parseLine(all[6])
			require.NoError(t, err)
			sooner.Time, later.Time = later.Time, sooner.Time
			all[5], all[6] = encodeLine(later), encodeLine(sooner)
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			forged := append([]entryBytes{}, list...)
			forged[1].b = rechain(t, forge())
			_, err := Verify(t.Context(), write(t, joinBundle(t, forged)), p.keys())
			require.Equal(t, layerTree, requireBroken(t, err).What)

			mended := mendTree(t, forged)
			_, err = Verify(t.Context(), write(t, joinBundle(t, mended)), p.keys())
			b := requireBroken(t, err)
			require.Equal(t, layerSeal, b.What)
			require.Equal(t, sealName, b.Where)

			// Signed anew by somebody else, with the lab's hint and with his own.
			mended[len(mended)-1].b = signAnew(t, mended, stranger, "")
			_, err = Verify(t.Context(), write(t, joinBundle(t, mended)), p.keys())
			require.Contains(t, requireBroken(t, err).Why, "none of the given ones")
			hint, err := Hint(p.signer)
			require.NoError(t, err)
			mended[len(mended)-1].b = signAnew(t, mended, stranger, hint)
			_, err = Verify(t.Context(), write(t, joinBundle(t, mended)), p.keys())
			require.Contains(t, requireBroken(t, err).Why, "signature")
		})
	}
}

// mendTree recomputes the tree over the entries.
func mendTree(t *testing.T, list []entryBytes) []entryBytes {
	t.Helper()
	var leaves []digest
	lines := bytes.Split(bytes.TrimSuffix(list[1].b, []byte("\n")), []byte("\n"))
	for _, l := range lines {
		leaves = append(leaves, leafHash(l))
	}
	for _, e := range list[2 : len(list)-2] {
		leaves = append(leaves, leafHash(e.b))
	}
	b, err := newTree(len(lines), leaves).encode()
	require.NoError(t, err)
	mended := append([]entryBytes{}, list...)
	mended[len(mended)-2].b = b
	return mended
}

// signAnew makes a seal that fits the entries, under a stranger's key.
func signAnew(t *testing.T, list []entryBytes, who pair, hint string) []byte {
	t.Helper()
	c, err := parseJournal(list[1].b)
	require.NoError(t, err)
	e := &Evidence{Records: c.records}
	require.NoError(t, e.gather())
	var leaves []digest
	for _, l := range c.lines {
		leaves = append(leaves, leafHash(l))
	}
	for _, f := range list[2 : len(list)-2] {
		leaves = append(leaves, leafHash(f.b))
	}
	b, err := signStatement(state(e, merkleRoot(leaves).String(), list[len(list)-2].b), who.signer)
	require.NoError(t, err)
	env, err := openSeal(b)
	require.NoError(t, err)
	if hint != "" {
		env.Verification.PublicKey.Hint = hint
	}
	b, err = env.encode()
	require.NoError(t, err)
	return b
}

// TestSealSaysNothingMore has a lab sign more than anybody recomputes: another subject, which tools that go by subjects would
// find tested, and a result of its own.
func TestSealSaysNothingMore(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	type result struct {
		Predicate
		Totals map[string]string `json:"totals"`
	}
	for want, more := range map[string]func(s *Statement) any{
		"its subjects are not": func(s *Statement) any {
			s.Subject = append(s.Subject, Subject{"image 9.9", map[string]string{"sha256": strings.Repeat("ab", 32)}})
			return s
		},
		"not in the form it is written in": func(s *Statement) any {
			return struct {
				Type          string    `json:"_type"`
				Subject       []Subject `json:"subject"`
				PredicateType string    `json:"predicateType"`
				Predicate     result    `json:"predicate"`
			}{s.Type, s.Subject, s.PredicateType, result{s.Predicate, map[string]string{"result": "PASSED"}}}
		},
	} {
		list := splitBundle(t, read(t, path))
		seal := &list[len(list)-1]
		env, err := openSeal(seal.b)
		require.NoError(t, err)
		s, err := env.statement()
		require.NoError(t, err)
		seal.b, err = signPayload(more(s), p.signer)
		require.NoError(t, err)
		_, err = Verify(t.Context(), write(t, joinBundle(t, list)), p.keys())
		b := requireBroken(t, err)
		require.Equal(t, layerSeal, b.What)
		require.Contains(t, b.Why, want)
	}
}

func TestOtherKey(t *testing.T) {
	_, path := sealRun(t, newPair(t))
	_, err := Verify(t.Context(), path, newPair(t).keys())
	b := requireBroken(t, err)
	require.Equal(t, sealName, b.Where)
	require.Contains(t, b.Why, "none of the given ones")
}

// TestStrangeArchives hands in archives that other tools would open.
func TestStrangeArchives(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	good := splitBundle(t, read(t, path))
	insert := func(at int, e entryBytes) []entryBytes {
		return append(append(append([]entryBytes{}, good[:at]...), e), good[at:]...)
	}
	for name, list := range map[string][]entryBytes{
		"path traversal":   insert(3, entryBytes{"../../etc/passwd", []byte("root")}),
		"absolute path":    insert(3, entryBytes{"/etc/passwd", []byte("root")}),
		"folder":           insert(3, entryBytes{"files/", nil}),
		"other digest":     insert(3, entryBytes{"files/" + strings.Repeat("00", 32), nil}),
		"upper case":       insert(3, entryBytes{"files/" + strings.Repeat("AA", 32), nil}),
		"file twice":       insert(3, good[2]),
		"journal twice":    insert(3, good[1]),
		"entry after seal": insert(len(good), entryBytes{"x", nil}),
		"no seal":          good[:len(good)-1],
		"no journal":       append(append([]entryBytes{}, good[0]), good[2:]...),
		"file missing":     append(append([]entryBytes{}, good[:2]...), good[3:]...),
		"files exchanged":  append(append(append([]entryBytes{}, good[:2]...), good[3], good[2]), good[4:]...),
		"nothing":          nil,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			_, err := Verify(t.Context(), write(t, joinBundle(t, list)), p.keys())
			require.Equal(t, layerContainer, requireBroken(t, err).What)
		})
	}
	t.Run("compressed", func(t *testing.T) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, e := range good {
			w, err := z.Create(e.name)
			require.NoError(t, err)
			_, err = w.Write(e.b)
			require.NoError(t, err)
		}
		w, err := z.Create("files/" + strings.Repeat("00", 32))
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 64<<20)) // a bomb: tens of kilobytes in the archive
		require.NoError(t, err)
		require.NoError(t, z.Close())
		_, err = Verify(t.Context(), write(t, b.Bytes()), p.keys())
		require.Equal(t, layerContainer, requireBroken(t, err).What)
	})
	t.Run("sizes-that-lie", func(t *testing.T) {
		b := read(t, path)
		for _, size := range []uint64{max32 - 1, max32, 1 << 40, 1<<64 - 1} {
			e := entry{name: mimeName, size: size}
			_, err := Verify(t.Context(), write(t, append(e.local(), b...)), p.keys())
			require.Equal(t, layerContainer, requireBroken(t, err).What)
		}
	})
}

func TestVerifyObeysItsContext(t *testing.T) {
	p := newPair(t)
	dir, path := sealRun(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Verify(ctx, path, p.keys())
	require.ErrorIs(t, err, context.Canceled)
	_, err = Verify(ctx, dir, nil)
	require.ErrorIs(t, err, context.Canceled)
	out := filepath.Join(t.TempDir(), "never.assay")
	require.ErrorIs(t, Seal(ctx, dir, out, p.signer), context.Canceled)
	left, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestIncompleteIsNeverSealed shows records that contradict each other.
func TestIncompleteIsNeverSealed(t *testing.T) {
	frames := func(file string, first, last uint64) probes.Observation {
		return observation("o-002", "update/refusal{via=coap}", &probes.Frames{File: file, First: first, Last: last})
	}
	for name, c := range map[string]struct {
		kind string
		body any
		want string
	}{
		"no end":                 {"", nil, "not end"},
		"step without answer":    {KindStep, Step{Step: "credentials/defaults{}"}, "has no observation"},
		"second attempt without": {KindStep, Step{Step: "update/refusal{via=coap}", Attempt: 2}, "has no observation"},
		"another unit answers":   {KindStep, Step{Step: "update/refusal{via=coap}", Unit: "unit-2"}, "has no observation"},
		"observation twice":      {KindObservation, observation("o-001", "x", nil), "second time"},
		"frames nowhere":         {KindObservation, frames("other.pcapng", 1, 2), "no artefact"},
		"frames beyond":          {KindObservation, frames("capture.pcapng", 5, 8), "which has 7"},
		"frame zero":             {KindObservation, frames("capture.pcapng", 0, 3), "no range"},
		"frames backwards":       {KindObservation, frames("capture.pcapng", 5, 3), "no range"},
		"frames of no capture":   {KindObservation, frames("dossier.yaml", 1, 1), "no record tells how many"},
		"capture nowhere":        {KindCapture, Capture{File: "other.pcapng"}, "no artefact"},
		"a part nowhere":         {KindCapture, Capture{File: "capture.pcapng", Frames: 7, Parts: []Part{{"capture.pcapng", 4}, {"capture.00002.pcapng", 3}}}, "a part of capture.pcapng, is no artefact"},
		"two frame counts":       {KindCapture, Capture{File: "capture.pcapng", Frames: 6}, "7 before"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			j := startRun(t, t.TempDir())
			if c.kind != "" {
				must(t, j, c.kind, c.body)
				must(t, j, KindEnd, nil)
			}
			require.NoError(t, j.Close())
			_, err := Verify(t.Context(), j.Dir(), nil)
			require.NoError(t, err, "a directory is incomplete anyhow")
			err = Seal(t.Context(), j.Dir(), filepath.Join(t.TempDir(), "x.assay"), newPair(t).signer)
			b := requireBroken(t, err)
			require.Equal(t, layerComplete, b.What)
			require.Contains(t, b.Why, c.want)
		})
	}
}

func content(t *testing.T, e *Evidence, name string) string {
	t.Helper()
	r, err := e.Artefact(name)
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}

// TestBeginInTheFuture is verified by somebody whose clock stands before the lab's.
func TestBeginInTheFuture(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	begun := ticking()().Add(time.Second)
	for before, want := range map[time.Duration]string{0: "", ClockTolerance: "", ClockTolerance + time.Second: "the run begins in the future"} {
		_, err := VerifyBy(t.Context(), path, Trust{Keys: p.keys(), Now: begun.Add(-before)})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		b := requireBroken(t, err)
		require.Equal(t, "journal line 1", b.Where)
		require.Contains(t, b.Why, want)
	}
}

// TestReplayedSeal puts the seal of one run on another run of the same lab.
func TestReplayedSeal(t *testing.T) {
	p := newPair(t)
	_, one := sealRun(t, p)
	_, two := sealRun(t, p)
	list, seal := splitBundle(t, read(t, one)), splitBundle(t, read(t, two))
	list[len(list)-1] = seal[len(seal)-1]
	_, err := Verify(t.Context(), write(t, joinBundle(t, list)), p.keys())
	require.Contains(t, requireBroken(t, err).Why, "its subjects are not this journal and this tree")
}
