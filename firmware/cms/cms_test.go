package cms

import (
	"bytes"
	"crypto/x509"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

var content = []byte("the firmware: " + strings.Repeat("payload ", 100))

func newPKI(t testing.TB, o PKIOptions) *PKI {
	p, err := NewPKI(o)
	require.NoError(t, err)
	return p
}

func (p *PKI) trust() format.Trust {
	return format.Trust{Roots: []format.Root{{Certificate: p.Root.Certificate, From: "root.pem"}}, At: p.At}
}

func signed(t testing.TB, b []byte, o SignOptions) *Message {
	der, err := Sign(bytes.NewReader(b), o)
	require.NoError(t, err)
	m, err := Parse(der)
	require.NoError(t, err)
	require.True(t, Looks(der))
	return m
}

func reparse(t testing.TB, der []byte, err error) *Message {
	require.NoError(t, err)
	m, err := Parse(der)
	require.NoError(t, err)
	return m
}

func TestVerifyWhatSignMakes(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048"} {
		p := newPKI(t, PKIOptions{Kind: kind, Intermediate: kind == "ecdsa-p256"})
		for name, o := range map[string]SignOptions{
			"attached":      {},
			"detached":      {Detached: true},
			"bare":          {NoAttributes: true},
			"bare detached": {NoAttributes: true, Detached: true},
			"pss":           {PSS: true},
			"sha512":        {Digest: "sha512"},
			"key id":        {KeyID: true, SigningTime: p.At},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				o.Signers = []Identity{p.Signer}
				if p.Intermediate != nil {
					o.Certificates = []*x509.Certificate{p.Intermediate.Certificate}
				}
				m := signed(t, content, o)
				require.Equal(t, o.Detached, m.Detached)
				verify := func(b []byte) (Result, error) {
					if o.Detached {
						return m.VerifyDetached(iotest.OneByteReader(bytes.NewReader(b)), p.trust(), Policy{})
					}
					m.Content = b
					return m.VerifyAttached(p.trust(), Policy{})
				}
				r, err := verify(content)
				require.NoError(t, err)
				assert.Equal(t, m.Signature(), r.Signature)
				assert.Equal(t, "certificate under root.pem", r.Key.From)
				assert.Equal(t, "root.pem", r.Links[0].From)
				assert.Equal(t, o.NoAttributes, len(r.Notes) == 1)
				_, err = verify(append(bytes.Clone(content), 0))
				if o.NoAttributes {
					require.ErrorIs(t, err, format.ErrBadSignature)
				} else {
					require.ErrorIs(t, err, format.ErrBadHash)
				}
			})
		}
	}
}

