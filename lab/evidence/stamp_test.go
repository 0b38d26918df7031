package evidence

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
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

	"assay/lab/evidence/stamptest"
)

// trusting verifies under a pair's key and an authority's root, at the present time.
func trusting(t testing.TB, p pair, a *stamptest.Authority) Trust {
	t.Helper()
	pool, err := LoadAuthorities(a.Root)
	require.NoError(t, err)
	return Trust{Keys: p.keys(), Authorities: pool, Now: time.Now()}
}

func TestStampedBundleVerifies(t *testing.T) {
	p, a := newPair(t), stamptest.New(t, time.Now)
	_, path := sealRun(t, p)
	before := splitBundle(t, read(t, path))
	_, err := VerifyBy(t.Context(), path, trusting(t, p, a))
	require.Equal(t, layerStamp, requireBroken(t, err).What, "an authority is given, and there is no stamp")

	s, err := AddStamp(t.Context(), path, a.URL)
	require.NoError(t, err)
	assert.Equal(t, "CN=assay test authority", s.Authority)
	assert.WithinDuration(t, time.Now(), s.Time, time.Minute)
	require.Equal(t, before, splitBundle(t, read(t, path))[:len(before)], "what was there keeps its bytes and its place")

	e, err := VerifyBy(t.Context(), path, trusting(t, p, a))
	require.NoError(t, err)
	require.True(t, e.Stamp.Checked)
	e, err = Verify(t.Context(), path, p.keys())
	require.NoError(t, err)
	require.False(t, e.Stamp.Checked, "without an authority a stamp is told, and not checked")

	_, err = AddStamp(t.Context(), path, a.URL)
	require.ErrorIs(t, err, ErrStamped)
	b := requireBroken(t, func() error {
		_, err := VerifyBy(t.Context(), path, trusting(t, p, stamptest.New(t, time.Now)))
		return err
	}())
	require.Contains(t, b.Why, "no authority that was given")
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 2, "nothing temporary stays")
}

// TestStampIsRefused shows stamps that say something else than that this seal existed at that time.
func TestStampIsRefused(t *testing.T) {
	p := newPair(t)
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*stamptest.Authority)
		want   string
	}{
		"expired certificate": {func(a *stamptest.Authority) { a.Life[1] = now.AddDate(0, 0, -1) }, "outside the life"},
		"future certificate":  {func(a *stamptest.Authority) { a.Life[0] = now.AddDate(0, 0, 1) }, "outside the life"},
		"usage not critical":  {func(a *stamptest.Authority) { a.Plain = true }, "not for time-stamping alone"},
		"usage of a server":   {func(a *stamptest.Authority) { a.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "not for time-stamping alone"},
		"usage of both":       {func(a *stamptest.Authority) { a.Usage = append(a.Usage, x509.ExtKeyUsageCodeSigning) }, "not for time-stamping alone"},
		"usage of none":       {func(a *stamptest.Authority) { a.Usage = nil }, "not for time-stamping alone"},
		"before the end":      {func(a *stamptest.Authority) { a.Now = func() time.Time { return ticking()().Add(-time.Hour) } }, "before the run's end"},
		"in the future":       {func(a *stamptest.Authority) { a.Now = func() time.Time { return now.Add(time.Hour) } }, "in the future"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			a := stamptest.New(t, time.Now)
			c.change(a)
			_, path := sealRun(t, p)
			_, err := AddStamp(t.Context(), path, a.URL)
			require.NoError(t, err, "whoever asks for it does not know the authority")
			_, err = VerifyBy(t.Context(), path, trusting(t, p, a))
			b := requireBroken(t, err)
			require.Equal(t, layerStamp, b.What)
			require.Contains(t, b.Why, c.want)
		})
	}
	t.Run("of-another-seal", func(t *testing.T) {
		a := stamptest.New(t, time.Now)
		_, one := sealRun(t, p)
		_, two := sealRun(t, p)
		_, err := AddStamp(t.Context(), one, a.URL)
		require.NoError(t, err)
		list := splitBundle(t, read(t, one))
		forged := joinBundle(t, append(splitBundle(t, read(t, two)), list[len(list)-1]))
		_, err = Verify(t.Context(), write(t, forged), p.keys())
		require.Contains(t, requireBroken(t, err).Why, "message imprint differs")
	})
}

