package detached

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgpeddsa "github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// now is when everything here was made, long enough ago for the tools, which look at the
// machine's clock; the day after is when it is checked.
var now = time.Date(2025, 11, 1, 12, 0, 0, 0, time.UTC)

// A pair is one good signature with its artifact, and who vouches for it.
type pair struct {
	name      string
	format    string
	signature []byte
	artifact  []byte // nil: within the signature file
	trust     format.Trust
	means     format.Means
	same      func(t testing.TB, img *Image) bool // the parsed signature says what the good one says
}

func (p pair) input() format.Input {
	in := format.Input{Source: format.FromBytes(p.signature)}
	if p.artifact != nil {
		a := format.FromBytes(p.artifact)
		in.Artifact = &a
	}
	return in
}

func (p pair) with(signature, artifact []byte) pair {
	p.signature, p.artifact = signature, artifact
	return p
}

// find is the front door's way: the first format that detects the input.
func find(in format.Input) (format.Format, bool) {
	for _, f := range Formats() {
		if f.Detect(in) {
			return f, true
		}
	}
	return format.Format{}, false
}

// verify opens by content and verifies.
func (p pair) verify() (format.Report, *Image, error) {
	f, ok := find(p.input())
	if !ok {
		return format.Report{}, nil, format.ErrUnknownFormat
	}
	img, err := f.OpenUnverified(p.input())
	if err != nil {
		return format.Report{}, nil, err
	}
	r, err := img.Verify(p.trust)
	return r, img.(*Image), err
}

var fixedKeys = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	must := func(name string, key crypto.Signer, err error) {
		if err != nil {
			panic(err)
		}
		made[name] = key
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must("ed25519", ed, err)
	r2, err := rsa.GenerateKey(rand.Reader, 2048)
	must("rsa", r2, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must("p256", p256, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must("p384", p384, err)
	return made
})

var number = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}

func firmwareOf(seed byte) []byte { return append(bytes.Repeat([]byte{seed, 0, 1, 2}, 500), "end"...) }

func older() *format.Source {
	s := format.FromBytes(firmwareOf('o'))
	return &s
}

func public(t testing.TB, key string) ed25519.PublicKey {
	p, ok := fixedKeys()[key].Public().(ed25519.PublicKey)
	require.True(t, ok)
	return p
}

var (
	pairsOnce sync.Once
	pairsMade []pair
)

// pairs makes a good pair of each scheme and kind; the keys of some take their time.
func pairs(t testing.TB) []pair {
	pairsOnce.Do(func() { pairsMade = makePairs(t) })
	return pairsMade
}

func makePairs(t testing.TB) []pair {
	all := append(minisignPairs(t), signifyPairs(t)...)
	all = append(all, rawPairs(t)...)
	all = append(all, cmsPairs(t)...)
	return append(all, pgpPairs(t)...)
}

func minisignPairs(t testing.TB) []pair {
	var all []pair
	key := fixedKeys()["ed25519"]
	for _, legacy := range []bool{false, true} {
		name := map[bool]string{false: "minisign", true: "minisign-legacy"}[legacy]
		b, err := SignMinisign(Minisign{Key: key, Number: number, Comment: "signature from a test", Trusted: "timestamp:1793534400\tfile:fw.bin version:2.4.1 hw:board-a product:lamp", Legacy: legacy}, firmwareOf('m'))
		require.NoError(t, err)
		p := pair{name: name, format: "minisign", signature: b, artifact: firmwareOf('m')}
		p.trust.Own = map[string][]format.Anchor{"minisign": {{From: "maker.pub", Bytes: MarshalKey("minisign public key", number, public(t, "ed25519"))}}}
		p.means = format.Means{Signer: key, Older: older()}
		p.same = func(t testing.TB, img *Image) bool {
			want, got := parsed(t, p).(*minisign), img.scheme.(*minisign)
			a, b := *want, *got
			a.comment, b.comment = "", "" // untrusted
			return a == b
		}
		all = append(all, p)
	}
	return all
}

func parsed(t testing.TB, p pair) scheme {
	f, ok := find(p.input())
	require.True(t, ok)
	img, err := f.OpenUnverified(p.input())
	require.NoError(t, err)
	return img.(*Image).scheme
}

func signifyPairs(t testing.TB) []pair {
	key := fixedKeys()["ed25519"]
	trust := format.Trust{Own: map[string][]format.Anchor{"signify": {{From: "maker.pub", Bytes: MarshalKey("test public key", number, public(t, "ed25519"))}}}}
	make := func(name string, message, behind, artifact []byte) pair {
		b, err := SignSignify(Signify{Key: key, Number: number, Comment: "verify with maker.pub"}, message)
		require.NoError(t, err)
		p := pair{name: name, format: "signify", signature: append(b, behind...), artifact: artifact, trust: trust, means: format.Means{Signer: key, Older: older()}}
		p.same = func(t testing.TB, img *Image) bool {
			want, got := parsed(t, p).(*signify), img.scheme.(*signify)
			return want.value == got.value && want.number == got.number
		}
		return p
	}
	fw := firmwareOf('s')
	sum := sha256.Sum256(fw)
	list := []byte("SHA256 (other.bin) = " + hex.EncodeToString(make32('x')) + "\nSHA256 (fw.bin) = " + hex.EncodeToString(sum[:]) + "\n")
	return []pair{
		make("signify", fw, nil, fw),
		make("signify-embedded", fw, fw, nil),
		make("signify-embedded-beside", fw, fw, fw),
		make("signify-list", list, list, fw),
	}
}

