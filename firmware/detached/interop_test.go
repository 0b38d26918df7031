package detached

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// need skips where the scheme's own tool is missing.
func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
}

// A shop is a folder in which a tool works.
type shop struct {
	t   *testing.T
	dir string
	env []string
}

func newShop(t *testing.T) *shop {
	dir := filepath.Join(t.TempDir(), "shop")
	require.NoError(t, os.Mkdir(dir, 0o700))
	return &shop{t: t, dir: dir, env: append(os.Environ(), "HOME="+dir, "GNUPGHOME="+dir, "LC_ALL=C")}
}

func (s *shop) write(name string, b []byte) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), b, 0o600))
}

func (s *shop) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	require.NoError(s.t, err)
	return b
}

func (s *shop) run(stdin string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *shop) must(stdin string, command ...string) {
	s.t.Helper()
	out, err := s.run(stdin, command...)
	require.NoError(s.t, err, out)
}

// alike puts every variant of p before the tool's own verifier: it must refuse what we refuse.
// Those named in lax it takes, for the reason given there.
func (s *shop) alike(p pair, lax map[string]string, verify func() (string, error)) {
	t := s.t
	f, ok := find(p.input())
	require.True(t, ok)
	img, err := f.OpenUnverified(p.input())
	require.NoError(t, err)
	for _, variant := range f.Variants {
		v, err := img.Tamper(variant, p.means)
		if errors.Is(err, format.ErrNotApplicable) {
			continue
		}
		require.NoError(t, err)
		if v.Manifest.Device != nil {
			continue // genuine: no tool knows the device
		}
		judge(t, p, f, variant, v)
		signature, artifact := v.Files[format.FileSignature], v.Files[format.FileArtifact]
		if v.Files[format.FileSecond] != nil {
			artifact = v.Files[format.FileSecond]
		}
		s.write("sig", signature)
		s.write("fw", artifact)
		out, err := verify()
		if why := lax[variant]; why != "" {
			assert.NoError(t, err, "%s: the tool was expected to take it: %s", variant, why)
			continue
		}
		assert.Error(t, err, "the tool takes %s: %s", variant, out)
		t.Logf("%s: %s | %s", variant, v.Manifest.Expected, strings.TrimSpace(out))
	}
	s.write("sig", p.signature)
	s.write("fw", p.artifact)
	out, err := verify()
	require.NoError(t, err, "the good pair: %s", out)
}

func TestMinisignTool(t *testing.T) {
	need(t, "minisign")
	s := newShop(t)
	fw := firmwareOf('i')
	s.write("fw", fw)
	s.must("", "minisign", "-G", "-W", "-f", "-p", "key.pub", "-s", "key.sec")
	trust := format.Trust{Own: map[string][]format.Anchor{"minisign": {{From: "key.pub", Bytes: s.read("key.pub")}}}}
	for _, kind := range []string{"", "-l"} {
		s.must("", append([]string{"minisign", "-S", "-s", "key.sec", "-m", "fw", "-x", "sig", "-t", "version:3.1 hw:b"}, strings.Fields(kind)...)...)
		p := pair{signature: s.read("sig"), artifact: fw, trust: trust, format: "minisign"}
		r, _, err := p.verify()
		require.NoError(t, err)
		assert.Equal(t, "3.1", r.Image.Version)
		s.alike(p, nil, func() (string, error) { return s.run("", "minisign", "-V", "-p", "key.pub", "-m", "fw", "-x", "sig") })
	}
	for _, p := range minisignPairs(t) {
		s.write("our.pub", p.trust.Own["minisign"][0].Bytes)
		s.alike(p, nil, func() (string, error) { return s.run("", "minisign", "-V", "-p", "our.pub", "-m", "fw", "-x", "sig") })
	}
}