// TestAuthorityMisbehaves leaves the bundle as it was.
func TestAuthorityMisbehaves(t *testing.T) {
	p := newPair(t)
	for name, c := range map[string]struct {
		change func(*stamptest.Authority)
		want   string
	}{
		"other nonce":   {func(a *stamptest.Authority) { a.Nonce = big.NewInt(7) }, "nonce differs"},
		"other imprint": {func(a *stamptest.Authority) { a.Imprint = make([]byte, 32) }, "message imprint differs"},
		"cut short":     {func(a *stamptest.Authority) { a.Answer = func(b []byte) []byte { return b[:len(b)-1] } }, "not a time-stamp response"},
		"and more":      {func(a *stamptest.Authority) { a.Answer = func(b []byte) []byte { return append(b, 0) } }, "bytes follow"},
		"bit flipped": {func(a *stamptest.Authority) {
			a.Answer = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}, "signature"},
		"refusal": {func(a *stamptest.Authority) {
			a.Answer = func([]byte) []byte { return []byte{0x30, 5, 0x30, 3, 2, 1, 2} }
		}, "refused it: status 2"},
		"endless": {func(a *stamptest.Authority) {
			a.Answer = func([]byte) []byte { return make([]byte, maxStamp+1) }
		}, "more than"},
		"a web page": {func(a *stamptest.Authority) { a.Answer = func([]byte) []byte { return []byte("<html>") } }, "not a time-stamp"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			a := stamptest.New(t, time.Now)
			c.change(a)
			_, path := sealRun(t, p)
			before := read(t, path)
			_, err := AddStamp(t.Context(), path, a.URL)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, read(t, path))
		})
	}
}

func TestAuthorityIsNotThere(t *testing.T) {
	_, path := sealRun(t, newPair(t))
	a := stamptest.New(t, time.Now)
	for address, want := range map[string]string{
		"ftp://127.0.0.1/tsa": "want http or https", "tsa.example": "want http or https", "http://": "no host", ":": "no URL",
		"http://127.0.0.1:1/": "ask the authority",
	} {
		_, err := AddStamp(t.Context(), path, address)
		require.ErrorContains(t, err, want)
	}
	_, err := AddStamp(t.Context(), path, "https://user:secret@127.0.0.1:1/")
	require.NotContains(t, err.Error(), "secret")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = AddStamp(ctx, path, a.URL)
	require.ErrorIs(t, err, context.Canceled)
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	_, err = AddStamp(t.Context(), path, broken.URL)
	require.ErrorContains(t, err, "answers 404")
}

