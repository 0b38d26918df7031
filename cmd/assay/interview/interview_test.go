package interview

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// A desk is a reviewer's: a small standard, a dossier, and a file to keep answers in.
type desk struct {
	t   *testing.T
	dir string
	set *profiles.Set
	d   *dossier.Dossier
	day time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	k := &desk{t: t, dir: t.TempDir(), day: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)}
	standard, err := os.ReadFile("testdata/standard.yaml")
	require.NoError(t, err)
	k.set, err = profiles.Load(fstest.MapFS{
		"standards/s.yaml": {Data: standard},
		"profiles/p.yaml":  {Data: []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: P\nstandards: [{standard: s}]\n")},
	}, "p", nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(k.dir, "manual.txt"), []byte("abc"), 0o600))
	gate, err := os.ReadFile("testdata/dossier.yaml")
	require.NoError(t, err)
	k.d, err = dossier.Parse("gate.yaml", gate, k.dir)
	require.NoError(t, err)
	return k
}

func (k *desk) now() time.Time { return k.day }
func (k *desk) out() string    { return filepath.Join(k.dir, "reviews.yaml") }

// sits down at the desk, as the verb does.
func (k *desk) sits(out io.Writer) *Interview {
	k.t.Helper()
	shown, err := dossier.ParseRecorded("gate.yaml", k.d.Redacted())
	require.NoError(k.t, err)
	keeper, err := review.Keep(k.out(), k.d, k.now, About(k.set, nil), out)
	require.NoError(k.t, err)
	return &Interview{
		Out: out, Dossier: shown, Betrays: k.d.Betrays, Keeper: keeper, Units: review.Units(k.set, shown, keeper),
		By: review.Person{Name: "Ada", Role: "assessor", Organisation: "Lab"}, Expires: "2027-11-23",
	}
}

// types lets somebody type lines, and returns what was shown.
func (k *desk) types(again []string, typed ...string) string {
	k.t.Helper()
	var out bytes.Buffer
	a := k.sits(&out)
	ask := review.OpenUnits(a.Units)
	if again != nil {
		ask = nil
		for i, u := range a.Units {
			if slices.Contains(again, u.Address) {
				ask = append(ask, i)
			}
		}
	}
	require.NoError(k.t, a.Hold(k.t.Context(), strings.NewReader(strings.Join(typed, "\n")+"\n"), ask), "%s", &out)
	assert.NotContains(k.t, out.String(), "hunter22", "no secret is ever said")
	assert.NotContains(k.t, out.String(), "\x1b", "nothing moves the cursor")
	return out.String()
}

// reviews reads the file as everybody else does.
func (k *desk) reviews() []review.Review {
	k.t.Helper()
	f, err := review.Read(k.out(), k.d, k.day)
	require.NoError(k.t, err)
	return f.Reviews
}

func (k *desk) answers() map[string]review.Answer {
	k.t.Helper()
	out := map[string]review.Answer{}
	for _, r := range k.reviews() {
		for _, u := range r.Units {
			out[u] = r.Answer
		}
	}
	return out
}

