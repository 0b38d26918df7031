package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence/fulciotest"
	"assay/lab/evidence/stamptest"
)

const sealer = "seals@lab.example"

// withToken puts an identity token into a process's environment.
func withToken(token string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, tokenVariable+"="+token) }
}

// vouched are the flags of whoever verifies a keyless seal.
func vouched(f *fulciotest.Fulcio, a *stamptest.Authority) []string {
	return []string{"--fulcio-root", f.Root, "--signer", sealer, "--oidc-issuer", fulciotest.Issuer, "--tsa-root", a.Root}
}

// bundleOf is the sealed file in a run's folder.
func bundleOf(dir string) string { return filepath.Join(dir, filepath.Base(dir)+".assay") }

func TestKeylessRun(t *testing.T) {
	t.Parallel()
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	out := t.TempDir()
	args := []string{"demo", "--reduced", "--profile", noScanProfile(t), "--out", out, "--fulcio", f.URL, "--tsa", a.URL}
	r := launch(t, withToken(f.Mail(t, sealer)), args...)
	require.Equal(t, exitIncomplete, r.code())
	assert.Contains(t, r.told(), "signed by "+sealer+", vouched for by "+fulciotest.Issuer)
	assert.Contains(t, r.told(), "--signer "+sealer+" --oidc-issuer "+fulciotest.Issuer+" --tsa-root ROOT.pem")
	file := bundleOf(onlyRun(t, out))
	verify := func(code int, more ...string) *running {
		return assay(t, code, append([]string{"verify", file}, more...)...)
	}
	assert.Contains(t, verify(exitDone, vouched(f, a)...).said(), "signed by "+sealer+", vouched for by "+fulciotest.Issuer+", under a certificate of")
	var said finding
	require.NoError(t, json.Unmarshal([]byte(verify(exitDone, append(vouched(f, a), "--format", "json")...).said()), &said))
	require.True(t, said.Signer.Checked)
	assert.Contains(t, verify(exitDone, "--key", filepath.Join(onlyRun(t, out), "lab.pub")).said(), "NOT CHECKED: name --fulcio-root")
	assert.Contains(t, slurp(filepath.Join(onlyRun(t, out), "report.html")), "a key of minutes, certified by the lab")

	replaced := func(flag, with string) []string {
		all := vouched(f, a)
		for i := range all {
			if all[i] == flag {
				all[i+1] = with
			}
		}
		return all
	}
	_, stranger := keyPair(t, "stranger")
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{exitUnverified, replaced("--signer", "boss@lab.example"), "signed by seals@lab.example, want boss@lab.example"},
		{exitUnverified, replaced("--oidc-issuer", "https://other.example"), "vouched for the signer, want https://other.example"},
		{exitUnverified, replaced("--fulcio-root", fulciotest.New(t, time.Now).Root), "leads to no Fulcio"},
		{exitUnverified, replaced("--tsa-root", stamptest.New(t, time.Now).Root), "no authority that was given"},
		{exitUnverified, []string{"--key", stranger}, "signed under a certificate of"},
		{exitUnusable, vouched(f, a)[:6], "needs --tsa-root"},
		{exitUnusable, vouched(f, a)[2:], "go together"},
		{exitUnusable, replaced("--fulcio-root", stranger), "hint: --fulcio-root takes"},
		{exitUnusable, nil, "no public key given"},
	} {
		r := verify(c.code, c.args...)
		assert.Contains(t, r.said()+r.told(), c.want)
	}
}

func TestKeylessIsRefusedUpFront(t *testing.T) {
	t.Parallel()
	f := fulciotest.New(t, time.Now)
	good := f.Mail(t, sealer)
	keyFile, _ := keyPair(t, "lab")
	old := f.Token(t, map[string]any{"sub": "seals", "exp": time.Now().Add(-time.Hour).Unix()})
	for name, c := range map[string]struct {
		token string
		args  []string
		want  string
	}{
		"no time-stamp":   {good, []string{"--fulcio", f.URL}, "--fulcio needs a time-stamp authority"},
		"and a key":       {good, []string{"--fulcio", f.URL, "--tsa", "http://127.0.0.1:1", "--key", keyFile}, "two ways to seal"},
		"no token":        {"", []string{"--fulcio", f.URL, "--tsa", "http://127.0.0.1:1"}, "there is no identity token"},
		"no such file":    {"", []string{"--fulcio", f.URL, "--tsa", "http://127.0.0.1:1", "--identity-token-file", "gone"}, "read the identity token"},
		"a file alone":    {"", []string{"--identity-token-file", "gone"}, "is for a Fulcio"},
		"an old token":    {old, []string{"--fulcio", f.URL, "--tsa", "http://127.0.0.1:1"}, "it expired at"},
		"no token at all": {"secret", []string{"--fulcio", f.URL, "--tsa", "http://127.0.0.1:1"}, "want a JWT"},
		"in clear":        {good, []string{"--fulcio", "http://fulcio.example", "--tsa", "http://127.0.0.1:1"}, "does not travel in clear"},
		"no address":      {good, []string{"--fulcio", "fulcio", "--tsa", "http://127.0.0.1:1"}, "want https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			r := launch(t, withToken(c.token), append([]string{"demo", "--reduced", "--out", out}, c.args...)...)
			require.Equal(t, exitUnusable, r.code())
			assert.Contains(t, r.told(), c.want)
			assert.Contains(t, r.told(), "assay: hint: ")
			if c.token != "" {
				assert.NotContains(t, r.told(), c.token)
			}
			left, err := os.ReadDir(out)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
	require.Zero(t, f.Asked)
}

// TestKeylessSealLater ends a run while the Fulcio, or the authority, or the token is no good, and seals it later.
func TestKeylessSealLater(t *testing.T) {
	t.Parallel()
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	other := fulciotest.New(t, time.Now)
	for name, c := range map[string]struct {
		fulcio, tsa, token, want string
	}{
		"no fulcio":     {gone.URL, a.URL, f.Mail(t, sealer), "ask the Fulcio for a certificate"},
		"no authority":  {f.URL, gone.URL, f.Mail(t, sealer), "is nothing without a time-stamp"},
		"another token": {f.URL, a.URL, other.Mail(t, sealer), "it answers 401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			token := written(t, t.TempDir(), "token", c.token)
			r := assay(t, exitBench, "demo", "--reduced", "--profile", noScanProfile(t), "--out", out, "--fulcio", c.fulcio, "--tsa", c.tsa, "--identity-token-file", token)
			assert.Contains(t, r.told(), c.want)
			assert.Contains(t, r.told(), "assay resume ")
			dir := onlyRun(t, out)
			assert.NoFileExists(t, bundleOf(dir))
			assert.Contains(t, assay(t, exitUnusable, "resume", dir).told(), "under a certificate of the lab's Fulcio")
			assert.Contains(t, assay(t, exitUnusable, "resume", dir, "--fulcio", f.URL, "--identity-token-file", token).told(), "needs a time-stamp authority")
			require.NoError(t, os.WriteFile(token, []byte(f.Mail(t, sealer)+"\n"), 0o600))
			assay(t, exitIncomplete, "resume", dir, "--fulcio", f.URL, "--tsa", a.URL, "--identity-token-file", token)
			assay(t, exitDone, append([]string{"verify", bundleOf(dir)}, vouched(f, a)...)...)
			assert.NoFileExists(t, filepath.Join(dir, "journal.jsonl"))
		})
	}
}
