package review_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/profiles/dossier"
	"assay/profiles/review"
)

// aGate is a dossier with something to cite.
func aGate(t testing.TB, dir string) *dossier.Dossier {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manual.pdf"), []byte("read me"), 0o600))
	d, err := dossier.Parse("gate.yaml", []byte(`assay: dossier/v1
product: {manufacturer: Acme, model: Gate 7, firmware: "2.30"}
units: [{id: u1}]
ixit:
  1-AuthMech: [{id: AuthMech-1, description: The owner logs in.}]
documents: [{id: manual, title: The manual, file: manual.pdf}]
`), dir)
	require.NoError(t, err)
	return d
}

// aFile is reviews with every kind of text in them.
func aFile() *review.File {
	by := review.Person{Name: "Zoë O'Neill: lead", Role: "yes", Organisation: "#1 Lab, Ltd."}
	return &review.File{
		Assay:   review.Version,
		Product: review.Product{Manufacturer: "Acme", Model: "Gate 7", Firmware: "2.30"},
		Reviews: []review.Review{
			{
				Units: []string{"etsi-en-303-645/5.1-1-1.a", "etsi-en-303-645/5.1-1-1.b"}, Answer: review.Met, By: by, Date: "2026-11-20", Expires: "2027-11-20",
				Statement: "Chapter 4 says that the twelve characters are drawn by a generator: \"SP 800-90A\". # It fits what the label of both units shows.",
				Rows:      []string{"1-AuthMech/AuthMech-1"},
				Evidence:  []review.Evidence{{Document: "manual"}, {File: "manual.pdf", Title: "12"}},
			},
			{
				Units: []string{"en-18031/ACM-1-conceptual.a"}, Answer: review.NotMet, By: review.Person{Name: "A", Role: "B"}, Date: "2026-11-20", Expires: "2026-11-20",
				Statement: "first line\n\n  - indented: like YAML\n# not a comment\n",
				Items: []review.Item{
					{Name: "update service", Path: []string{"no", "no", "no", "yes"}, Because: "its TLS asks for a certificate"},
					{Name: "- [x] {y}", Path: []string{"yes"}, Because: "trailing space \n and\ttab\u2028\U0001f600"},
				},
			},
		},
	}
}

func TestRenderReadsBack(t *testing.T) {
	dir := t.TempDir()
	d := aGate(t, dir)
	f := aFile()
	b, err := review.Render(f, func(unit string) []string { return []string{"about " + unit, "evil\nassay: x\x1b[2J"} })
	require.NoError(t, err)
	assert.Contains(t, string(b), "  # about etsi-en-303-645/5.1-1-1.b\n  # evil assay: x [2J\n  - units: [")
	got, err := review.Parse("r.yaml", b, dir, d, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err, "%s", b)
	require.Len(t, got.Reviews, 2)
	sum := got.Reviews[0].Evidence[0].SHA256
	assert.Len(t, sum, 64)
	for i := range f.Reviews { // what Parse fills in
		f.Reviews[i].Product = f.Product
	}
	f.Dir = dir
	f.Reviews[0].Evidence[0].SHA256, f.Reviews[0].Evidence[1].SHA256 = sum, sum
	assert.Equal(t, f, got)

	again, err := review.Render(got, nil)
	require.NoError(t, err)
	twice, err := review.Parse("r.yaml", again, dir, d, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err, "%s", again)
	assert.Equal(t, got, twice)
}

func TestRenderRefusesWhatCannotBeReadBack(t *testing.T) {
	f := aFile()
	f.Reviews[0].Statement = "not \xff text"
	_, err := review.Render(f, nil)
	require.ErrorContains(t, err, "write reviews: a text in it cannot be written as YAML")

	f = aFile()
	f.Reviews[0].Statement = strings.Repeat("x", 2<<20)
	_, err = review.Render(f, nil)
	require.ErrorContains(t, err, "more than the 1048576 that are read")
}

func TestCite(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "reviews"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "proof.txt"), []byte("abc"), 0o600))
	e, err := review.Cite(filepath.Join(dir, "reviews"), filepath.Join(dir, "proof.txt"))
	require.NoError(t, err)
	assert.Equal(t, review.Evidence{File: "../proof.txt", SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}, e)
	_, err = review.Cite(dir, filepath.Join(dir, "nothing.txt"))
	require.ErrorContains(t, err, "nothing.txt does not exist")
	_, err = review.Cite(dir, dir)
	require.ErrorContains(t, err, "is not a file")
}

// Whatever a reviewer types, and whatever a comment says of it, is read back as it was.
func FuzzRender(f *testing.F) {
	for _, s := range []string{"met", "a: b", "- x", "#", "|\n x", " \n", "yes", "1e5", "0x1", "'", "\"\\", "{a, b}", "\u2028\u0085\ufeff", "a\n\n b\n", "~", "é\x00",
		"a long text of words that goes on and on until it has to go on in the next line, and there: it begins with # or - or ? x",
		"a long text of words that goes on and on until it has to go on in the next line, and there: it begins with # or\n- or ? x\n"} {
		f.Add(s, "name", "a comment")
		f.Add("statement", s, s)
	}
	dir := f.TempDir()
	d := aGate(f, dir)
	day := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, statement, name, about string) {
		file := aFile()
		r := &file.Reviews[1]
		r.Statement, r.By.Name, r.Items[0].Name, r.Items[0].Because = statement, name, name, statement
		file.Reviews[0].Evidence[1].Title, file.Reviews[0].By.Organisation = name, name
		b, err := review.Render(file, func(string) []string { return []string{about} })
		if err != nil {
			if utf8.ValidString(statement) && utf8.ValidString(name) && len(statement)+len(name) < 1000 {
				t.Fatalf("%v: %q, %q", err, statement, name)
			}
			return
		}
		if strings.TrimSpace(statement) == "" || strings.TrimSpace(name) == "" {
			return // Parse refuses it
		}
		got, err := review.Parse("r.yaml", b, dir, d, day)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		g := got.Reviews[1]
		if g.Statement != statement || g.By.Name != name || g.Items[0].Name != name || g.Items[0].Because != statement ||
			got.Reviews[0].Evidence[1].Title != name || got.Reviews[0].By.Organisation != name {
			t.Fatalf("read back something else:\n%s", b)
		}
	})
}
