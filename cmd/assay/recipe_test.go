package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/lab/evidence/fulciotest"
	"assay/lab/evidence/stamptest"
)

// recipe finds the README's script and the programs that it needs.
func recipe(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	for _, program := range []string{"sh", "unzip", "sha256sum", "jq", "openssl", "xxd", "awk"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program + ": apt-get install unzip jq openssl xxd")
		}
	}
	script, err := filepath.Abs("testdata/check.sh")
	require.NoError(t, err)
	return func(args ...string) (string, error) {
		b, err := exec.CommandContext(t.Context(), "sh", append([]string{script}, args...)...).CombinedOutput()
		return string(b), err
	}
}

// TestRecipeForCertificates lets the same script check seals under a certificate, of each kind of name.
func TestRecipeForCertificates(t *testing.T) {
	t.Parallel()
	check := recipe(t)
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	for signer, claims := range map[string]map[string]any{
		sealer:                         {"email": sealer, "email_verified": true},
		"spiffe://lab.example/bench/7": {"sub": "spiffe://lab.example/bench/7"},
		"seals":                        {"sub": "seals"},
	} {
		id, err := evidence.ParseIdentityToken(f.Token(t, claims), time.Now())
		require.NoError(t, err)
		k, err := evidence.RequestCertificate(t.Context(), f.URL, id)
		require.NoError(t, err)
		s := newSealed(t, "")
		file := filepath.Join(s.dir, "keyless.assay")
		_, err = evidence.SealStamped(t.Context(), filepath.Join(s.dir, "run"), file, k, a.URL)
		require.NoError(t, err)
		said, err := check(file, f.Root, a.Root, signer, fulciotest.Issuer)
		require.NoError(t, err, said)
		assert.Contains(t, said, "files, chain, tree, seal, time-stamp, certificate hold")
		if signer != sealer {
			continue
		}
		for want, args := range map[string][]string{
			"FAIL signer":  {f.Root, a.Root, signer + "x", fulciotest.Issuer},
			"FAIL issuer":  {f.Root, a.Root, signer, fulciotest.Issuer + "/"},
			"FAIL a cert":  {f.Root, "", signer, fulciotest.Issuer},
			"verification": {fulciotest.New(t, time.Now).Root, a.Root, signer, fulciotest.Issuer},
			"FAILED":       {f.Root, stamptest.New(t, time.Now).Root, signer, fulciotest.Issuer},
		} {
			said, err := check(append([]string{file}, args...)...)
			require.Error(t, err, said)
			assert.Contains(t, said, want)
		}
	}
}

// TestRecipeWithPublicTools lets the README's script, which has nothing of this program, check what it sealed.
func TestRecipeWithPublicTools(t *testing.T) {
	t.Parallel()
	check := recipe(t)
	s, a := newSealed(t, ""), stamptest.New(t, time.Now)
	said, err := check(s.file, s.pub)
	require.NoError(t, err, said)
	assert.Contains(t, said, "files, chain, tree, seal hold")
	assay(t, exitDone, "stamp", s.file, "--tsa", a.URL)
	assay(t, exitDone, "amend", s.file, "--kind", "correction", "--by", "O", "--role", "operator", "--key", s.key, "--reason", "a slip")
	said, err = check(s.file, s.pub, a.Root)
	require.NoError(t, err, said)
	assert.Contains(t, said, "files, chain, tree, seal, time-stamp hold")

	_, other := keyPair(t, "other")
	_, err = check(s.file, other)
	require.Error(t, err)
	_, err = check(s.file, s.pub, stamptest.New(t, time.Now).Root)
	require.Error(t, err)
	b, err := os.ReadFile(s.file)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	_, err = check(written(t, s.dir, "flipped.assay", string(b)), s.pub)
	require.Error(t, err)
}

// TestRecipeWritesNothingElsewhere hands the script archives that would lead it out of its folder, or that hold more than a run.
func TestRecipeWritesNothingElsewhere(t *testing.T) {
	t.Parallel()
	check := recipe(t)
	s := newSealed(t, "")
	whole, err := zip.OpenReader(s.file)
	require.NoError(t, err)
	defer whole.Close()
	victim := written(t, s.dir, "victim", "precious")
	more := []byte("nobody recorded this")
	for name, c := range map[string]struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		"a link":        {"payload", victim, os.ModeSymlink | 0o777, "FAIL these belong to no run"},
		"a known link":  {"seal/timestamp.tsr", victim, os.ModeSymlink | 0o777, "FAIL a link"},
		"a report":      {"report.html", "conformant", 0o644, "FAIL these belong to no run"},
		"twice":         {"tree.json", "{}", 0o644, "FAIL a name is there twice"},
		"of no record":  {fmt.Sprintf("files/%x", sha256.Sum256(more)), string(more), 0o644, "is in no record"},
		"out of folder": {"../x", "x", 0o644, "FAIL these belong to no run"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			for _, f := range whole.File {
				require.NoError(t, w.Copy(f))
			}
			h := &zip.FileHeader{Name: c.name}
			h.SetMode(c.mode)
			to, err := w.CreateHeader(h)
			require.NoError(t, err)
			_, err = to.Write([]byte(c.content))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			file := written(t, t.TempDir(), "x.assay", b.String())
			said, err := check(file, s.pub)
			require.Error(t, err, said)
			assert.Contains(t, said, c.want)
			assay(t, exitUnverified, "verify", file, "--key", s.pub)
			left, err := os.ReadFile(victim)
			require.NoError(t, err)
			assert.Equal(t, "precious", string(left))
		})
	}
}
