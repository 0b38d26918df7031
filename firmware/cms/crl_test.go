package cms

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// list makes a version-2 list.
func list(t testing.TB, by Identity, this, next time.Time, serials ...*big.Int) []byte {
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: this, NextUpdate: next}
	for _, n := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: this, ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, by.Certificate, by.Key)
	require.NoError(t, err)
	return der
}

// oldList makes a version-1 list, as openssl ca does without crl_extensions.
func oldList(t testing.TB, by Identity, this, next time.Time, serials ...*big.Int) []byte {
	ecdsa256, _ := findDigest(func(d digest) bool { return d.name == "sha256" })
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, ecdsa256.withEC, nil)
		b.AddBytes(by.Certificate.RawSubject)
		b.AddASN1UTCTime(this.UTC())
		if !next.IsZero() {
			b.AddASN1UTCTime(next.UTC())
		}
		if len(serials) > 0 {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, n := range serials {
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1BigInt(n)
						b.AddASN1UTCTime(this.UTC())
					})
				}
			})
		}
	})
	tbs, err := b.Bytes()
	require.NoError(t, err)
	h := ecdsa256.hash.New()
	h.Write(tbs)
	sig, err := by.Key.Sign(rand.Reader, h.Sum(nil), ecdsa256.hash)
	require.NoError(t, err)
	out := cryptobyte.NewBuilder(nil)
	out.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		addAlgorithm(b, ecdsa256.withEC, nil)
		b.AddASN1BitString(sig)
	})
	return out.BytesOrPanic()
}

func TestRevocation(t *testing.T) {
	p := newPKI(t, PKIOptions{Intermediate: true})
	stranger := newPKI(t, PKIOptions{Intermediate: true})
	m := signed(t, content, SignOptions{Signers: []Identity{p.Signer}, Certificates: []*x509.Certificate{p.Intermediate.Certificate}})
	before, after := p.At.AddDate(0, -1, 0), p.At.AddDate(0, 1, 0)
	signer, intermediate := p.Signer.Certificate.SerialNumber, p.Intermediate.Certificate.SerialNumber
	other := big.NewInt(7)
	root := list(t, p.Root, before, after, other)

	for name, c := range map[string]struct {
		lists    [][]byte
		required bool
		want     error
		notes    int
	}{
		"none":                               {nil, false, nil, 0},
		"none, required":                     {nil, true, format.ErrStale, 0},
		"others only":                        {[][]byte{root, list(t, *p.Intermediate, before, after, other)}, true, nil, 0},
		"the signer":                         {[][]byte{root, list(t, *p.Intermediate, before, after, other, signer)}, false, format.ErrRevoked, 0},
		"the signer, version 1":              {[][]byte{root, oldList(t, *p.Intermediate, before, after, other, signer)}, false, format.ErrRevoked, 0},
		"the signer, out of date":            {[][]byte{root, list(t, *p.Intermediate, before, before.AddDate(0, 0, 1), signer)}, false, format.ErrRevoked, 0},
		"the intermediate":                   {[][]byte{list(t, p.Root, before, after, intermediate)}, false, format.ErrRevoked, 0},
		"the intermediate of another issuer": {[][]byte{root, list(t, *p.Intermediate, before, after, intermediate)}, true, nil, 0},
		"version 1 without entries":          {[][]byte{oldList(t, p.Root, before, after), oldList(t, *p.Intermediate, before, time.Time{})}, true, nil, 0},
		"one missing":                        {[][]byte{root}, false, nil, 1},
		"one missing, required":              {[][]byte{root}, true, format.ErrStale, 0},
		"out of date":                        {[][]byte{root, list(t, *p.Intermediate, before, before.AddDate(0, 0, 1))}, false, nil, 1},
		"out of date, required":              {[][]byte{root, list(t, *p.Intermediate, before, before.AddDate(0, 0, 1))}, true, format.ErrStale, 0},
		"from the future, required":          {[][]byte{root, list(t, *p.Intermediate, after, after.AddDate(0, 1, 0))}, true, format.ErrStale, 0},
		"a stranger's, of the same name":     {[][]byte{root, list(t, *stranger.Intermediate, before, after, signer)}, false, nil, 1},
		"unreadable":                         {[][]byte{root[:len(root)-1]}, false, format.ErrNotVerified, 0},
	} {
		t.Run(name, func(t *testing.T) {
			trust := p.trust()
			trust.RequireCRLs = c.required
			for _, l := range c.lists {
				trust.CRLs = append(trust.CRLs, format.Anchor{From: "list.pem", Bytes: l})
			}
			r, err := m.VerifyAttached(trust, Policy{})
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Len(t, r.Notes, c.notes)
		})
	}
}

func TestCriticalExtensionClearsNobody(t *testing.T) {
	p := newPKI(t, PKIOptions{})
	template := &x509.RevocationList{Number: big.NewInt(2), ThisUpdate: p.At, NextUpdate: p.At.AddDate(0, 1, 0),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}}
	der, err := x509.CreateRevocationList(rand.Reader, template, p.Root.Certificate, p.Root.Key)
	require.NoError(t, err)
	c, err := parseCRL(der)
	require.NoError(t, err)
	assert.True(t, c.critical)
	trust := p.trust()
	trust.RequireCRLs, trust.CRLs = true, []format.Anchor{{Bytes: der}}
	m := signed(t, content, SignOptions{Signers: []Identity{p.Signer}})
	_, err = m.VerifyAttached(trust, Policy{})
	require.ErrorIs(t, err, format.ErrStale)
}

func FuzzParseCRL(f *testing.F) {
	p := newPKI(f, PKIOptions{})
	f.Add(list(f, p.Root, p.At, p.At, big.NewInt(1)))
	f.Add(oldList(f, p.Root, p.At, time.Time{}, big.NewInt(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCRL(b)
		if err == nil {
			require.LessOrEqual(t, len(c.serials), len(b))
		}
	})
}