func TestEveryAnswer(t *testing.T) {
	k := newDesk(t)
	require.NoError(t, os.WriteFile(filepath.Join(k.dir, "a photo.jpg"), []byte("proof"), 0o600))
	said := k.types(nil,
		"m", "Chapter 4 says so.", "1", "manual", "nowhere.txt", "'"+filepath.Join(k.dir, "a photo.jpg")+"'", "", // 1-c.a
		"a", "It has no roles.", "", "", // 1-c.b, which has a category: all rows shown
		"w", "update service", "n", "y", "its TLS asks for a certificate", // 3-t.a
		"w", "status page", "yes", "everybody may read it",
		"m", "Walked with the maker.", "", "policy", "",
		"n", "A stranger got in.", "", "", // 3-f.a
	)
	for _, want := range []string{
		"[1 of 4] unit 1-c.a\n", "[2 of 4] unit 1-c.b, category RBAC\n", "[4 of 4] unit 3-f.a\n", "s, edition 1: A standard", "1  First\n  mandatory\n",
		"! restriction R-1 (verified): Not for toys.", "! restriction R-2 (recalled): Not for the moon.", "case 1-c, conceptual", "needs: a second unit",
		"Are the passwords unique?", "rests on: document", "rests on: attestation", "1-AuthMech/AuthMech-1 The owner logs in, e.g. with withheld.",
		"skipped: 2 Second: the dossier denies updatable (No flash for it, says\n         withheld.)", "  mandatory, recalled\n",
		"nowhere.txt does not exist, and the dossier has no document of that id", "cited: manual, sha256 ba7816bf8f01cfea...",
		"cited: policy, without a digest", "DN-1: Public on purpose? (y/n)", "update service: PASS", "status page: NA",
		"4 answers given in this session; 0 of 5 still open",
	} {
		assert.Contains(t, said, want)
	}
	got := k.reviews()
	require.Len(t, got, 4)
	assert.Equal(t, review.Review{
		Units: []string{"s/1-c.a"}, Answer: review.Met, Statement: "Chapter 4 says so.", By: review.Person{Name: "Ada", Role: "assessor", Organisation: "Lab"},
		Date: "2026-11-23", Expires: "2027-11-23", Rows: []string{"1-AuthMech/AuthMech-1"}, Product: review.ProductOf(k.d),
		Evidence: []review.Evidence{
			{Document: "manual", SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
			{File: "a photo.jpg", SHA256: "c1cda26362828b69266512052b97cb3729e3b052e4ade47c0a1e3383defe73c7"}, // as seen from the file of reviews
		},
	}, got[0])
	assert.Equal(t, review.NotApplicable, got[1].Answer)
	assert.Equal(t, []string{"1-AuthMech/AuthMech-1", "1-AuthMech/AuthMech-2"}, got[1].Rows, "Enter takes all that are shown")
	assert.Equal(t, []review.Item{
		{Name: "update service", Path: []string{"no", "yes"}, Because: "its TLS asks for a certificate"},
		{Name: "status page", Path: []string{"yes"}, Because: "everybody may read it"},
	}, got[2].Items)
	assert.Equal(t, review.NotMet, got[3].Answer)
	assert.Contains(t, k.types(nil), "nothing is open; --again UNIT asks one again")
}

func TestAsksAgainWhatCannotBeTaken(t *testing.T) {
	k := newDesk(t)
	said := k.types(nil,
		"x", "maybe", "a", "w", // 1-c.a has neither a tree nor a category
		"m", "", "with \x1b[A", strings.Repeat("x", 5000), "\xff", "hunter22 opens it", "n", "The label opens it.", // statement
		"3", "1-AuthMech/AuthMech-9", "-", "", // rows: none, documents: none
		"-", "policy", "policy", "", // rows: none again, but a document
		"q",
	)
	for _, want := range []string{
		`"maybe" is none of these`, "this case has no decision tree", "not applicable is no answer to this unit", "that is empty: write at least a word",
		"does not print, of an arrow key perhaps", "has more than 4000 bytes", "is not UTF-8 text", "holds a password or key of the dossier",
		"there is no row with the number 3", `the dossier has no row "1-AuthMech/AuthMech-9"`, "whoever read documents names them", "it is cited already",
	} {
		assert.Contains(t, strings.Join(strings.Fields(said), " "), want)
	}
	got := k.reviews()
	require.Len(t, got, 1)
	assert.Equal(t, "The label opens it.", got[0].Statement)
	assert.Empty(t, got[0].Rows)
	assert.Equal(t, []review.Evidence{{Document: "policy"}}, got[0].Evidence)
}

func TestTreeHoldsTheAnswer(t *testing.T) {
	k := newDesk(t)
	said := k.types([]string{"s/3-t.a"},
		"m",                                                             // no item yet
		"w", "camera", "n", "n", "nobody asks for a password", "m", "a", // FAIL
		"x", "7", "x", "1", "a", "<", // dropped: without an item it may be out of scope
		"w", "<", "w", "page", "y", "public", "m", "w", "page", // NA only; twice the same name
		"a", "Nothing is in scope.", "", "",
	)
	for _, want := range []string{
		"no item passes the tree: it cannot be met", "camera: FAIL", "the tree ends in FAIL for camera: it cannot be met", "cannot be not-applicable",
		`there is no item "7"`, "page was walked already", "saved: not-applicable",
	} {
		assert.Contains(t, said, want)
	}
	got := k.reviews()
	require.Len(t, got, 1)
	assert.Equal(t, review.NotApplicable, got[0].Answer)
	assert.Equal(t, []review.Item{{Name: "page", Path: []string{"yes"}, Because: "public"}}, got[0].Items)
}

func TestWalksSurviveAnEnd(t *testing.T) {
	k := newDesk(t)
	k.types([]string{"s/3-t.a"}, "w", "page", "y", "public", "w", "lock", "n") // the input ends in the middle of an item
	got := k.reviews()
	require.Len(t, got, 1)
	assert.Equal(t, review.Open, got[0].Answer)
	assert.Equal(t, "Not decided yet; walked so far: 1 item.", got[0].Statement)
	require.Len(t, got[0].Items, 1)

	said := k.types([]string{"s/3-t.a"}, "w", "lock", "n", "y", "needs a key", "m", "", "Walked.", "", "")
	assert.Contains(t, said, "item 1, page: NA")
	assert.Contains(t, said, "that is empty", "the words that only kept walks are nobody's answer")
	got = k.reviews()
	require.Len(t, got, 1)
	assert.Equal(t, review.Met, got[0].Answer)
	assert.Len(t, got[0].Items, 2)

	said = k.types([]string{"s/3-t.a"}, "w", "door", "n", "n", "is open", "q")
	assert.Contains(t, said, "the earlier answer stands")
	assert.Equal(t, got, k.reviews())
}

func TestQuitsAndGoesOn(t *testing.T) {
	k := newDesk(t)
	said := k.types(nil, "s", "o", "The maker sends a paper.", "q")
	assert.Contains(t, said, "1 answer given in this session; 4 of 5 still open")
	assert.Equal(t, map[string]review.Answer{"s/1-c.b": review.Open}, k.answers())

	said = k.types(nil, "m", "Read.", "", "", "m", "Read it, too.", "", "", "b", "n", "Read it wrong.", "", "", "s", "m", "Tried.", "", "")
	assert.Contains(t, said, "[1 of 4] unit 1-c.a", "what was skipped is asked again")
	assert.Contains(t, said, "answered before: open, says Ada on 2026-11-23: The maker sends a paper.", "and what was left open")
	assert.Equal(t, map[string]review.Answer{"s/1-c.a": review.Met, "s/1-c.b": review.NotMet, "s/3-f.a": review.Met}, k.answers())

	said = k.types(nil, "b", "q")
	assert.Contains(t, said, "[1 of 1] unit 3-t.a")
	assert.Contains(t, said, "this is the first one")
}

func TestAgainLeavesTheOthersAlone(t *testing.T) {
	k := newDesk(t)
	require.NoError(t, os.WriteFile(k.out(), []byte(`assay: reviews/v1
product: {manufacturer: Acme, model: Gate 7, firmware: 2.30}
reviews:
  - units: [s/1-c.a, s/1-c.b, other/9.a]   # one sitting
    answer: met
    statement: Read all.
    by: {name: Ada, role: assessor, organisation: Lab}
    date: 2026-11-01
    expires: 2027-11-01
    rows: [1-AuthMech/AuthMech-2]
`), 0o640))
	said := k.types([]string{"s/1-c.a"}, "m", "", "", "") // Enter keeps statement and rows
	assert.Contains(t, said, "answered before: met, says Ada on 2026-11-01: Read all.")
	assert.Contains(t, said, "was not written by assay as it stands")
	got := k.reviews()
	require.Len(t, got, 2)
	assert.Equal(t, []string{"s/1-c.b", "other/9.a"}, got[0].Units)
	assert.Equal(t, "2026-11-01", got[0].Date)
	assert.Equal(t, []string{"s/1-c.a"}, got[1].Units)
	assert.Equal(t, "2026-11-23", got[1].Date)
	assert.Equal(t, []string{"1-AuthMech/AuthMech-2"}, got[1].Rows)
	old, err := os.ReadFile(k.out() + ".bak")
	require.NoError(t, err)
	assert.Contains(t, string(old), "# one sitting")
	info, err := os.Stat(k.out())
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
}

func TestWhatDoesNotCountIsAskedAgain(t *testing.T) {
	k := newDesk(t)
	k.types(nil, "m", "Read.", "", "", "q")
	k.day = k.day.AddDate(1, 0, 1)
	said := k.types(nil, "q")
	assert.Contains(t, said, "[1 of 4] unit 1-c.a")
	assert.Contains(t, strings.Join(strings.Fields(said), " "), "[does not count: it expired on 2027-11-23]")
}

func TestIntroduction(t *testing.T) {
	k := newDesk(t)
	var out bytes.Buffer
	a := k.sits(&out)
	a.By, a.Expires = review.Person{}, ""
	require.NoError(t, a.Hold(t.Context(), strings.NewReader("<\n\nZoë\nassessor\n\ntomorrow\n2026-11-22\n\no\nLater.\nq\n"), review.OpenUnits(a.Units)))
	for _, want := range []string{"there is nothing to go back to", "an answer without it counts for nothing", `"tomorrow" is not a date: write it like 2027-11-23`, "2026-11-22 has passed"} {
		assert.Contains(t, out.String(), want)
	}
	assert.Equal(t, review.Person{Name: "Zoë", Role: "assessor"}, k.reviews()[0].By)
	assert.Equal(t, "2027-11-23", k.reviews()[0].Expires)

	out.Reset()
	a = k.sits(&out)
	a.By, a.Expires = review.Person{}, ""
	require.NoError(t, a.Hold(t.Context(), strings.NewReader("\n\n-\n\nq\n"), review.OpenUnits(a.Units)))
	assert.Contains(t, out.String(), "your name [Zoë]: ")
	assert.Equal(t, review.Person{Name: "Zoë", Role: "assessor"}, a.By)
}

// waiting is somebody who types some lines and then nothing.
type waiting struct {
	io.Reader
	silent func()
}

func (w waiting) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		w.silent()
		select {} // as a terminal does: nothing wakes it
	}
	return n, err
}

