package evidence

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence/fulciotest"
	"assay/lab/evidence/stamptest"
)

const owner = "seals@lab.example"

// keylessTrust is what a verifier of a keyless seal brings along.
func keylessTrust(t testing.TB, f *fulciotest.Fulcio, a *stamptest.Authority, identity string) Trust {
	t.Helper()
	roots, err := LoadAuthorities(f.Root)
	require.NoError(t, err)
	stamps, err := LoadAuthorities(a.Root)
	require.NoError(t, err)
	return Trust{Authorities: stamps, Now: time.Now(), Keyless: &Keyless{roots, identity, fulciotest.Issuer}}
}

// certified asks a Fulcio with a token.
func certified(t testing.TB, f *fulciotest.Fulcio, token string) *KeylessSigner {
	t.Helper()
	id, err := ParseIdentityToken(token, time.Now())
	require.NoError(t, err)
	k, err := RequestCertificate(t.Context(), f.URL, id)
	require.NoError(t, err)
	return k
}

// ended is the folder of a run that has its end.
func ended(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	j := startRun(t, dir)
	must(t, j, KindEnd, map[string]any{"outcome": "finished", "capture": "capture.pcapng", "frames": 7})
	require.NoError(t, j.Close())
	return dir
}

// sealKeyless seals a finished run as somebody.
func sealKeyless(t testing.TB, k *KeylessSigner, a *stamptest.Authority) string {
	t.Helper()
	dir := ended(t)
	path := filepath.Join(filepath.Dir(dir), "run.assay")
	_, err := SealStamped(t.Context(), dir, path, k, a.URL)
	require.NoError(t, err)
	return path
}

func TestKeylessSealVerifies(t *testing.T) {
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	for name, c := range map[string]struct {
		claims   map[string]any
		identity string
	}{
		"e-mail":     {map[string]any{"sub": "17", "email": owner, "email_verified": true}, owner},
		"as a word":  {map[string]any{"sub": "17", "email": owner, "email_verified": "true"}, owner},
		"a workload": {map[string]any{"sub": "spiffe://lab.example/bench/7"}, "spiffe://lab.example/bench/7"},
		"a user":     {map[string]any{"sub": "seals"}, "seals"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			k := certified(t, f, f.Token(t, c.claims))
			path := sealKeyless(t, k, a)
			e, err := VerifyBy(t.Context(), path, keylessTrust(t, f, a, c.identity))
			require.NoError(t, err)
			require.True(t, e.Signer.Checked)
			require.True(t, e.Stamp.Checked)
			require.Equal(t, c.identity, e.Signer.Identity)
			require.Equal(t, fulciotest.Issuer, e.Signer.Issuer)

			_, pinned, err := Public(k)
			require.NoError(t, err)
			e, err = Verify(t.Context(), path, []signature.Verifier{pinned})
			require.NoError(t, err)
			require.False(t, e.Signer.Checked, "under a given key the certificate is told, and not checked")
			e, err = Open(path)
			require.NoError(t, err)
			require.NotEmpty(t, e.Hint)
			_, err = Amend(t.Context(), path, k, amendment(AmendCorrection, RoleOperator, ""))
			require.ErrorIs(t, err, ErrAmendment)
			require.ErrorContains(t, err, "a person's own key")
			_, err = Amend(t.Context(), path, newPair(t).signer, amendment(AmendCorrection, RoleOperator, ""))
			require.NoError(t, err)
			_, err = VerifyBy(t.Context(), path, keylessTrust(t, f, a, c.identity))
			require.NoError(t, err)
		})
	}
}

