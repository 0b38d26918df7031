package review_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// today is the day on which the tests read reviews.
var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// shelf is a folder with what the files of testdata cite, and the dossier that they are about.
func shelf(t testing.TB) (string, *dossier.Dossier) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "proof.txt"), []byte("abc"), 0o600))
	d := aGate(t, dir)
	d.Documents = append(d.Documents, dossier.Document{ID: "online", Title: "A page", URL: "https://acme.example/"})
	return dir, d
}

func read(t testing.TB, name string) (*review.File, error) {
	dir, d := shelf(t)
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	f, err := review.Parse("r.yaml", b, dir, d, today)
	if err != nil {
		return nil, &relative{err, dir}
	}
	return f, nil
}

// relative is an error without the name of the test's folder.
type relative struct {
	error
	dir string
}

func (r *relative) Error() string {
	return strings.ReplaceAll(r.error.Error(), filepath.ToSlash(r.dir), "DIR")
}

func TestParse(t *testing.T) {
	f, err := read(t, "valid.yaml")
	require.NoError(t, err)
	require.Len(t, f.Reviews, 2)
	first := f.Reviews[0]
	assert.Equal(t, f.Product, first.Product, "each knows what it is about")
	assert.Equal(t, []review.Evidence{
		{Document: "manual", Title: "The manual", SHA256: "3f22095641508576e91dc7c6c7f7e08a093985d53ea998043c6619ad240dc92c"},
		{File: "proof.txt", SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	}, first.Evidence, "every file is hashed")
	assert.True(t, first.About("etsi-en-303-645/5.1-1-1.a"))
	assert.False(t, first.About("etsi-en-303-645/5.1-1-1.b"))
	date, last, err := first.Days()
	require.NoError(t, err)
	assert.Equal(t, "2026-11-20 2027-11-20", date.Format(time.DateOnly)+" "+last.Format(time.DateOnly))
	answers, err := f.Reviews[1].Items[0].Answered()
	require.NoError(t, err)
	assert.Equal(t, []bool{false, false, true}, answers)
}

func TestInvalid(t *testing.T) {
	rules := invalid()
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	require.NoError(t, err)
	assert.Len(t, files, len(rules), "one file for each rule and one rule for each file")
	for _, r := range rules {
		t.Run(r.rule, func(t *testing.T) {
			_, err := read(t, "invalid-"+r.rule+".yaml")
			assert.EqualError(t, err, r.want)
		})
	}
}

func TestRead(t *testing.T) {
	dir, d := shelf(t)
	b, err := os.ReadFile("testdata/valid.yaml")
	require.NoError(t, err)
	path := filepath.Join(dir, "reviews.yaml")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	f, err := review.Read(path, d, today)
	require.NoError(t, err)
	assert.Equal(t, dir, f.Dir, "files are meant from beside the reviews")
	assert.Len(t, f.Reviews, 2)
	_, err = review.Read(path, d, time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC))
	assert.ErrorContains(t, err, "reviews[0].date: 2026-11-20 has not come yet")
	_, err = review.Read(path+"x", d, today)
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = review.Read(dir, d, today)
	assert.ErrorContains(t, err, "read reviews")

	require.NoError(t, os.WriteFile(path, []byte("# "+strings.Repeat("x", 10<<20)), 0o600))
	_, err = review.Read(path, d, today)
	assert.EqualError(t, err, path+": has 1048577 bytes, more than the 1048576 that are read: split it or remove what does not belong")
}

func TestBounds(t *testing.T) {
	dir, d := shelf(t)
	for name, c := range map[string]struct{ text, want string }{
		"ten megabytes": {"# " + strings.Repeat("x", 10<<20), "r.yaml: has 10485762 bytes, more than the 1048576 that are read: split it or remove what does not belong"},
		"deep flow":     {"reviews: " + strings.Repeat("[", 10_000), "r.yaml:1:42: is nested deeper than 32 levels"},
		"many words":    {"reviews: [" + strings.Repeat("a,", 50_000) + "]", "r.yaml: has 100004 YAML tokens, more than the 40000 that are read: split it"},
		"an alias":      {"assay: &a reviews/v1\nproduct: *a\n", "r.yaml:1:8: anchors, aliases and merge keys are not read: write the value out"},
	} {
		_, err := review.Parse("r.yaml", []byte(c.text), dir, d, today)
		assert.EqualError(t, err, c.want, name)
	}
	var deep strings.Builder
	for i := range 64 {
		deep.WriteString(strings.Repeat(" ", i) + "reviews:\n")
	}
	_, err := review.Parse("r.yaml", []byte(deep.String()), dir, d, today)
	assert.ErrorContains(t, err, "is nested deeper than 32 levels")

	// A cited file may be large, but not without bound; it is not read to find out.
	big, err := os.Create(filepath.Join(dir, "big.img"))
	require.NoError(t, err)
	require.NoError(t, big.Truncate(64<<20+1))
	require.NoError(t, big.Close())
	b, err := os.ReadFile("testdata/valid.yaml")
	require.NoError(t, err)
	_, err = review.Parse("r.yaml", []byte(strings.Replace(string(b), "file: proof.txt", "file: big.img", 1)), dir, d, today)
	assert.EqualError(t, err, "r.yaml:13:16: reviews[0].evidence[1].file: "+filepath.ToSlash(filepath.Join(dir, "big.img"))+" has more than 67108864 bytes")
}