func make32(seed byte) []byte { return bytes.Repeat([]byte{seed}, 32) }

func rawPairs(t testing.TB) []pair {
	var all []pair
	for name, c := range map[string]struct {
		key  string
		hash crypto.Hash
		pss  bool
	}{
		"raw-rsa-pkcs1":  {"rsa", crypto.SHA256, false},
		"raw-rsa-pss512": {"rsa", crypto.SHA512, true},
		"raw-p256":       {"p256", crypto.SHA256, false},
		"raw-p384":       {"p384", crypto.SHA384, false},
		"raw-ed25519":    {"ed25519", 0, false},
	} {
		key := fixedKeys()[c.key]
		b, err := SignRaw(key, c.hash, c.pss, firmwareOf('r'))
		require.NoError(t, err)
		keys, err := format.NewKeys(key.Public())
		require.NoError(t, err)
		all = append(all, pair{
			name: name, format: "raw", signature: b, artifact: firmwareOf('r'), trust: format.Trust{Keys: keys},
			means: format.Means{Signer: key, Older: older()},
			same:  func(t testing.TB, img *Image) bool { return bytes.Equal(img.scheme.(*raw).sig, b) },
		})
	}
	return all
}

// entity makes an OpenPGP key that signs from now on.
func entity(t testing.TB, config packet.Config) *openpgp.Entity {
	config.Time = func() time.Time { return now }
	e, err := openpgp.NewEntity("maker", "", "maker@vendor.example", &config)
	require.NoError(t, err)
	return e
}

func ring(t testing.TB, entities ...*openpgp.Entity) format.Trust {
	var b bytes.Buffer
	for _, e := range entities {
		require.NoError(t, e.Serialize(&b))
	}
	return format.Trust{At: now.Add(24 * time.Hour), Own: map[string][]format.Anchor{"openpgp": {{From: "maker.asc", Bytes: b.Bytes()}}}}
}

// signerOf is the private key in the standard library's form.
func signerOf(t testing.TB, e *openpgp.Entity) crypto.Signer {
	switch k := e.PrivateKey.PrivateKey.(type) {
	case *pgpeddsa.PrivateKey:
		return ed25519.NewKeyFromSeed(k.D)
	case crypto.Signer:
		return k
	}
	require.Fail(t, "unexpected kind of key")
	return nil
}

func pgpPairs(t testing.TB) []pair {
	var all []pair
	for name, config := range map[string]packet.Config{
		"pgp-ed25519": {Algorithm: packet.PubKeyAlgoEdDSA},
		"pgp-rsa":     {Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048},
	} {
		e := entity(t, config)
		key := signerOf(t, e)
		b, err := SignOpenPGP(pgpSpec(e, key), firmwareOf('p'))
		require.NoError(t, err)
		p := pair{name: name, format: "openpgp", signature: b, artifact: firmwareOf('p'), trust: ring(t, e), means: format.Means{Signer: key, Older: older()}}
		p.same = func(t testing.TB, img *Image) bool {
			got := img.scheme.(*pgp)
			return bytes.Equal(got.sig.HashSuffix, parsed(t, p).(*pgp).sig.HashSuffix)
		}
		all = append(all, p)
	}
	return all
}

func pgpSpec(e *openpgp.Entity, key crypto.Signer) OpenPGP {
	return OpenPGP{
		Key: key, KeyID: e.PrimaryKey.KeyId, Fingerprint: e.PrimaryKey.Fingerprint,
		Algorithm: byte(e.PrimaryKey.PubKeyAlgo), Hash: crypto.SHA256, Created: now.Add(time.Hour).Unix(),
	}
}

func cmsPairs(t testing.TB) []pair {
	var all []pair
	for name, o := range map[string]struct {
		pki  cms.PKIOptions
		sign cms.SignOptions
	}{
		"cms-ecdsa":        {cms.PKIOptions{}, cms.SignOptions{}},
		"cms-intermediate": {cms.PKIOptions{Intermediate: true, Kind: "ecdsa-p384"}, cms.SignOptions{SigningTime: now}},
		"cms-pss":          {cms.PKIOptions{Kind: "rsa-2048"}, cms.SignOptions{PSS: true}},
		"cms-ed25519":      {cms.PKIOptions{Kind: "ed25519"}, cms.SignOptions{}},
		"cms-bare":         {cms.PKIOptions{}, cms.SignOptions{NoAttributes: true}},
	} {
		pki, err := cms.NewPKI(o.pki)
		require.NoError(t, err)
		chain := pki.Chain()
		o.sign.Signers, o.sign.Detached, o.sign.Certificates = []cms.Identity{pki.Signer}, true, chain[1:len(chain)-1]
		b, err := cms.Sign(bytes.NewReader(firmwareOf('c')), o.sign)
		require.NoError(t, err)
		p := pair{name: name, format: "cms", signature: b, artifact: firmwareOf('c'), trust: format.Trust{At: pki.At}}
		p.trust.Roots = []format.Root{{Certificate: pki.Root.Certificate, From: "root.pem"}}
		p.means = format.Means{Signer: pki.Signer.Key, Chain: chain, Issuer: pki.Issuer().Key, Older: older()}
		p.same = func(t testing.TB, img *Image) bool {
			want, got := parsed(t, p).(*cmsFile), img.scheme.(*cmsFile)
			return want.KeyHint() == got.KeyHint() && want.Signature() == got.Signature() && len(got.Signers) == 1 &&
				want.Signers[0].SigningTime.Equal(got.Signers[0].SigningTime)
		}
		all = append(all, p)
	}
	return all
}