func TestObeysTheContext(t *testing.T) {
	k := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	a := k.sits(&out)
	err := a.Hold(ctx, waiting{strings.NewReader("m\nRead.\n\n\n"), cancel}, review.OpenUnits(a.Units))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, map[string]review.Answer{"s/1-c.a": review.Met}, k.answers())
}

// A watcher does something when it is told a word.
type watcher struct {
	word string
	then func()
	told bool
}

func (w *watcher) Write(b []byte) (int, error) {
	if !w.told && bytes.Contains(b, []byte(w.word)) {
		w.told = true
		w.then()
	}
	return len(b), nil
}

func TestFileChangesMeanwhile(t *testing.T) {
	k := newDesk(t)
	k.types(nil, "m", "Read.", "", "", "q")
	mine := k.sits(io.Discard).Keeper
	k.types(nil, "m", "Read that, too.", "", "", "q") // somebody else, at the same time

	r := review.Review{Units: []string{"s/3-f.a"}, Answer: review.Met, Statement: "x", By: review.Person{Name: "Bo", Role: "tester"}, Date: "2026-11-23", Expires: "2027-11-23"}
	require.NoError(t, mine.Put(r, mine.Find("s/3-f.a")))
	assert.Len(t, k.answers(), 3, "nobody's answer is lost")

	r.Units = []string{"s/1-c.b"}
	require.ErrorIs(t, mine.Put(r, nil), review.ErrTaken)
	assert.Equal(t, "Ada", mine.Find("s/1-c.b").By.Name)

	// A file that cannot be read any more is not written over, and the answer is not lost.
	good, err := os.ReadFile(k.out())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(k.out(), []byte("assay: reviews/v1\nhalf an edit"), 0o600))
	in, typing := io.Pipe()
	told := &watcher{word: "NOT SAVED", then: func() {
		assert.NoError(t, os.WriteFile(k.out(), good, 0o600)) // the edit is finished
		go func() { _, _ = io.WriteString(typing, "\n") }()
	}}
	a := &Interview{in: readLines(t.Context(), in), Out: told, Keeper: mine}
	u := &review.Unit{Wanted: k.set.Wanted()[4], Said: mine.Find("s/3-f.a")}
	r.Units, r.Statement = []string{"s/3-f.a"}, "tried again"
	require.NoError(t, a.keep(t.Context(), r, u))
	assert.True(t, told.told)
	assert.Equal(t, "tried again", k.reviews()[2].Statement)
	left, err := filepath.Glob(filepath.Join(k.dir, ".*"))
	require.NoError(t, err)
	assert.Empty(t, left, "nothing is left beside the file")
}

// A template of the largest profile is within the bounds of what is read.
func TestTemplateOfEveryProfile(t *testing.T) {
	k := newDesk(t)
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	standards, err := profiles.Standards(profiles.Embedded(), schemas)
	require.NoError(t, err)
	ids := profiles.List(profiles.Embedded())
	sets, err := profiles.LoadEach(profiles.Embedded(), ids, schemas)
	require.NoError(t, err)
	for i, set := range sets {
		id := ids[i]
		file, err := review.Keep(filepath.Join(t.TempDir(), "r.yaml"), k.d, k.now, About(set, standards), io.Discard)
		require.NoError(t, err)
		entries := review.Template(review.Units(set, k.d, file), k.d, review.Person{}, "", k.day)
		require.NoError(t, file.Add(entries), id)
		for _, r := range entries {
			assert.Equal(t, review.Open, r.Answer, "a template answers nothing")
		}
		if len(entries) == 0 {
			continue
		}
		_, err = review.Read(file.Path, k.d, k.day)
		require.ErrorContains(t, err, "statement: is missing or empty", id)
	}
}