// TestKeylessSealIsRefused has each reason for which a certificate vouches for nothing.
func TestKeylessSealIsRefused(t *testing.T) {
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	path := sealKeyless(t, certified(t, f, f.Mail(t, owner)), a)
	stranger, later := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	plain := filepath.Join(t.TempDir(), "plain.assay")
	require.NoError(t, Seal(t.Context(), ended(t), plain, certified(t, f, f.Mail(t, owner))))
	late := filepath.Join(t.TempDir(), "late.assay")
	old := certifiedFor(t, f, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-50*time.Minute)
	})
	require.NoError(t, Seal(t.Context(), ended(t), late, old))
	_, err := AddStamp(t.Context(), late, a.URL)
	require.NoError(t, err)
	_, underKey := sealRun(t, newPair(t))
	for name, c := range map[string]struct {
		path   string
		change func(*Trust)
		what   string
		want   string
	}{
		"another identity":     {path, func(t *Trust) { t.Keyless.Identity = "Seals@lab.example" }, layerSeal, "signed by seals@lab.example, want Seals@lab.example"},
		"another issuer":       {path, func(t *Trust) { t.Keyless.Issuer += "/" }, layerSeal, "vouched for the signer, want https://oidc.lab.example/"},
		"another fulcio":       {path, func(tr *Trust) { tr.Keyless.Roots = pool(t, stranger.Root) }, layerSeal, "leads to no Fulcio that was given"},
		"another authority":    {path, func(tr *Trust) { tr.Authorities = pool(t, later.Root) }, layerStamp, "no authority that was given"},
		"nobody for the time":  {path, func(t *Trust) { t.Authorities = nil }, layerStamp, "without the root of a time-stamp authority nobody can tell"},
		"no time-stamp":        {plain, func(*Trust) {}, layerStamp, "nobody says that the seal was made then"},
		"stamped too late":     {late, func(*Trust) {}, layerStamp, "is outside the life of the seal's certificate"},
		"only a key is given":  {path, func(tr *Trust) { tr.Keyless, tr.Keys = nil, newPair(t).keys() }, layerSeal, "signed under a certificate of seals@lab.example, vouched for by"},
		"no certificate there": {underKey, func(*Trust) {}, layerSeal, "signed under key"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			trust := keylessTrust(t, f, a, owner)
			c.change(&trust)
			_, err := VerifyBy(t.Context(), c.path, trust)
			b := requireBroken(t, err)
			assert.Equal(t, c.what, b.What)
			assert.Contains(t, b.Why, c.want)
		})
	}
	_, err = VerifyBy(t.Context(), path, Trust{})
	require.ErrorIs(t, err, ErrNoKey)
}

func pool(t testing.TB, path string) *x509.CertPool {
	t.Helper()
	p, err := LoadAuthorities(path)
	require.NoError(t, err)
	return p
}

// certifiedFor is the signer with a certificate that the Fulcio's own key signed, but that no Fulcio would give.
func certifiedFor(t testing.TB, f *fulciotest.Fulcio, change func(*x509.Certificate)) *KeylessSigner {
	t.Helper()
	f.Change = func(c *x509.Certificate, _ *any) { change(c) }
	defer func() { f.Change = nil }()
	return certified(t, f, f.Mail(t, owner))
}

// TestForgedCertificates exchanges the certificate in a seal for others of the same Fulcio, or of none.
func TestForgedCertificates(t *testing.T) {
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	path := sealKeyless(t, certified(t, f, f.Mail(t, owner)), a)
	list := splitBundle(t, read(t, path))
	at := len(list) - 2
	other := certified(t, f, f.Mail(t, owner))
	for name, c := range map[string]struct {
		with *rawCertificate
		hint *keyHint
		want string
	}{
		"another of the same person": {&rawCertificate{other.Certificate.Raw}, nil, "signature"},
		"cut short":                  {&rawCertificate{other.Certificate.Raw[:200]}, nil, "its certificate"},
		"and more":                   {&rawCertificate{append(bytes.Clone(other.Certificate.Raw), 0)}, nil, "its certificate"},
		"empty":                      {&rawCertificate{}, nil, "its certificate"},
		"none":                       {nil, nil, "one of the two"},
		"both":                       {&rawCertificate{other.Certificate.Raw}, &keyHint{"x"}, "one of the two"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			env, err := openSeal(list[at].b)
			require.NoError(t, err)
			env.Verification = verification{c.hint, c.with}
			b, err := env.encode()
			require.NoError(t, err)
			forged := append([]entryBytes{}, list...)
			forged[at].b = b
			_, err = VerifyBy(t.Context(), write(t, joinBundle(t, forged)), keylessTrust(t, f, a, owner))
			broken := requireBroken(t, err)
			assert.Equal(t, layerSeal, broken.What)
			assert.Contains(t, broken.Why, c.want)
		})
	}
}

// TestEveryByteOfTheCertificateCounts changes each byte of the certificate that stands in a seal, which no signature of
// the seal's own covers.
func TestEveryByteOfTheCertificateCounts(t *testing.T) {
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	path := sealKeyless(t, certified(t, f, f.Mail(t, owner)), a)
	list, trust := splitBundle(t, read(t, path)), keylessTrust(t, f, a, owner)
	at := len(list) - 2
	env, err := openSeal(list[at].b)
	require.NoError(t, err)
	genuine := env.Verification.Certificate.Raw
	for i := range genuine {
		changed := bytes.Clone(genuine)
		changed[i] ^= 1 << (i % 8)
		env.Verification.Certificate = &rawCertificate{changed}
		list[at].b, err = env.encode()
		require.NoError(t, err)
		b := packed(list)
		_, err = verifyBundle(t.Context(), bytes.NewReader(b), int64(len(b)), path, trust)
		requireBroken(t, err)
	}
}

