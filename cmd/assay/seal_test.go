package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/lab/evidence"
	"assay/lab/evidence/stamptest"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/profiles/review"
	"assay/reports"
)

// A sealed is a run without a device, sealed under a lab's key: a standard of units for reviewers.
type sealed struct {
	t                   *testing.T
	dir, file, key, pub string
}

// newSealed seals a run whose profile says more than its standard.
func newSealed(t *testing.T, more string, said ...review.Review) *sealed {
	t.Helper()
	return sealedWith(t, more, nil, func(verdicts []byte) []byte { return verdicts }, said...)
}

// sealedWith seals a run with more files of a profile, and with the verdicts that change makes of the judge's.
func sealedWith(t *testing.T, more string, files map[string]string, change func([]byte) []byte, said ...review.Review) *sealed {
	t.Helper()
	return sealedAfter(t, more, func(j *evidence.Journal) {
		for name, text := range files {
			_, err := j.AddBytes(lab.FileProfile+name, "text/plain", []byte(text))
			require.NoError(t, err)
		}
		for _, r := range said {
			_, err := j.Append(evidence.KindReview, r)
			require.NoError(t, err)
		}
	}, change)
}

// sealedAfter seals a run in which more happens.
func sealedAfter(t *testing.T, more string, happens func(*evidence.Journal), change func([]byte) []byte) *sealed {
	t.Helper()
	return sealedAs(t, lab.Begin{Run: "run"}, more, happens, change)
}

// sealedAs seals a run that calls itself something.
func sealedAs(t *testing.T, b lab.Begin, more string, happens func(*evidence.Journal), change func([]byte) []byte) *sealed {
	t.Helper()
	s := &sealed{t: t, dir: t.TempDir()}
	s.file = filepath.Join(s.dir, "run.assay")
	s.key, s.pub = keyPair(t, "lab")
	standard, err := os.ReadFile("interview/testdata/standard.yaml")
	require.NoError(t, err)
	set, err := profiles.Load(fstest.MapFS{
		"standards/s.yaml": {Data: standard},
		"profiles/p.yaml":  {Data: []byte("assay: profile/v1\nid: p\nversion: \"1\"\ntitle: P\nstandards: [{standard: s}]\n" + more)},
	}, "p", nil)
	require.NoError(t, err)
	gate, err := os.ReadFile("interview/testdata/dossier.yaml")
	require.NoError(t, err)
	written(t, s.dir, "manual.txt", "abc")
	d, err := dossier.Parse("gate.yaml", gate, s.dir)
	require.NoError(t, err)
	dir := filepath.Join(s.dir, "run")
	j, err := evidence.Create(dir, time.Now)
	require.NoError(t, err)
	p, err := plan.Make(d, set, nil, nil, nil)
	require.NoError(t, err)
	b.Operator, b.Product, b.Profile, b.Edition, b.Key = "O. Perator", d.Product, "p", "1", "lab"
	require.NoError(t, lab.Open(j, b, d, set, nil, map[string]string{"mode": "none"}, p))
	_, err = j.AddBytes("device.log", "text/plain", []byte("it says: my owner is Jane\n"))
	require.NoError(t, err)
	happens(j)
	ev, err := evidence.Open(dir)
	require.NoError(t, err)
	verdicts, _ := reports.Verdicts(ev) // none of a profile that cannot be read: change brings its own
	_, err = j.AddBytes(lab.FileVerdicts, "application/json", change(verdicts))
	require.NoError(t, err)
	_, err = j.Append(evidence.KindEnd, lab.End{Outcome: "finished"})
	require.NoError(t, err)
	require.NoError(t, j.Close())
	signer, err := evidence.LoadSigner(s.key, nil)
	require.NoError(t, err)
	require.NoError(t, evidence.Seal(t.Context(), dir, s.file, signer))
	return s
}

// keyPair makes two files.
func keyPair(t *testing.T, name string) (private, public string) {
	t.Helper()
	dir := t.TempDir()
	a, b, err := evidence.GenerateKey(nil)
	require.NoError(t, err)
	return written(t, dir, name+".key", string(a)), written(t, dir, name+".pub", string(b))
}

// verifies wants an exit code of verify and returns its finding.
func (s *sealed) verifies(code int, more ...string) finding {
	s.t.Helper()
	r := assay(s.t, code, append([]string{"verify", s.file, "--key", s.pub, "--format", "json"}, more...)...)
	var f finding
	require.NoError(s.t, json.Unmarshal([]byte(r.said()), &f))
	return f
}

