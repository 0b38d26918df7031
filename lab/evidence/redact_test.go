package evidence

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedactedCopyProvesTheSameRoot(t *testing.T) {
	p := newPeople(t)
	_, path := sealRun(t, p.lab)
	_, err := Amend(t.Context(), path, p.reviewer.signer, amendment(AmendReview, RoleReviewer, ""))
	require.NoError(t, err)
	whole, err := VerifyBy(t.Context(), path, p.trust())
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "public.assay")
	require.NoError(t, Redact(t.Context(), path, out, []string{"capture.pcapng", "profile/same.yaml"}, []uint64{7, 6, 7}))
	e, err := VerifyBy(t.Context(), out, p.trust())
	require.NoError(t, err)
	require.True(t, e.Redacted)
	require.Equal(t, whole.Root, e.Root)
	require.Equal(t, whole.Statement, e.Statement)
	require.True(t, e.Amendments[0].Checked)
	require.Equal(t, []string{"record 6", "record 7", "profile/baseline.yaml", "profile/same.yaml", "capture.pcapng"}, e.Withheld,
		"two names of one file go together")
	require.Equal(t, "assay: dossier/v1\n", content(t, e, "dossier.yaml"))
	_, err = e.Artefact("capture.pcapng")
	require.ErrorIs(t, err, ErrWithheld)
	b := read(t, out)
	require.NotContains(t, string(b), "packet ")
	require.NotContains(t, string(b), "<no> & never")

	again := filepath.Join(t.TempDir(), "again.assay")
	require.ErrorIs(t, Redact(t.Context(), out, again, []string{"dossier.yaml"}, nil), ErrRedaction)
	_, err = Amend(t.Context(), out, p.lab.signer, amendment(AmendCorrection, RoleOperator, ""))
	require.ErrorContains(t, err, "redacted copy")
	for name, c := range map[string]struct {
		names   []string
		records []uint64
		want    string
	}{
		"nothing":     {nil, nil, "nothing is named"},
		"no artefact": {[]string{"x"}, nil, `no artefact "x"`},
		"no record":   {nil, []uint64{11}, "record 11 of 10"},
		"the end":     {nil, []uint64{10}, "of kind end"},
		"a step":      {nil, []uint64{5}, "of kind step"},
		"a file":      {nil, []uint64{2}, "of kind artefact"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			err := Redact(t.Context(), path, again, c.names, c.records)
			require.ErrorIs(t, err, ErrRedaction)
			require.ErrorContains(t, err, c.want)
			require.NoFileExists(t, again)
		})
	}
	require.Error(t, Redact(t.Context(), path, out, []string{"capture.pcapng"}, nil), "never over a file")
}

// TestForgedRedaction leaves out more than is said, or puts something else into its place.
func TestForgedRedaction(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	out := filepath.Join(t.TempDir(), "public.assay")
	require.NoError(t, Redact(t.Context(), path, out, []string{"capture.pcapng"}, []uint64{7}))
	good := splitBundle(t, read(t, out))
	edit := func(at int, old, with string) []entryBytes {
		list := append([]entryBytes{}, good...)
		require.Contains(t, string(list[at].b), old)
		list[at].b = bytes.Replace(list[at].b, []byte(old), []byte(with), 1)
		return list
	}
	n := len(good) - 1
	leaf := string(good[1].b[bytes.Index(good[1].b, []byte(`{"withheld":"`))+13:])[:64]
	lines := bytes.SplitAfter(good[1].b, []byte("\n"))
	for name, c := range map[string]struct {
		list []entryBytes
		want string
	}{
		"marker gone":    {good[:n], "is a redacted copy"},
		"marker lies":    {edit(n, `"records":[7]`, `"records":[6,7]`), "does not say what is missing"},
		"marker spaced":  {edit(n, `"records":[7]`, `"records": [7]`), "not in the form"},
		"one file more":  {append(append([]entryBytes{}, good[:2]...), good[3:]...), "does not say what is missing"},
		"another leaf":   {edit(1, leaf, strings.Repeat("ab", 32)), "its leaf is not the one"},
		"observation":    {edit(1, string(lines[5]), `{"withheld":"`+strings.Repeat("ab", 32)+"\"}\n"), "does not say what is missing"},
		"marker on more": {append(splitBundle(t, read(t, path)), entryBytes{redactionName, []byte(`{"assay":"redaction/v1","files":[],"records":[]}` + "\n")}), "does not say what is missing"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			_, err := Verify(t.Context(), write(t, joinBundle(t, c.list)), p.keys())
			require.Contains(t, requireBroken(t, err).Why, c.want)
		})
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, journalName), good[1].b)
	_, err := Open(dir)
	require.Contains(t, requireBroken(t, err).Why, "a run's own folder holds everything")
}

// TestSaltsHideRecords shows that two records of the same words have no leaf in common, and that only kinds that can be left out are salted.
func TestSaltsHideRecords(t *testing.T) {
	j := startRun(t, t.TempDir())
	must(t, j, KindNote, nil)
	require.NoError(t, j.Close())
	e, err := Open(j.Dir())
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, r := range e.Records {
		switch r.Kind {
		case KindNote, KindObservation:
			require.Len(t, r.Salt, 32)
			require.False(t, seen[r.Salt])
			seen[r.Salt] = true
		default:
			require.Empty(t, r.Salt)
		}
	}
	require.Len(t, seen, 3)
	_, err = parseLine([]byte(`{"seq":1,"time":"2026-03-01T09:00:02Z","kind":"begin","prev":"` + genesis + `","salt":"ab","body":{}}`))
	require.ErrorContains(t, err, "salt")
	_, err = parseLine([]byte(`{"seq":1,"time":"2026-03-01T09:00:02Z","kind":"note","prev":"` + genesis + `","body":{}}`))
	require.NoError(t, err, "journals of before have none")
}