func TestSignifyTool(t *testing.T) {
	need(t, "signify-openbsd")
	s := newShop(t)
	fw := firmwareOf('i')
	s.write("fw.bin", fw)
	s.must("", "signify-openbsd", "-G", "-n", "-p", "key.pub", "-s", "key.sec")
	trust := format.Trust{Own: map[string][]format.Anchor{"signify": {{From: "key.pub", Bytes: s.read("key.pub")}}}}
	s.must("", "signify-openbsd", "-S", "-s", "key.sec", "-m", "fw.bin", "-x", "plain")
	s.must("", "signify-openbsd", "-S", "-e", "-s", "key.sec", "-m", "fw.bin", "-x", "embedded")
	p := pair{signature: s.read("plain"), artifact: fw, trust: trust, format: "signify"}
	_, _, err := p.verify()
	require.NoError(t, err)
	s.alike(p, nil, func() (string, error) {
		return s.run("", "signify-openbsd", "-V", "-p", "key.pub", "-m", "fw", "-x", "sig")
	})
	_, _, err = p.with(s.read("embedded"), nil).verify()
	require.NoError(t, err)

	list, _ := s.run("", "openssl", "dgst", "-sha256", "fw.bin")
	s.write("SHA256", []byte("SHA256 (fw.bin) = "+list[strings.LastIndexByte(strings.TrimSpace(list), ' ')+1:]))
	s.must("", "signify-openbsd", "-S", "-e", "-s", "key.sec", "-m", "SHA256", "-x", "SHA256.sig")
	s.must("", "signify-openbsd", "-C", "-p", "key.pub", "-x", "SHA256.sig")
	_, _, err = p.with(s.read("SHA256.sig"), fw).verify()
	require.NoError(t, err)

	ours := signifyPairs(t)
	s.write("our.pub", ours[0].trust.Own["signify"][0].Bytes)
	s.alike(ours[0], nil, func() (string, error) {
		return s.run("", "signify-openbsd", "-V", "-p", "our.pub", "-m", "fw", "-x", "sig")
	})
	s.write("sig", ours[1].signature)
	s.must("", "signify-openbsd", "-V", "-e", "-p", "our.pub", "-m", "out", "-x", "sig")
	assert.Equal(t, firmwareOf('s'), s.read("out"))
	// A list, as a device with signify -C looks at it: the file is called fw.bin.
	s.alike(ours[3], nil, func() (string, error) {
		s.write("fw.bin", s.read("fw"))
		return s.run("", "signify-openbsd", "-C", "-p", "our.pub", "-x", "sig", "fw.bin")
	})
}

func TestGnuPG(t *testing.T) {
	need(t, "gpg")
	need(t, "gpgv")
	s := newShop(t)
	fw := firmwareOf('i')
	s.write("fw", fw)
	s.env = append(s.env, "GPG_TTY=")
	defer func() { _, _ = s.run("", "gpgconf", "--kill", "gpg-agent") }()
	for _, algorithm := range []string{"ed25519", "rsa2048", "nistp256"} {
		id := algorithm + "@vendor.example"
		s.must("", "gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", id, algorithm, "sign", "never")
		s.must("", "gpg", "--batch", "--yes", "--output", "ring", "--export", id)
		s.must("", "gpg", "--batch", "--yes", "--armor", "--output", "ring.asc", "--export", id)
		for _, armor := range []string{"--no-armor", "--armor"} {
			s.must("", "gpg", "--batch", "--yes", "-u", id, armor, "--output", "sig", "--detach-sign", "fw")
			for _, anchor := range []string{"ring", "ring.asc"} {
				p := pair{signature: s.read("sig"), artifact: fw, format: "openpgp"}
				p.trust = format.Trust{At: time.Now().Add(time.Minute), Own: map[string][]format.Anchor{"openpgp": {{From: anchor, Bytes: s.read(anchor)}}}}
				r, _, err := p.verify()
				require.NoError(t, err, algorithm)
				assert.NotEmpty(t, r.Chain)
				_, _, err = p.with(p.signature, firmwareOf('j')).verify()
				require.ErrorIs(t, err, format.ErrBadSignature)
			}
		}
		if algorithm != "rsa2048" {
			continue // GnuPG does not sign by elliptic curves over SHA-1
		}
		s.must("", "gpg", "--batch", "--yes", "-u", id, "--digest-algo", "SHA1", "--output", "sig", "--detach-sign", "fw")
		p := pair{signature: s.read("sig"), artifact: fw}
		p.trust = format.Trust{At: time.Now().Add(time.Minute), Own: map[string][]format.Anchor{"openpgp": {{From: "ring", Bytes: s.read("ring")}}}}
		_, _, err := p.verify()
		require.ErrorIs(t, err, format.ErrWeak)
	}
	// Ours, before gpgv.
	for _, p := range pgpPairs(t) {
		s.write("ours", p.trust.Own["openpgp"][0].Bytes)
		s.alike(p, map[string]string{
			format.TrailerFlip:   "gpgv does not look at the left bytes of the digest",
			format.WeakAlgorithm: "gpgv of GnuPG 2.2 refuses SHA-1 only in signatures of keys",
		}, func() (string, error) {
			return s.run("", "gpgv", "--keyring", filepath.Join(s.dir, "ours"), "sig", "fw")
		})
	}
}

