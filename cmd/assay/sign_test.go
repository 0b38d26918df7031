package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/lab/evidence/stamptest"
)

// documentSigner writes a key and its chain into files.
func documentSigner(t *testing.T, kind string) (key, chain string) {
	t.Helper()
	p, err := cms.NewPKI(cms.PKIOptions{Kind: kind, Intermediate: true, At: time.Now()})
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(p.Signer.Key)
	require.NoError(t, err)
	var all bytes.Buffer
	for _, c := range p.Chain() {
		require.NoError(t, pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	dir := t.TempDir()
	return written(t, dir, "signer.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), written(t, dir, "chain.pem", all.String())
}

func TestSignedReport(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("pdfsig")
	if err != nil {
		t.Skip("needs pdfsig (Debian: poppler-utils)")
	}
	s, a := newSealed(t, ""), stamptest.New(t, time.Now)
	code := launch(t, nil, "report", s.file, "--format", "pdf", "--out", filepath.Join(s.dir, "plain.pdf")).code()
	for _, kind := range []string{"ecdsa-p256", "rsa-2048"} {
		key, chain := documentSigner(t, kind)
		for _, more := range [][]string{nil, {"--tsa", a.URL}} {
			out := filepath.Join(t.TempDir(), "r.pdf")
			assay(t, code, append([]string{"report", s.file, "--format", "pdf", "--out", out, "--sign-key", key, "--sign-cert", chain}, more...)...)
			require.True(t, strings.HasPrefix(slurp(out), slurp(filepath.Join(s.dir, "plain.pdf"))), "the document itself is the same")
			cmd := exec.CommandContext(t.Context(), program, "-nocert", out)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			said, _ := cmd.CombinedOutput()
			assert.Contains(t, string(said), "Signature is Valid")
			assert.Contains(t, string(said), "Total document signed")
			assay(t, code, append([]string{"report", s.file, "--format", "pdf", "--sign-key", key, "--sign-cert", chain}, more...)...)
		}
	}
}

func TestSignedReportRefuses(t *testing.T) {
	t.Parallel()
	s := newSealed(t, "")
	key, chain := documentSigner(t, "ecdsa-p256")
	other, otherChain := documentSigner(t, "ecdsa-p256")
	_, public := keyPair(t, "stranger")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	many := written(t, t.TempDir(), "many.pem", strings.Repeat(slurp(chain), 4))
	long := written(t, t.TempDir(), "long.pem", strings.Repeat("x", maxChainFile+1))
	torn := written(t, t.TempDir(), "torn.pem", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
	for name, c := range map[string]struct {
		code int
		args []string
		want string
	}{
		"no certificate":   {exitUnusable, []string{"--sign-key", key}, "go together"},
		"no key":           {exitUnusable, []string{"--sign-cert", chain}, "go together"},
		"nothing to stamp": {exitUnusable, []string{"--tsa", gone.URL}, "go together"},
		"another form":     {exitUnusable, []string{"--sign-key", key, "--sign-cert", chain, "--format", "html"}, "signs a pdf, not html"},
		"no address":       {exitUnusable, []string{"--sign-key", key, "--sign-cert", chain, "--tsa", "tsa"}, "want http or https"},
		"another key":      {exitUnusable, []string{"--sign-key", other, "--sign-cert", chain}, "the key is not that of the first certificate"},
		"another chain":    {exitUnusable, []string{"--sign-key", key, "--sign-cert", otherChain}, "the key is not that of the first certificate"},
		"key is gone":      {exitUnusable, []string{"--sign-key", key + "x", "--sign-cert", chain}, "load signer"},
		"chain is gone":    {exitUnusable, []string{"--sign-key", key, "--sign-cert", chain + "x"}, "read the chain"},
		"key in the chain": {exitUnusable, []string{"--sign-key", key, "--sign-cert", key}, "want CERTIFICATE"},
		"public for key":   {exitUnusable, []string{"--sign-key", public, "--sign-cert", chain}, "not a private key"},
		"empty":            {exitUnusable, []string{"--sign-key", key, "--sign-cert", os.DevNull}, "no certificate in PEM"},
		"too many":         {exitUnusable, []string{"--sign-key", key, "--sign-cert", many}, "more than 10 certificates"},
		"too long":         {exitUnusable, []string{"--sign-key", key, "--sign-cert", long}, "bytes"},
		"torn":             {exitUnusable, []string{"--sign-key", key, "--sign-cert", torn}, "certificate 1"},
		"no such holder":   {exitUnusable, []string{"--sign-key", "nohsm://7", "--sign-cert", chain}, "no program sigstore-kms-nohsm"},
		"nobody stamps":    {exitBench, []string{"--sign-key", key, "--sign-cert", chain, "--tsa", gone.URL}, "nothing was written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "r.pdf")
			r := assay(t, c.code, append([]string{"report", s.file, "--format", "pdf", "--out", out}, c.args...)...)
			assert.Contains(t, r.told(), c.want)
			assert.Contains(t, r.told(), "assay: hint: ")
			assert.NoFileExists(t, out)
		})
	}
}