func TestStampVerb(t *testing.T) {
	t.Parallel()
	s, a := newSealed(t, ""), stamptest.New(t, time.Now)
	require.Nil(t, s.verifies(exitDone).Stamp)
	f := s.verifies(exitUnverified, "--tsa-root", a.Root)
	assert.Equal(t, "time-stamp", f.Broken)
	for address, want := range map[string]string{"": "needs an authority", "ftp://x/": "want http or https", "tsa": "want http or https"} {
		assert.Contains(t, assay(t, exitUnusable, "stamp", s.file, "--tsa", address).told(), want)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	assert.Contains(t, assay(t, exitBench, "stamp", s.file, "--tsa", gone.URL).told(), "the file is as it was")

	assert.Contains(t, assay(t, exitDone, "stamp", s.file, "--tsa", a.URL).said(), "by CN=assay test authority")
	assert.Contains(t, assay(t, exitUnusable, "stamp", s.file, "--tsa", a.URL).told(), "has a time-stamp already")
	f = s.verifies(exitDone)
	require.NotNil(t, f.Stamp)
	assert.False(t, f.Stamp.Checked)
	assert.Contains(t, assay(t, exitDone, "verify", s.file, "--key", s.pub).said(), "NOT CHECKED: name the authority's root")
	assert.True(t, s.verifies(exitDone, "--tsa-root", a.Root).Stamp.Checked)
	for _, format := range []string{"html", "markdown"} {
		assert.Regexp(t, `(?s)Time-stamp\b.*by CN=assay test authority.*tsa-root`, assay(t, exitIncomplete, "report", s.file, "--format", format).said())
	}
	assert.Equal(t, "time-stamp", s.verifies(exitUnverified, "--tsa-root", stamptest.New(t, time.Now).Root).Broken)
	assert.Contains(t, assay(t, exitUnusable, "verify", s.file, "--key", s.pub, "--tsa-root", s.pub).told(), "hint: --tsa-root takes")

	b, err := os.ReadFile(s.file)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(s.file, b, 0o600))
	s.verifies(exitUnverified, "--tsa-root", a.Root)
}

// TestRunsAreStamped runs a device on the reduced bench, which reaches the authority itself.
func TestRunsAreStamped(t *testing.T) {
	t.Parallel()
	a := stamptest.New(t, time.Now)
	assert.Contains(t, assay(t, exitUnusable, "demo", "--require-timestamp", "--out", t.TempDir()).told(), "needs an authority")
	assert.Contains(t, assay(t, exitUnusable, "demo", "--key", "pkcs11:token=lab", "--out", t.TempDir(), "--reduced").told(), "without cgo")
	t.Run("stamped", func(t *testing.T) {
		t.Parallel()
		out := t.TempDir()
		r := assay(t, exitIncomplete, "demo", "--reduced", "--profile", noScanProfile(t), "--out", out, "--tsa", a.URL)
		assert.Contains(t, r.told(), "by CN=assay test authority")
		dir := onlyRun(t, out)
		assay(t, exitDone, "verify", filepath.Join(dir, filepath.Base(dir)+".assay"), "--key", filepath.Join(dir, "lab.pub"), "--tsa-root", a.Root)
	})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for flag, code := range map[string]int{"--quiet": exitIncomplete, "--require-timestamp": exitBench} {
		t.Run(flag[2:], func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			r := assay(t, code, "demo", "--reduced", "--profile", noScanProfile(t), "--out", out, "--tsa", gone.URL, flag)
			assert.Contains(t, r.told(), "ask the authority")
			assert.Contains(t, r.told(), "assay stamp ")
			sealedRun(t, out)
		})
	}
}

// noScanProfile asks little, and little that takes long.
func noScanProfile(t *testing.T) string {
	t.Helper()
	return written(t, t.TempDir(), "short.yaml", `assay: profile/v1
id: short
version: "1"
title: Short
reviews: none
because: no reviewer at hand
standards: [{standard: etsi-en-303-645, requirements: [5.11-1]}]
`)
}

// TestBrokenFilesAreNamed hands every verb that reads evidence a file that was cut, one that was changed and one that is
// something else: each names the file and exits 4, and none writes anything.
func TestBrokenFilesAreNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "")
	whole, err := os.ReadFile(s.file)
	require.NoError(t, err)
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(flipped, []byte(`"kind":"plan"`))+9] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"cut":   {whole[:len(whole)/2], "the file ends inside it"},
		"other": {[]byte("<!doctype html>"), "this is no sealed run"},
		"flip":  {flipped, "journal line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), name+".assay")
			require.NoError(t, os.WriteFile(file, c.b, 0o600))
			said := assay(t, exitUnverified, "verify", file, "--key", s.pub).said()
			assert.Contains(t, said, file+" does NOT verify: ")
			assert.Contains(t, said, c.want)
			for _, args := range [][]string{
				{"report", file}, {"show", file, "o-001"}, {"judge", file, "--profile", "baseline"}, {"diff", file, s.file}, {"diff", s.file, file}, {"review", file},
				{"redact", file, "--out", file + ".public", "--withhold", "device.log"},
				{"amend", file, "--kind", "correction", "--by", "O", "--role", "operator", "--key", s.key, "--reason", "x"},
				{"stamp", file, "--tsa", "http://127.0.0.1:1/"},
			} {
				if name == "flip" && args[0] == "stamp" {
					continue // a time-stamp is over the seal, which is whole
				}
				told := assay(t, exitUnverified, args...).told()
				assert.Contains(t, told, file, args[0])
				assert.Contains(t, told, c.want, args[0])
				assert.Contains(t, told, "hint: `assay verify` tells what is broken", args[0])
			}
			left, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, c.b, left)
			assert.NoFileExists(t, file+".public")
		})
	}
}