func TestOpenSSL(t *testing.T) {
	need(t, "openssl")
	s := newShop(t)
	fw := firmwareOf('i')
	for name, c := range map[string]struct {
		key  string
		sign []string
	}{
		"rsa pkcs1":      {"rsa", []string{"dgst", "-sha256"}},
		"rsa pss sha512": {"rsa", []string{"dgst", "-sha512", "-sigopt", "rsa_padding_mode:pss"}},
		"rsa pss salt":   {"rsa", []string{"dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"}},
		"p256":           {"p256", []string{"dgst", "-sha256"}},
		"p384":           {"p384", []string{"dgst", "-sha384"}},
		"ed25519":        {"ed25519", []string{"pkeyutl", "-rawin"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			key := fixedKeys()[c.key]
			der, err := x509.MarshalPKCS8PrivateKey(key)
			require.NoError(t, err)
			s.write("key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
			der, err = x509.MarshalPKIXPublicKey(key.Public())
			require.NoError(t, err)
			s.write("pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			s.write("fw", fw)
			keys, err := format.NewKeys(key.Public())
			require.NoError(t, err)
			sign := append([]string{"openssl"}, c.sign...)
			verify := append([]string{"openssl"}, c.sign...)
			if c.key == "ed25519" {
				sign = append(sign, "-sign", "-inkey", "key", "-in", "fw", "-out", "sig")
				verify = append(verify, "-verify", "-pubin", "-inkey", "pub", "-in", "fw", "-sigfile", "sig")
			} else {
				sign = append(sign, "-sign", "key", "-out", "sig", "fw")
				verify = append(verify, "-verify", "pub", "-signature", "sig", "fw")
			}
			s.must("", sign...)
			p := pair{signature: s.read("sig"), artifact: fw, trust: format.Trust{Keys: keys}, format: "raw"}
			_, _, err = p.verify()
			require.NoError(t, err)
			s.alike(p, nil, func() (string, error) { return s.run("", verify...) })
		})
	}
}

// TestUsign has the form of OpenWrt's usign, which no Debian package has: its comments, and a
// key number that is the start of the key's own digest, mean nothing here.
func TestUsign(t *testing.T) {
	key := fixedKeys()["ed25519"]
	sig, err := SignSignify(Signify{Key: key, Number: number, Comment: "signed by key 0102030405060708"}, firmwareOf('u'))
	require.NoError(t, err)
	p := pair{signature: sig, artifact: firmwareOf('u')}
	p.trust.Own = map[string][]format.Anchor{"signify": {{Bytes: MarshalKey("public key 0102030405060708", number, key.Public().(ed25519.PublicKey))}}}
	_, _, err = p.verify()
	require.NoError(t, err)
	line := bytes.SplitAfter(sig, []byte("\n"))[1]
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
	require.NoError(t, err)
	require.Len(t, raw, 74)
}

// TestOpenSSLCMS: what openssl cms signs verifies here, what we sign verifies there, and it
// refuses our variants but for the attacks that it is known to take.
func TestOpenSSLCMS(t *testing.T) {
	need(t, "openssl")
	s := newShop(t)
	pemOf := func(kind string, der []byte, err error) []byte {
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	for _, p := range cmsPairs(t) {
		if p.name == "cms-ed25519" {
			continue // OpenSSL 3.0 knows no CMS with ed25519
		}
		t.Run(p.name, func(t *testing.T) {
			s.t = t
			s.write("fw", p.artifact)
			s.write("root", pemOf("CERTIFICATE", p.trust.Roots[0].Raw, nil))
			s.write("signer", pemOf("CERTIFICATE", p.means.Chain[0].Raw, nil))
			der, err := x509.MarshalPKCS8PrivateKey(p.means.Signer)
			s.write("key", pemOf("PRIVATE KEY", der, err))
			sign := []string{"openssl", "cms", "-sign", "-binary", "-in", "fw", "-signer", "signer", "-inkey", "key", "-outform", "DER", "-out", "theirs"}
			if len(p.means.Chain) > 2 {
				s.write("more", pemOf("CERTIFICATE", p.means.Chain[1].Raw, nil))
				sign = append(sign, "-certfile", "more")
			}
			s.must("", sign...)
			_, _, err = p.with(s.read("theirs"), p.artifact).verify()
			require.NoError(t, err)
			lax := map[string]string{
				format.FormatDowngrade: "openssl takes the attributes for content (MTG AG, 2024)",
				format.WrongPurpose:    "openssl cms has no purpose of code signing",
				format.WeakAlgorithm:   "openssl cms takes SHA-1 digests",
			}
			if p.name == "cms-bare" {
				delete(lax, format.FormatDowngrade)
			}
			s.alike(p, lax, func() (string, error) {
				return s.run("", "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "sig", "-content", "fw", "-CAfile", "root",
					"-purpose", "any", "-attime", strconv.FormatInt(p.trust.At.Unix(), 10), "-out", "out")
			})
		})
	}
}