// A digest is a number: how its letters are written says nothing.
func TestDigestInCapitals(t *testing.T) {
	dir, d := shelf(t)
	b, err := os.ReadFile("testdata/valid.yaml")
	require.NoError(t, err)
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	f, err := review.Parse("r.yaml", []byte(strings.Replace(string(b), sum, strings.ToUpper(sum), 1)), dir, d, today)
	require.NoError(t, err)
	assert.Equal(t, sum, f.Reviews[0].Evidence[1].SHA256)
}

func TestGrounded(t *testing.T) {
	said := review.Review{Statement: "x", By: review.Person{Name: "A"}}
	cited, shown := said, said
	cited.Rows = []string{"1-AuthMech/AuthMech-1"}
	shown.Evidence = []review.Evidence{{File: "proof.txt"}}
	mute, nobody, unfilled := cited, cited, cited
	mute.Statement, nobody.By.Name, unfilled.Statement = " ", "", dossier.Placeholder
	for name, c := range map[string]struct {
		review review.Review
		wants  profiles.Class
		want   string
	}{
		"a row":                  {cited, profiles.Document, ""},
		"a file":                 {shown, profiles.Document, ""},
		"read, but what":         {said, profiles.Document, "it cites neither a row of the dossier nor a document"},
		"tried by hand":          {said, profiles.Attestation, ""},
		"no statement":           {mute, profiles.Attestation, "it has no statement or no name"},
		"no name":                {nobody, profiles.Document, "it has no statement or no name"},
		"what the template says": {unfilled, profiles.Document, "it has no statement or no name"},
	} {
		err := c.review.Grounded(c.wants)
		if c.want == "" {
			assert.NoError(t, err, name)
			continue
		}
		assert.EqualError(t, err, c.want, name)
	}
}

// A review from a record is read as it is; its days and walks are looked at again.
func TestOfARecord(t *testing.T) {
	_, _, err := review.Review{Date: "soon", Expires: "2027-01-01"}.Days()
	assert.EqualError(t, err, "its date cannot be read")
	_, _, err = review.Review{Date: "2026-01-01", Expires: "late"}.Days()
	assert.EqualError(t, err, "its expiry cannot be read")
	_, err = review.Item{Name: "door", Path: []string{"yes", "YES"}}.Answered()
	assert.EqualError(t, err, `item door: answer 2 is "YES", wants yes or no`)
}

// What a file answers and a profile does not ask is told: a typing error would else be an answer that nobody misses.
func TestStrangers(t *testing.T) {
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	sets, err := profiles.LoadEach(profiles.Embedded(), []string{"etsi-en-303-645", "baseline"}, schemas)
	require.NoError(t, err)
	f, err := read(t, "valid.yaml")
	require.NoError(t, err)
	assert.Equal(t, []string{"en-18031/ACM-1-conceptual.a", "s/1-1.a"}, f.Strangers(sets[0]))
	assert.Len(t, f.Strangers(sets[1]), 3, "the baseline asks nobody")
}

func FuzzParse(f *testing.F) {
	b, err := os.ReadFile("testdata/valid.yaml")
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte("assay: reviews/v1\nreviews: [{units: [a/b.c], evidence: [{file: ../../etc/passwd}]}]\n"))
	dir, d := shelf(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := review.Parse("r.yaml", b, dir, d, today)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.Equal(t, review.ProductOf(d), file.Product)
		require.NotEmpty(t, file.Reviews)
		seen := map[string]bool{}
		for _, r := range file.Reviews {
			require.NotEmpty(t, r.Units)
			require.Contains(t, review.Answers, r.Answer)
			require.NotEmpty(t, strings.TrimSpace(r.By.Name))
			date, last, err := r.Days()
			require.NoError(t, err)
			require.False(t, date.After(today))
			require.False(t, last.Before(date))
			for _, u := range r.Units {
				require.False(t, seen[u], "%s is answered twice", u)
				seen[u] = true
			}
			for _, i := range r.Items {
				_, err := i.Answered()
				require.NoError(t, err)
			}
		}
	})
}