// TestRefusals has one signer's message for each rule, and the sentinel that tells it.
func TestRefusals(t *testing.T) {
	p := newPKI(t, PKIOptions{Intermediate: true})
	stranger := newPKI(t, PKIOptions{Intermediate: true})
	help := []*x509.Certificate{p.Intermediate.Certificate}
	by := func(id Identity, more ...*x509.Certificate) SignOptions {
		return SignOptions{Signers: []Identity{id}, Certificates: append(more, help...)}
	}
	issue := func(l Leaf) Identity {
		id, err := p.Issue(l)
		require.NoError(t, err)
		return id
	}
	fake, above, err := Lookalike(p.Chain())
	require.NoError(t, err)
	require.Equal(t, p.Signer.Certificate.RawSubject, fake.Certificate.RawSubject)
	expired, err := IssueLike(p.Signer.Certificate, p.Intermediate.Key, Expire)
	require.NoError(t, err)
	servers, err := IssueLike(p.Signer.Certificate, p.Intermediate.Key, ForServers)
	require.NoError(t, err)
	notCA := issue(Leaf{Name: "not a CA"})
	child, err := IssueLike(p.Signer.Certificate, notCA.Key, func(*x509.Certificate) {})
	require.NoError(t, err)
	child, err = certify(notCA, like(child.Certificate), child.Key)
	require.NoError(t, err)
	small, err := p.Issue(Leaf{Kind: "rsa-1024"})
	require.NoError(t, err)
	code := func(tr *format.Trust) { tr.Purpose = format.PurposeCodeSigning }

	for name, c := range map[string]struct {
		options SignOptions
		trust   func(*format.Trust)
		policy  Policy
		want    error
	}{
		"genuine":               {by(p.Signer), nil, Policy{}, nil},
		"genuine, code signing": {by(p.Signer), code, Policy{}, nil},
		"helper from the trust": {SignOptions{Signers: []Identity{p.Signer}}, func(tr *format.Trust) { tr.Intermediates = help }, Policy{}, nil},
		"certificate omitted, from the trust": {SignOptions{Signers: []Identity{p.Signer}, OmitCertificates: true}, func(tr *format.Trust) {
			tr.Intermediates = append(help, p.Signer.Certificate)
		}, Policy{}, nil},
		"certificate omitted":       {SignOptions{Signers: []Identity{p.Signer}, OmitCertificates: true}, nil, Policy{}, format.ErrChain},
		"no roots":                  {by(p.Signer), func(tr *format.Trust) { tr.Roots = nil }, Policy{}, format.ErrNoTrustedKey},
		"no time":                   {by(p.Signer), func(tr *format.Trust) { tr.At = time.Time{} }, Policy{}, format.ErrValidity},
		"intermediate missing":      {SignOptions{Signers: []Identity{p.Signer}}, nil, Policy{}, format.ErrChain},
		"intermediate for a root":   {SignOptions{Signers: []Identity{p.Signer}}, func(tr *format.Trust) { tr.Roots[0].Certificate = p.Intermediate.Certificate }, Policy{}, nil},
		"not where chains go whole": {SignOptions{Signers: []Identity{p.Signer}}, func(tr *format.Trust) { tr.Roots[0].Certificate = p.Intermediate.Certificate }, Policy{WholeChain: true}, format.ErrChain},
		"stranger":                  {by(stranger.Signer, stranger.Chain()[1:]...), nil, Policy{}, format.ErrChain},
		"self-made chain":           {SignOptions{Signers: []Identity{fake}, Certificates: above}, nil, Policy{}, format.ErrChain},
		"not a CA":                  {by(child, notCA.Certificate), nil, Policy{}, format.ErrChain},
		"expired":                   {by(expired), nil, Policy{}, format.ErrValidity},
		"expired, backdated":        {SignOptions{Signers: []Identity{expired}, Certificates: help, SigningTime: p.At.AddDate(-3, 0, 0)}, nil, Policy{}, format.ErrValidity},
		"not yet valid":             {by(p.Signer), func(tr *format.Trust) { tr.At = p.At.AddDate(-2, 0, 0) }, Policy{}, format.ErrValidity},
		"for servers":               {by(servers), nil, Policy{}, format.ErrPurpose},
		"for servers, any purpose":  {by(servers), nil, Policy{Purposes: []string{format.PurposeAny}}, nil},
		"no purpose":                {by(issue(Leaf{NoUsages: true})), nil, Policy{}, nil},
		"no purpose, code signing":  {by(issue(Leaf{NoUsages: true})), code, Policy{}, format.ErrPurpose},
		"any purpose of the leaf":   {by(issue(Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})), nil, Policy{}, format.ErrPurpose},
		"one of two purposes": {by(issue(Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}})), nil,
			Policy{Purposes: []string{format.PurposeEmail, format.PurposeCodeSigning}}, nil},
		"unknown purpose":      {by(p.Signer), func(tr *format.Trust) { tr.Purpose = "cooking" }, Policy{}, format.ErrPurpose},
		"other name":           {by(p.Signer), func(tr *format.Trust) { tr.Signer = "Signer" }, Policy{}, format.ErrNoTrustedKey},
		"common name":          {by(p.Signer), func(tr *format.Trust) { tr.Signer = "Signer" }, Policy{CommonName: true}, nil},
		"sha1":                 {SignOptions{Signers: []Identity{p.Signer}, Certificates: help, Digest: "sha1"}, nil, Policy{}, format.ErrWeak},
		"sha1 allowed":         {SignOptions{Signers: []Identity{p.Signer}, Certificates: help, Digest: "sha1"}, nil, Policy{AllowWeak: true}, nil},
		"small key":            {by(small), nil, Policy{}, format.ErrWeak},
		"bare where forbidden": {SignOptions{Signers: []Identity{p.Signer}, Certificates: help, NoAttributes: true}, nil, Policy{RequireAttributes: true}, format.ErrNotBound},
		"nobody":               {SignOptions{Certificates: help}, nil, Policy{}, format.ErrUnsigned},
		"two":                  {SignOptions{Signers: []Identity{p.Signer, issue(Leaf{})}, Certificates: help}, nil, Policy{}, format.ErrNotVerified},
		"two, all":             {SignOptions{Signers: []Identity{p.Signer, issue(Leaf{})}, Certificates: help}, nil, Policy{Signers: AllSigners}, nil},
		"stranger first, all":  {SignOptions{Signers: []Identity{stranger.Signer, p.Signer}, Certificates: help}, nil, Policy{Signers: AllSigners}, format.ErrChain},
		"stranger first, any":  {SignOptions{Signers: []Identity{stranger.Signer, p.Signer}, Certificates: help}, nil, Policy{Signers: AnySigner}, nil},
		"strangers, any":       {SignOptions{Signers: []Identity{stranger.Signer, fake}}, nil, Policy{Signers: AnySigner}, format.ErrChain},
	} {
		t.Run(name, func(t *testing.T) {
			trust := p.trust()
			if c.trust != nil {
				c.trust(&trust)
			}
			for _, detached := range []bool{false, true} {
				c.options.Detached = detached
				m := signed(t, content, c.options)
				r, err := m.VerifyAttached(trust, c.policy)
				if detached {
					require.ErrorIs(t, err, format.ErrNotBound)
					r, err = m.VerifyDetached(bytes.NewReader(content), trust, c.policy)
				} else {
					_, err := m.VerifyDetached(bytes.NewReader(content), trust, c.policy)
					require.ErrorIs(t, err, format.ErrNotBound)
				}
				if c.want == nil {
					require.NoError(t, err)
					require.Equal(t, "hash", r.Links[len(r.Links)-1].Kind)
				} else {
					require.ErrorIs(t, err, c.want)
				}
			}
		})
	}
}

