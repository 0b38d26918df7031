package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence/stamptest"
)

// TestRecipeWithPublicTools lets the README's script, which has nothing of this program, check what it sealed.
func TestRecipeWithPublicTools(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "unzip", "sha256sum", "jq", "openssl", "xxd", "awk"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program + ": apt-get install unzip jq openssl xxd")
		}
	}
	s, a := newSealed(t, ""), stamptest.New(t, time.Now)
	script, err := filepath.Abs("testdata/check.sh")
	require.NoError(t, err)
	check := func(args ...string) (string, error) {
		b, err := exec.CommandContext(t.Context(), "sh", append([]string{script}, args...)...).CombinedOutput()
		return string(b), err
	}
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
