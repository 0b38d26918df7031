package review_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/profiles"
	"assay/profiles/review"
)

// answered is a whole answer to one unit.
func answered(unit string) review.Review {
	return review.Review{
		Units: []string{unit}, Answer: review.Met, Statement: "Read.", By: review.Person{Name: "Ada", Role: "assessor"},
		Date: "2026-11-23", Expires: "2027-11-23", Rows: []string{"1-AuthMech/AuthMech-1"},
	}
}

func TestKeepersShareAFile(t *testing.T) {
	dir := t.TempDir()
	path, d := filepath.Join(dir, "r.yaml"), aGate(t, dir)
	now := func() time.Time { return today }
	mine, err := review.Keep(path, d, now, nil, io.Discard)
	require.NoError(t, err)
	assert.False(t, mine.Exists())
	theirs, err := review.Keep(path, d, now, nil, io.Discard)
	require.NoError(t, err)

	require.NoError(t, theirs.Put(answered("s/1-c.a"), nil))
	require.NoError(t, mine.Put(answered("s/1-c.b"), nil))
	require.Len(t, mine.File().Reviews, 2, "nobody's answer is lost")

	again := answered("s/1-c.a")
	again.Statement = "Read once more."
	require.ErrorIs(t, mine.Put(again, nil), review.ErrTaken, "it was answered since it was asked")
	require.NoError(t, mine.Put(again, mine.Find("s/1-c.a")))
	require.Len(t, mine.File().Reviews, 2)
	assert.Equal(t, "Read once more.", mine.File().Reviews[0].Statement, "in its place")
	require.NoError(t, mine.Add([]review.Review{answered("s/2-c.a")}))
	f, err := review.Read(path, d, today)
	require.NoError(t, err)
	assert.Equal(t, mine.File().Reviews[1].Units, f.Reviews[1].Units)
	assert.Len(t, f.Reviews, 3)
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	assert.Empty(t, left, "nothing is left beside the file")
}

func TestKeeperSweepsWhatAKillLeft(t *testing.T) {
	dir := t.TempDir()
	stale, other := filepath.Join(dir, ".r.yaml.assay-1"), filepath.Join(dir, ".r.yaml.swp")
	require.NoError(t, os.WriteFile(stale, nil, 0o600))
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	k, err := review.Keep(filepath.Join(dir, "r.yaml"), aGate(t, dir), later, nil, io.Discard)
	require.NoError(t, err)
	require.NoError(t, k.Writable())
	assert.NoFileExists(t, stale)
	assert.FileExists(t, other, "an editor's file is not ours")
	assert.NoFileExists(t, k.Path, "nothing was answered")
}

// Each refusal leaves what is there as it is, and says which way out there is.
func TestKeeperRefuses(t *testing.T) {
	dir := t.TempDir()
	d, path := aGate(t, dir), filepath.Join(dir, "r.yaml")
	keep := func(path string) (*review.Keeper, error) {
		return review.Keep(path, d, func() time.Time { return today }, nil, io.Discard)
	}
	theirs := "assay: reviews/v1\nproduct: {manufacturer: Acme, model: Gate 8, firmware: \"1\"}\nreviews: []\n"
	require.NoError(t, os.WriteFile(path, []byte(theirs), 0o600))
	_, err := keep(path)
	require.ErrorIs(t, err, review.ErrOther)
	require.ErrorContains(t, err, "is Acme Gate 8, firmware 1, but the dossier is about Acme Gate 7, firmware 2.30")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, theirs, string(b))

	_, err = keep(dir)
	require.ErrorIs(t, err, review.ErrFile)

	k, err := keep(filepath.Join(dir, "nowhere", "r.yaml"))
	require.NoError(t, err)
	require.ErrorIs(t, k.Writable(), review.ErrFolder)
	require.ErrorIs(t, k.Put(answered("s/1-c.a"), nil), review.ErrFolder)

	k, err = keep(filepath.Join(dir, "large.yaml"))
	require.NoError(t, err)
	large := answered("s/1-c.a")
	large.Statement = strings.Repeat("many words ", 200_000)
	require.ErrorIs(t, k.Put(large, nil), review.ErrSize)
	assert.NoFileExists(t, k.Path)

	if runtime.GOOS == "linux" {
		taken := filepath.Join(dir, "taken.yaml")
		k, err = keep(taken)
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(taken, 0o700)) // a file cannot be put in the place of a folder
		require.ErrorIs(t, k.Add([]review.Review{answered("s/1-c.a")}), review.ErrDisk)
	}
}

func TestMisfit(t *testing.T) {
	tree := []profiles.Node{{ID: "DN-1", Asks: "In scope?", Yes: "DN-2", No: profiles.OutcomeNotApplicable}, {ID: "DN-2", Asks: "Kept?", Yes: profiles.OutcomePass, No: profiles.OutcomeFail}}
	pass, fail, outside := review.Item{Name: "p", Path: []string{"yes", "yes"}}, review.Item{Name: "f", Path: []string{"yes", "no"}}, review.Item{Name: "o", Path: []string{"no"}}
	for _, c := range []struct {
		verdicts string
		answer   review.Answer
		items    []review.Item
		want     string
	}{
		{"A", review.Met, []review.Item{pass, outside}, ""},
		{"A", review.Met, []review.Item{outside}, "no item passes the tree: it cannot be met"},
		{"A", review.Met, []review.Item{pass, fail}, "the tree ends in FAIL for f: it cannot be met"},
		{"B", review.Met, []review.Item{pass, outside}, "the tree does not pass for o: it cannot be met"},
		{"A", review.NotMet, []review.Item{pass, fail}, ""},
		{"A", review.NotApplicable, nil, ""},
		{"A", review.NotApplicable, []review.Item{pass}, "the tree passes for p: it is applicable"},
		{"A", review.Met, []review.Item{{Name: "x", Path: []string{"perhaps"}}}, `item x: item x: answer 1 is "perhaps", wants yes or no`},
	} {
		assert.Equal(t, c.want, review.Misfit(profiles.Case{Tree: tree, Verdicts: c.verdicts}, c.answer, c.items))
	}
}