func TestSignersOfTwoDigests(t *testing.T) {
	p := newPKI(t, PKIOptions{})
	second, err := p.Issue(Leaf{Name: "Second"})
	require.NoError(t, err)
	a := signed(t, content, SignOptions{Signers: []Identity{p.Signer}, Detached: true})
	b := signed(t, content, SignOptions{Signers: []Identity{second}, Detached: true, Digest: "sha512"})
	der, err := a.Before(b)
	both := reparse(t, der, err)
	require.Len(t, both.Signers, 2)
	r, err := both.VerifyDetached(bytes.NewReader(content), p.trust(), Policy{Signers: AllSigners})
	require.NoError(t, err)
	require.Equal(t, "ecdsa-p256-sha512", r.Signature, "the first that verifies is told")
}

// TestHintsOfX509 has faults above the signer's certificate, which crypto/x509 tells in words only.
func TestHintsOfX509(t *testing.T) {
	p := newPKI(t, PKIOptions{Intermediate: true})
	old := like(p.Intermediate.Certificate)
	Expire(old)
	expired, err := certify(p.Root, old, p.Intermediate.Key)
	require.NoError(t, err)
	m := signed(t, content, SignOptions{Signers: []Identity{p.Signer}, Certificates: []*x509.Certificate{expired.Certificate}})
	_, err = m.VerifyAttached(p.trust(), Policy{})
	require.ErrorIs(t, err, format.ErrValidity)
}

