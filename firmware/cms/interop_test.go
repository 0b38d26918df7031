package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// openssl is OpenSSL's cms with the files of a PKI in a folder; it knows no time but today's.
type openssl struct {
	t   *testing.T
	dir string
	p   *PKI
}

func newOpenSSL(t *testing.T, kind string) *openssl {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not there")
	}
	o := &openssl{t, t.TempDir(), newPKI(t, PKIOptions{Kind: kind, Intermediate: true, At: time.Now()})}
	o.pem("root.pem", "CERTIFICATE", o.p.Root.Certificate.Raw)
	o.pem("intermediate.pem", "CERTIFICATE", o.p.Intermediate.Certificate.Raw)
	o.pem("signer.pem", "CERTIFICATE", o.p.Signer.Certificate.Raw)
	key, err := x509.MarshalPKCS8PrivateKey(o.p.Signer.Key)
	require.NoError(t, err)
	o.pem("signer.key", "PRIVATE KEY", key)
	o.write("content", content)
	return o
}

func (o *openssl) write(file string, b []byte) {
	require.NoError(o.t, os.WriteFile(filepath.Join(o.dir, file), b, 0o600))
}

func (o *openssl) pem(file, kind string, der []byte) {
	o.write(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (o *openssl) cms(args ...string) (string, error) {
	cmd := exec.Command("openssl", append([]string{"cms"}, args...)...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (o *openssl) accepts(der []byte, detached bool) (string, error) {
	o.write("candidate", der)
	args := []string{"-verify", "-binary", "-inform", "DER", "-in", "candidate", "-CAfile", "root.pem", "-out", "out"}
	if detached {
		args = append(args, "-content", "content")
	}
	return o.cms(args...)
}

func TestOpenSSLMakesWhatWeVerify(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048"} { // 3.0 makes no ed25519
		o := newOpenSSL(t, kind)
		for name, args := range map[string][]string{
			"attached": {"-nodetach"}, "detached": nil, "no attributes": {"-noattr"}, "key id": {"-keyid"},
			"sha512": {"-md", "sha512"}, "S/MIME capabilities left out": {"-nosmimecap"}, "pss": {"-keyopt", "rsa_padding_mode:pss"},
			"pss without salt":     {"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:0"},
			"pss, long salt":       {"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:222"},
			"pss with Java's mask": {"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1"},
		} {
			if kind != "rsa-2048" && strings.HasPrefix(name, "pss") {
				continue
			}
			t.Run(kind+" "+name, func(t *testing.T) {
				log, err := o.cms(append([]string{"-sign", "-binary", "-in", "content", "-outform", "DER", "-out", "message",
					"-signer", "signer.pem", "-inkey", "signer.key", "-certfile", "intermediate.pem"}, args...)...)
				require.NoError(t, err, "%s", log)
				der, err := os.ReadFile(filepath.Join(o.dir, "message"))
				require.NoError(t, err)
				m, err := Parse(der)
				require.NoError(t, err)
				require.Equal(t, name != "attached", m.Detached)
				r := Result{}
				if m.Detached {
					r, err = m.VerifyDetached(bytes.NewReader(content), o.p.trust(), Policy{})
				} else {
					r, err = m.VerifyAttached(o.p.trust(), Policy{})
				}
				require.NoError(t, err)
				require.Contains(t, r.Signature, kind)
			})
		}
	}
}

func TestOpenSSLJudgesWhatWeSignAlike(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "rsa-2048"} {
		o := newOpenSSL(t, kind)
		more := []*x509.Certificate{o.p.Intermediate.Certificate}
		for name, s := range map[string]SignOptions{
			"attached": {}, "detached": {Detached: true}, "no attributes": {NoAttributes: true}, "key id": {KeyID: true}, "pss": {PSS: true}, "time": {SigningTime: o.p.At},
		} {
			s.Signers, s.Certificates = []Identity{o.p.Signer}, more
			der, err := Sign(bytes.NewReader(content), s)
			require.NoError(t, err)
			log, err := o.accepts(der, s.Detached)
			require.NoError(t, err, "%s %s: %s", kind, name, log)
		}
		fake, above, err := Lookalike(o.p.Chain())
		require.NoError(t, err)
		expired, err := IssueLike(o.p.Signer.Certificate, o.p.Intermediate.Key, Expire)
		require.NoError(t, err)
		servers, err := IssueLike(o.p.Signer.Certificate, o.p.Intermediate.Key, ForServers)
		require.NoError(t, err)
		genuine := signed(t, content, SignOptions{Signers: []Identity{o.p.Signer}, Certificates: more, Detached: true})
		forged, err := genuine.Forged(bytes.NewReader(content))
		require.NoError(t, err)
		by := func(id Identity, more ...*x509.Certificate) []byte {
			der, err := Sign(bytes.NewReader(content), SignOptions{Signers: []Identity{id}, Certificates: more, Detached: true})
			require.NoError(t, err)
			return der
		}
		for name, c := range map[string]struct {
			der    []byte
			words  string
			reason error
		}{
			"self-made chain":      {by(fake, above...), "certificate signature failure|self-signed|bad signature", format.ErrChain},
			"intermediate missing": {by(o.p.Signer), "unable to get local issuer", format.ErrChain},
			"expired":              {by(expired, more...), "has expired", format.ErrValidity},
			"for servers":          {by(servers, more...), "unsuitable certificate purpose", format.ErrPurpose},
			"forged":               {forged, "verification failure|signature", format.ErrBadSignature},
		} {
			log, err := o.accepts(c.der, true)
			require.Error(t, err, name)
			require.Regexp(t, c.words, log, name)
			m, err := Parse(c.der)
			require.NoError(t, err)
			_, err = m.VerifyDetached(bytes.NewReader(content), o.p.trust(), Policy{})
			require.ErrorIs(t, err, c.reason, name)
		}
	}
}

// TestOpenSSLTakesStrippedAttributes shows why we look at content without signed attributes:
// OpenSSL takes it for what the signer signed.
func TestOpenSSLTakesStrippedAttributes(t *testing.T) {
	o := newOpenSSL(t, "ecdsa-p256")
	m := signed(t, content, SignOptions{Signers: []Identity{o.p.Signer}, Certificates: []*x509.Certificate{o.p.Intermediate.Certificate}, Detached: true})
	der, other, err := m.StripAttributes()
	require.NoError(t, err)
	o.write("content", other)
	log, err := o.accepts(der, true)
	t.Logf("openssl: %v %s", err, log)
	_, err = reparse(t, der, nil).VerifyDetached(bytes.NewReader(other), o.p.trust(), Policy{})
	require.ErrorIs(t, err, format.ErrNotBound)
}

func TestEnvelope(t *testing.T) {
	o := newOpenSSL(t, "rsa-2048")
	key := o.p.Signer.Key.(*rsa.PrivateKey)
	for name, args := range map[string][]string{
		"PKCS #1 v1.5": nil, "OAEP": {"-keyopt", "rsa_padding_mode:oaep"}, "OAEP, sha256": {"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"},
	} {
		args = append([]string{"-encrypt", "-binary", "-aes256", "-in", "content", "-outform", "DER", "-out", "message", "-recip", "signer.pem"}, args...)
		log, err := o.cms(args...)
		require.NoError(t, err, "%s: %s", name, log)
		der, err := os.ReadFile(filepath.Join(o.dir, "message"))
		require.NoError(t, err)
		require.True(t, LooksEnveloped(der))
		plain, err := OpenEnvelope(der, []*rsa.PrivateKey{key})
		require.NoError(t, err, name)
		require.Equal(t, content, plain, name)
	}
	der, err := Seal(content, o.p.Signer.Certificate)
	require.NoError(t, err)
	o.write("sealed", der)
	log, err := o.cms("-decrypt", "-binary", "-inform", "DER", "-in", "sealed", "-inkey", "signer.key", "-recip", "signer.pem", "-out", "out")
	require.NoError(t, err, "%s", log)
	out, err := os.ReadFile(filepath.Join(o.dir, "out"))
	require.NoError(t, err)
	require.Equal(t, content, out)
	_, err = OpenEnvelope(der, nil)
	require.ErrorIs(t, err, format.ErrEncrypted)
	for i := range der {
		_, _ = OpenEnvelope(der[:i], []*rsa.PrivateKey{key})
	}
}

// TestCAdES has OpenSSL check that a signature names its certificate, and that another one under the same name and
// key does not do for it.
func TestCAdES(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "rsa-2048"} {
		o := newOpenSSL(t, kind)
		sign := func(named bool) []byte {
			der, err := Sign(bytes.NewReader(content), SignOptions{
				Signers: []Identity{o.p.Signer}, Certificates: []*x509.Certificate{o.p.Intermediate.Certificate}, Detached: true, NameCertificate: named,
			})
			require.NoError(t, err)
			o.write("candidate", der)
			return der
		}
		verify := func() error {
			_, err := o.cms("-verify", "-binary", "-cades", "-inform", "DER", "-in", "candidate", "-CAfile", "root.pem", "-content", "content", "-out", "out")
			return err
		}
		_, err := reparse(t, sign(true), nil).VerifyDetached(bytes.NewReader(content), o.p.trust(), Policy{})
		require.NoError(t, err)
		require.NoError(t, verify())
		sign(false)
		require.Error(t, verify())
	}
}

// TestStampIsAnUnsignedAttribute has the token beside what is signed, and its failure before any message.
func TestStampIsAnUnsignedAttribute(t *testing.T) {
	p := newPKI(t, PKIOptions{At: time.Now()})
	token, about := []byte{0x30, 3, 2, 1, 7}, []byte(nil)
	o := SignOptions{Signers: []Identity{p.Signer}, Stamp: func(sig []byte) ([]byte, error) { about = sig; return token, nil }}
	der, err := Sign(bytes.NewReader(content), o)
	m := reparse(t, der, err)
	require.Equal(t, 1, m.Signers[0].Unsigned)
	require.Equal(t, m.Signers[0].signature, about)
	require.True(t, bytes.Contains(der, token))
	o.Stamp = func([]byte) ([]byte, error) { return nil, os.ErrDeadlineExceeded }
	_, err = Sign(bytes.NewReader(content), o)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// A messenger holds a key that is asked with whole messages only.
type messenger struct{ crypto.Signer }

func (m messenger) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("only messages are signed here")
}

func (m messenger) SignMessage(r io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	return crypto.SignMessage(m.Signer, r, message, o)
}

func TestKeysThatSignMessages(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "rsa-2048"} {
		p := newPKI(t, PKIOptions{Kind: kind, At: time.Now()})
		der, err := Sign(bytes.NewReader(content), SignOptions{Signers: []Identity{{messenger{p.Signer.Key}, p.Signer.Certificate}}})
		_, err = reparse(t, der, err).VerifyAttached(p.trust(), Policy{})
		require.NoError(t, err)
	}
}