func TestLoadAuthorities(t *testing.T) {
	_, err := LoadAuthorities(filepath.Join(t.TempDir(), "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = LoadAuthorities(write(t, []byte("nothing")))
	require.ErrorContains(t, err, "no certificate in PEM")
	_, err = LoadAuthorities(write(t, newPair(t).public))
	require.ErrorContains(t, err, "want CERTIFICATE")
}

// sigOf takes the signature out of a seal by its documented form alone.
func sigOf(t testing.TB, seal []byte) []byte {
	t.Helper()
	var b struct {
		DSSE struct{ Signatures []struct{ Sig string } } `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(seal, &b))
	sig, err := base64.StdEncoding.DecodeString(b.DSSE.Signatures[0].Sig)
	require.NoError(t, err)
	return sig
}

// TestOpenSSLChecksOurStamp asks somebody else's program whether the stored stamp holds.
func TestOpenSSLChecksOurStamp(t *testing.T) {
	openssl := needOpenSSL(t)
	p, a := newPair(t), stamptest.New(t, time.Now)
	_, path := sealRun(t, p)
	_, err := AddStamp(t.Context(), path, a.URL)
	require.NoError(t, err)
	list := splitBundle(t, read(t, path))
	dir := t.TempDir()
	put(t, filepath.Join(dir, "sig"), sigOf(t, list[len(list)-2].b))
	put(t, filepath.Join(dir, "timestamp.tsr"), list[len(list)-1].b)
	check := func() error {
		cmd := exec.CommandContext(t.Context(), openssl, "ts", "-verify", "-data", "sig", "-in", "timestamp.tsr", "-CAfile", a.Root)
		cmd.Dir = dir
		return cmd.Run()
	}
	require.NoError(t, check())
	put(t, filepath.Join(dir, "sig"), []byte("another"))
	require.Error(t, check())
}

// TestOpenSSLIsTheAuthority checks stamps of somebody else's program: RSA, with a chain of three.
func TestOpenSSLIsTheAuthority(t *testing.T) {
	a, pool := newOpenSSL(t)
	p := newPair(t)
	_, path := sealRun(t, p)
	s, err := AddStamp(t.Context(), path, a)
	require.NoError(t, err)
	require.Contains(t, s.Authority, "tsa")
	e, err := VerifyBy(t.Context(), path, Trust{Keys: p.keys(), Authorities: pool, Now: time.Now()})
	require.NoError(t, err)
	require.True(t, e.Stamp.Checked)
}

func needOpenSSL(t testing.TB) string {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl: apt-get install openssl")
	}
	return openssl
}

const opensslConfig = `[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[tsa]
basicConstraints = CA:FALSE
extendedKeyUsage = critical,timeStamping
[tsa_config]
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
signer_digest = sha256
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = between.pem
`

// newOpenSSL makes an authority of openssl and serves it.
func newOpenSSL(t *testing.T) (address string, roots *x509.CertPool) {
	t.Helper()
	openssl := needOpenSSL(t)
	dir := t.TempDir()
	run := func(in []byte, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
		var told bytes.Buffer
		cmd.Stderr = &told
		out, err := cmd.Output()
		assert.NoError(t, err, told.String())
		return out
	}
	put(t, filepath.Join(dir, "c"), []byte(opensslConfig))
	put(t, filepath.Join(dir, "serial"), []byte("01\n"))
	run(nil, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-config", "c", "-extensions", "ca", "-days", "30")
	for _, c := range []struct{ name, by, section string }{{"between", "root", "ca"}, {"tsa", "between", "tsa"}} {
		run(nil, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", c.name+".key", "-out", c.name+".csr", "-subj", "/CN="+c.name, "-config", "c")
		run(nil, "x509", "-req", "-in", c.name+".csr", "-CA", c.by+".pem", "-CAkey", c.by+".key", "-CAcreateserial", "-out", c.name+".pem",
			"-extfile", "c", "-extensions", c.section, "-days", "20")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		put(t, filepath.Join(dir, "q"), b)
		_, err = w.Write(run(nil, "ts", "-reply", "-queryfile", "q", "-config", "c", "-section", "tsa_config"))
		assert.NoError(t, err)
	}))
	t.Cleanup(s.Close)
	roots, err := LoadAuthorities(filepath.Join(dir, "root.pem"))
	require.NoError(t, err)
	return s.URL, roots
}

// FuzzStamp hands in answers of an authority: what is taken is about this message.
func FuzzStamp(f *testing.F) {
	p, a := newPair(f), stamptest.New(f, time.Now)
	_, path := sealRun(f, p)
	_, err := AddStamp(f.Context(), path, a.URL)
	require.NoError(f, err)
	list := splitBundle(f, read(f, path))
	sig := sigOf(f, list[len(list)-2].b)
	f.Add(list[len(list)-1].b)
	f.Add([]byte{0x30, 5, 0x30, 3, 2, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseToken(b, sig)
		if err == nil {
			require.Equal(t, "CN=assay test authority", got.signer.Subject.String())
			_ = got.check(x509.NewCertPool(), time.Time{}, time.Time{})
		}
	})
}