func TestKeylessAttacks(t *testing.T) {
	p := newPKI(t, PKIOptions{})
	m := signed(t, content, SignOptions{Signers: []Identity{p.Signer}, Detached: true})

	der, other, err := m.StripAttributes()
	stripped := reparse(t, der, err)
	require.False(t, stripped.Signers[0].Attributes)
	_, err = stripped.VerifyDetached(bytes.NewReader(other), p.trust(), Policy{})
	require.ErrorIs(t, err, format.ErrNotBound)
	require.ErrorContains(t, err, "set of signed attributes")

	der, err = m.WithContent([]byte("other"))
	_, err = reparse(t, der, err).VerifyAttached(p.trust(), Policy{})
	require.ErrorIs(t, err, format.ErrBadHash)
	der, err = m.WithContent(content)
	attached := reparse(t, der, err)
	_, err = attached.VerifyAttached(p.trust(), Policy{})
	require.NoError(t, err)
	der, err = attached.WithoutContent()
	_, err = reparse(t, der, err).VerifyDetached(bytes.NewReader(content), p.trust(), Policy{})
	require.NoError(t, err)
	der, err = m.WithoutSigners()
	_, err = reparse(t, der, err).VerifyDetached(bytes.NewReader(content), p.trust(), Policy{})
	require.ErrorIs(t, err, format.ErrUnsigned)

	fake, _, err := Lookalike(p.Chain())
	require.NoError(t, err)
	bad := signed(t, content, SignOptions{Signers: []Identity{fake}, Detached: true})
	der, err = m.Before(bad)
	_, err = reparse(t, der, err).VerifyDetached(bytes.NewReader(content), p.trust(), Policy{Signers: AnySigner})
	require.Error(t, err, "two certificates of one name and serial number are ambiguous")
}

func TestLikeAttributes(t *testing.T) {
	set := attributes(Identity{}, make([]byte, 32), SignOptions{})
	assert.True(t, likeAttributes(set, int64(len(set))))
	assert.False(t, likeAttributes(set[1:], int64(len(set)-1)))
	assert.False(t, likeAttributes(append(set, 0), int64(len(set)+1)))
	assert.False(t, likeAttributes(nil, 0))
	assert.False(t, likeAttributes([]byte("1 firmware"), 10))
	assert.False(t, likeAttributes(make([]byte, keepLimit), keepLimit+1))
	for _, n := range []int{200, 70_000, 3 << 20} { // lengths in two, three and four bytes
		long := attributes(Identity{}, make([]byte, n), SignOptions{})
		assert.True(t, likeAttributes(long[:min(len(long), keepLimit)], int64(len(long))), "%d", n)
		assert.False(t, likeAttributes(long[:min(len(long), keepLimit)], int64(len(long))+1), "%d", n)
	}
}

// TestMutants: no message verifies that differs where the parser says that it is covered.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	p := newPKI(t, PKIOptions{Intermediate: true})
	good, err := Sign(bytes.NewReader(content[:40]), SignOptions{Signers: []Identity{p.Signer},
		Certificates: []*x509.Certificate{p.Intermediate.Certificate, p.Root.Certificate}, SigningTime: p.At})
	require.NoError(t, err)
	m, err := Parse(good)
	require.NoError(t, err)
	free := func(at int) bool {
		for _, r := range m.Uncovered {
			if int64(at) >= r.Offset && int64(at) < r.Offset+r.Size {
				return true
			}
		}
		return false
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range count {
		b := bytes.Clone(good)
		for range 1 + r.IntN(2) {
			at := r.IntN(len(b))
			switch r.IntN(5) {
			case 0, 1:
				b[at] ^= 1 << r.IntN(8)
			case 2:
				b[at] = byte(r.Uint32())
			case 3:
				b = b[:max(at, 1)]
			case 4:
				b = append(b[:at:at], append([]byte{byte(r.Uint32())}, b[at:]...)...)
			}
		}
		m, err := Parse(b)
		if err != nil {
			continue
		}
		if _, err := m.VerifyAttached(p.trust(), Policy{}); err != nil {
			continue
		}
		require.Len(t, b, len(good), "mutant %d", i)
		for at := range good {
			require.True(t, good[at] == b[at] || free(at), "mutant %d verifies with byte %d changed", i, at)
		}
	}
}

func FuzzParse(f *testing.F) {
	p := newPKI(f, PKIOptions{})
	for _, o := range []SignOptions{{}, {Detached: true}, {NoAttributes: true}, {KeyID: true, SigningTime: p.At}} {
		o.Signers = []Identity{p.Signer}
		der, err := Sign(bytes.NewReader(content), o)
		require.NoError(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		for _, r := range append(m.Covered, m.Uncovered...) {
			require.LessOrEqual(t, r.Offset+r.Size, int64(len(b)), r.Name)
		}
		_, _ = m.VerifyDetached(bytes.NewReader(content), p.trust(), Policy{})
		if again, err := m.WithoutContent(); err == nil && len(m.Signers) > 0 {
			_, _ = Parse(again)
		}
	})
}