// TestFulcioMisbehaves has the answers that nobody seals with.
func TestFulcioMisbehaves(t *testing.T) {
	certificate := func(change func(c *x509.Certificate)) func(*fulciotest.Fulcio) {
		return func(f *fulciotest.Fulcio) { f.Change = func(c *x509.Certificate, _ *any) { change(c) } }
	}
	answer := func(answer func(w http.ResponseWriter, chain []string)) func(*fulciotest.Fulcio) {
		return func(f *fulciotest.Fulcio) { f.Answer = answer }
	}
	say := func(text string) func(*fulciotest.Fulcio) {
		return answer(func(w http.ResponseWriter, _ []string) { _, _ = w.Write([]byte(text)) })
	}
	for name, c := range map[string]struct {
		change func(*fulciotest.Fulcio)
		want   string
	}{
		"another key": {func(f *fulciotest.Fulcio) {
			f.Change = func(_ *x509.Certificate, public *any) {
				key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				*public = key.Public()
			}
		}, "certifies another key"},
		"no name":          {certificate(func(c *x509.Certificate) { c.EmailAddresses = nil }), "0 names"},
		"two names":        {certificate(func(c *x509.Certificate) { c.DNSNames = []string{"lab.example"} }), "2 names"},
		"an address, too":  {certificate(func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }), "2 names"},
		"for servers":      {certificate(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "not for code signing alone"},
		"for everything":   {certificate(func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny) }), "not for code signing alone"},
		"an authority":     {certificate(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), "not for code signing alone"},
		"for encryption":   {certificate(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), "not for digital signatures"},
		"nobody vouches":   {certificate(func(c *x509.Certificate) { c.ExtraExtensions = nil }), "does not say who vouched"},
		"two vouch":        {certificate(func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte("https://other.example") }), "contradict each other"},
		"bytes for issuer": {certificate(func(c *x509.Certificate) { c.ExtraExtensions[1].Value = []byte{1, 2, 3} }), "cannot be read"},
		"a web page":       {say("<html>"), "no JSON"},
		"nothing":          {say("{}"), "no certificate in it"},
		"no PEM":           {answer(func(w http.ResponseWriter, _ []string) { fulciotest.Reply(w, []string{"x"}) }), "not one in PEM"},
		"two in one":       {answer(func(w http.ResponseWriter, c []string) { fulciotest.Reply(w, []string{c[0] + c[1]}) }), "not one in PEM"},
		"endless":          {answer(func(w http.ResponseWriter, _ []string) { _, _ = w.Write(make([]byte, maxFulcio+1)) }), "more than"},
		"elsewhere": {answer(func(w http.ResponseWriter, _ []string) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}), "it answers 307"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			f := fulciotest.New(t, time.Now)
			c.change(f)
			id, err := ParseIdentityToken(f.Mail(t, owner), time.Now())
			require.NoError(t, err)
			_, err = RequestCertificate(t.Context(), f.URL, id)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, 1, f.Asked, "and nobody is asked a second time")
		})
	}
}

func TestFulcioRefuses(t *testing.T) {
	f, other := fulciotest.New(t, time.Now), fulciotest.New(t, time.Now)
	token := other.Mail(t, owner)
	id, err := ParseIdentityToken(token, time.Now())
	require.NoError(t, err)
	_, err = RequestCertificate(t.Context(), f.URL, id)
	require.ErrorContains(t, err, "it answers 401: the token is not the issuer's")
	require.NotContains(t, err.Error(), token)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = RequestCertificate(ctx, other.URL, id)
	require.ErrorIs(t, err, context.Canceled)
	for address, want := range map[string]string{
		"ftp://127.0.0.1/": "want https", "fulcio.example": "want https", "https://": "no host", ":": "no URL",
		"http://fulcio.example": "does not travel in clear", "https://fulcio.example/?a=b": "without a query",
	} {
		require.ErrorContains(t, CheckFulcio(address), want, address)
	}
	require.NoError(t, CheckFulcio("https://fulcio.lab.example"))
}

func TestIdentityTokens(t *testing.T) {
	f := fulciotest.New(t, time.Now)
	claims := func(c map[string]any) string { return f.Token(t, c) }
	for text, want := range map[string]string{
		"": "want a JWT", "a.b": "want a JWT", "a.!.c": "no JSON in base64url", strings.Repeat("a", maxToken) + ".b.c": "want a JWT",
		"a." + base64.RawURLEncoding.EncodeToString([]byte("[]")) + ".c":                "no JSON in base64url",
		claims(map[string]any{"email": owner, "email_verified": false}):                 "has not verified",
		claims(map[string]any{"email": owner}):                                          "has not verified",
		claims(nil):                                                                     "names nobody",
		claims(map[string]any{"sub": "17", "exp": time.Now().Add(-time.Minute).Unix()}): "it expired at",
	} {
		_, err := ParseIdentityToken(text, time.Now())
		require.ErrorIs(t, err, ErrIdentity)
		require.ErrorContains(t, err, want)
		if len(text) > 8 {
			require.NotContains(t, err.Error(), text[:8])
		}
	}
}

