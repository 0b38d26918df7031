package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

const (
	signer = "https://maker.example/release.yml@refs/heads/main"
	issuer = "https://tokens.maker.example"
	slsa   = "https://slsa.dev/provenance/v1"
)

var (
	firmware = []byte("the program, all of it, and then some filling: \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// good is a signature with what it is of and who trusts it.
type good struct {
	name   string
	bundle []byte
	trust  format.Trust
	key    crypto.Signer // managed
}

func (g good) input(artifact []byte) format.Input { return input(g.bundle, artifact) }

func input(signature, artifact []byte) format.Input {
	a := format.FromBytes(artifact)
	return format.Input{Source: format.FromBytes(signature), Artifact: &a}
}

// rsaKey is made once: it takes a second.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKeys(t testing.TB) map[string]crypto.Signer {
	p := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		require.NoError(t, err)
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	r, err := rsaKey()
	require.NoError(t, err)
	return map[string]crypto.Signer{"p256": p(elliptic.P256()), "p384": p(elliptic.P384()), "p521": p(elliptic.P521()), "ed25519": ed, "rsa": r}
}

func anchors(t testing.TB, a *Authority) map[string][]format.Anchor {
	root, err := a.TrustedRoot()
	require.NoError(t, err)
	require.True(t, isTrustedRoot(root))
	return map[string][]format.Anchor{Name: {{From: "trusted_root.json", Bytes: root}}}
}

// goods are one of each kind: keys, with and without a log, message, envelope and plain, keyless.
func goods(t testing.TB) []good {
	a, err := NewAuthority(noon)
	require.NoError(t, err)
	var all []good
	add := func(name string, s Spec, trust format.Trust) {
		s.Artifact = firmware
		b, err := Build(s)
		require.NoError(t, err)
		all = append(all, good{name, b, trust, s.Signer})
	}
	for kind, key := range newKeys(t) {
		keys, err := format.NewKeys(key.Public())
		require.NoError(t, err)
		add(kind, Spec{Signer: key}, format.Trust{Keys: keys, NoLog: true})
		add(kind+" envelope", Spec{Signer: key, Predicate: slsa}, format.Trust{Keys: keys, NoLog: true})
		plain, err := BuildPlain(firmware, key)
		require.NoError(t, err)
		all = append(all, good{kind + " plain", plain, format.Trust{Keys: keys, NoLog: true}, key})
		if kind == "p256" || kind == "ed25519" {
			add(kind+" logged", Spec{Signer: key, Authority: a}, format.Trust{Keys: keys, Own: anchors(t, a)})
		}
	}
	keyless := format.Trust{Own: anchors(t, a), Signer: signer, Issuer: issuer}
	add("keyless", Spec{Authority: a, Identity: signer, Issuer: issuer}, keyless)
	add("keyless envelope", Spec{Authority: a, Identity: signer, Issuer: issuer, Predicate: slsa}, keyless)
	return all
}

func (g good) open(t testing.TB) *Image {
	img, err := OpenUnverified(g.input(firmware))
	require.NoError(t, err)
	return img
}

func TestGood(t *testing.T) {
	for _, g := range goods(t) {
		t.Run(g.name, func(t *testing.T) {
			require.True(t, detect(g.input(firmware)))
			report, err := g.open(t).Verify(g.trust)
			require.NoError(t, err, "%s", g.bundle)
			require.True(t, report.Verified)
			require.NotEmpty(t, report.Signature)
			require.NotEmpty(t, report.Chain)
			require.Equal(t, g.key == nil, report.Key == nil)
		})
	}
}
