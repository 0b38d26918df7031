package firmware_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/cms"
	"assay/firmware/detached"
)

func detachedVectors() adapter {
	return adapter{judge: judgeDetached, generate: generateDetached}
}

type detachedContext struct {
	Time string `yaml:"time"`
}

// judgeDetached judges a signature file with its artifact. The row's variant is the
// scheme that must be found by content alone. Files that are n/a are artifacts.
func judgeDetached(t *testing.T, c vectorCase) {
	if c.Verdict == "n/a" {
		require.Empty(t, c.Variant)
		return
	}
	var x detachedContext
	c.context(t, &x)
	files := []string{c.Key}
	if c.Variant == "cms" {
		for _, crl := range []string{"keys/cms-root.crl.pem", "keys/cms-int.crl.pem"} {
			if _, err := os.Stat(c.path(crl)); err == nil {
				files = append(files, crl)
			}
		}
	}
	trust := parseTrust(t, c, files...)
	var err error
	if trust.At, err = time.Parse(time.RFC3339, x.Time); err != nil {
		trust.At, err = time.Parse(time.DateOnly, x.Time)
		require.NoError(t, err)
		trust.At = trust.At.Add(24*time.Hour - time.Second) // the day is over: its own keys were made on it
	}
	report, err := firmware.Verify(commonInput(t, c), trust)
	assert.Equal(t, err == nil, report.Verified)
	t.Logf("%s: %v", c.Verdict, err)
	if c.Verdict == "accept" {
		assert.Equal(t, c.Variant, report.Image.Format)
		assert.NotEmpty(t, report.Chain)
		assert.NotEmpty(t, report.Digest)
	}
	expect(t, c, report, err)
}

// generateDetached makes a good signature of each scheme, with every variant of it.
func generateDetached(t *testing.T, dir string) manifest {
	g := &generated{t: t, format: "detached", dir: dir}
	fw := bytes.Repeat([]byte("firmware"), 200)
	for _, s := range detachedSchemes(t, fw) {
		keyFile := s.name + ".key"
		require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), s.anchor, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "fw.bin"), fw, 0o600))
		g.add(row{File: "ok-" + s.name, Verdict: "accept", Scope: "signature", Key: keyFile, Artifact: "fw.bin", Variant: s.format}, s.signature)
		good := firmware.FromBytes(s.signature)
		artifact := firmware.FromBytes(fw).Source
		good.Artifact = &artifact
		f, err := firmware.Detect(good)
		require.NoError(t, err)
		require.Equal(t, s.format, f.Name)
		for _, variant := range f.Variants {
			bad, err := firmware.Tamper(good, variant, s.means)
			if errors.Is(err, firmware.ErrNotApplicable) {
				continue
			}
			require.NoError(t, err)
			if bad.Manifest.Device != nil {
				continue // genuine: only the device of the manifest refuses it
			}
			trust, err := firmware.ParseTrust(firmware.Anchor{Bytes: s.anchor})
			require.NoError(t, err)
			require.Error(t, firmware.Refuses(good, bad, trust), "%s %s", s.name, variant)
			r := row{File: "bad-" + s.name + "-" + variant, Verdict: "reject", Scope: "signature", Key: keyFile, Variant: s.format}
			r.Artifact = r.File + ".bin"
			changed := bad.Files[firmware.FileArtifact]
			if second, ok := bad.Files[firmware.FileSecond]; ok {
				changed = second
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, r.Artifact), changed, 0o600))
			g.add(r, bad.Files[firmware.FileSignature])
		}
	}
	return manifest{Vectors: g.rows, DeviceContext: node(t, detachedContext{Time: "2026-07-02"})}
}

// A detachedScheme is one good signature.
type detachedScheme struct {
	name, format      string
	signature, anchor []byte
	means             firmware.Means
}

func detachedSchemes(t *testing.T, fw []byte) []detachedScheme {
	var all []detachedScheme
	add := func(name, format string, anchor []byte, means firmware.Means) func([]byte, error) {
		return func(signature []byte, err error) {
			require.NoError(t, err)
			all = append(all, detachedScheme{name, format, signature, anchor, means})
		}
	}
	number := [8]byte{8, 7, 6, 5, 4, 3, 2, 1}
	keys := signers(t)
	ed := keys["ed25519"]
	public := ed.Public().(ed25519.PublicKey)
	means := firmware.Means{Signer: ed}
	add("minisign", "minisign", detached.MarshalKey("minisign public key", number, public), means)(
		detached.SignMinisign(detached.Minisign{Key: ed, Number: number, Trusted: "version:2.1"}, fw))
	add("signify", "signify", detached.MarshalKey("public key", number, public), means)(
		detached.SignSignify(detached.Signify{Key: ed, Number: number}, fw))
	for kind, hash := range map[string]crypto.Hash{"p256": crypto.SHA256, "p384": crypto.SHA384, "ed25519": 0} {
		add("raw-"+kind, "raw", publicPEM(t, keys[kind].Public()), firmware.Means{Signer: keys[kind]})(detached.SignRaw(keys[kind], hash, false, fw))
	}

	made := func() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) }
	e, err := openpgp.NewEntity("maker", "", "maker@vendor.example", &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, Time: made})
	require.NoError(t, err)
	var ring bytes.Buffer
	require.NoError(t, e.Serialize(&ring))
	rsaKey := e.PrivateKey.PrivateKey.(crypto.Signer)
	add("openpgp", "openpgp", ring.Bytes(), firmware.Means{Signer: rsaKey})(detached.SignOpenPGP(detached.OpenPGP{
		Key: rsaKey, KeyID: e.PrimaryKey.KeyId, Fingerprint: e.PrimaryKey.Fingerprint, Algorithm: 1, Hash: crypto.SHA256, Created: made().Unix(),
	}, fw))

	pki, err := cms.NewPKI(cms.PKIOptions{})
	require.NoError(t, err)
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Root.Certificate.Raw})
	add("cms", "cms", root, firmware.Means{Signer: pki.Signer.Key, Chain: pki.Chain(), Issuer: pki.Issuer().Key})(
		cms.Sign(bytes.NewReader(fw), cms.SignOptions{Signers: []cms.Identity{pki.Signer}, Detached: true}))
	return all
}