// TestSealStampedLeavesNothingHalf wants a bundle under its name only when its stamp is in it.
func TestSealStampedLeavesNothingHalf(t *testing.T) {
	f := fulciotest.New(t, time.Now)
	dir := ended(t)
	out := filepath.Join(dir, "run.assay")
	slow := stamptest.New(t, func() time.Time { return time.Now().Add(20 * time.Minute) })
	silent := stamptest.New(t, time.Now)
	silent.Answer = func([]byte) []byte { return nil }
	for want, a := range map[string]*stamptest.Authority{"outside the life": slow, "not a time-stamp response": silent} {
		_, err := SealStamped(t.Context(), dir, out, certified(t, f, f.Mail(t, owner)), a.URL)
		require.ErrorContains(t, err, want)
		left, err := filepath.Glob(filepath.Join(dir, "*.assay*"))
		require.NoError(t, err)
		hidden, err := filepath.Glob(filepath.Join(dir, ".assay*"))
		require.NoError(t, err)
		require.Empty(t, append(left, hidden...))
	}
	a := stamptest.New(t, time.Now)
	_, err := SealStamped(t.Context(), dir, out, certified(t, f, f.Mail(t, owner)), a.URL)
	require.NoError(t, err)
	before := read(t, out)
	_, err = SealStamped(t.Context(), dir, out, certified(t, f, f.Mail(t, owner)), a.URL)
	require.ErrorIs(t, err, os.ErrExist)
	require.Equal(t, before, read(t, out))
}

// TestOpenSSLChecksTheCertificate asks somebody else's program about chain, purpose and time of a keyless seal.
func TestOpenSSLChecksTheCertificate(t *testing.T) {
	openssl := needOpenSSL(t)
	f, a := fulciotest.New(t, time.Now), stamptest.New(t, time.Now)
	path := sealKeyless(t, certified(t, f, f.Mail(t, owner)), a)
	list := splitBundle(t, read(t, path))
	var seal struct {
		Material struct{ Certificate struct{ RawBytes []byte } } `json:"verificationMaterial"`
	}
	require.NoError(t, json.Unmarshal(list[len(list)-2].b, &seal))
	dir := t.TempDir()
	put(t, filepath.Join(dir, "leaf.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: seal.Material.Certificate.RawBytes}))
	check := func(root string, at time.Time) error {
		cmd := exec.CommandContext(t.Context(), openssl, "verify", "-attime", strconv.FormatInt(at.Unix(), 10), "-CAfile", root, "leaf.pem")
		cmd.Dir = dir
		return cmd.Run()
	}
	require.NoError(t, check(f.Root, time.Now()))
	require.Error(t, check(f.Root, time.Now().Add(11*time.Minute)))
	require.Error(t, check(fulciotest.New(t, time.Now).Root, time.Now()))
}

// FuzzCertified hands in certificates: what is taken has one name and one who vouches.
func FuzzCertified(f *testing.F) {
	fu := fulciotest.New(f, time.Now)
	k := certified(f, fu, fu.Mail(f, owner))
	f.Add(k.Certificate.Raw)
	f.Add(certified(f, fu, fu.Token(f, map[string]any{"sub": "seals"})).Certificate.Raw)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	odd := &x509.Certificate{SerialNumber: big.NewInt(1), ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: []byte{0x30, 2, 0xa0, 0}}}}
	der, err := x509.CreateCertificate(rand.Reader, odd, odd, key.Public(), key)
	require.NoError(f, err)
	f.Add(der)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return
		}
		if who, err := certifiedBy(c); err == nil {
			require.NotEmpty(t, who.Identity)
			require.NotEmpty(t, who.Issuer)
			require.False(t, c.IsCA)
		}
	})
}

// FuzzFulcio hands in answers of a Fulcio.
func FuzzFulcio(f *testing.F) {
	fu := fulciotest.New(f, time.Now)
	k := certified(f, fu, fu.Mail(f, owner))
	_ = k
	f.Add([]byte(`{"signedCertificateEmbeddedSct":{"chain":{"certificates":["-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := readFulcio(b); err == nil {
			require.NotNil(t, c)
		}
	})
}
