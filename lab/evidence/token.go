package evidence

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // old authorities name their certificate by it; the signature never rests on it
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Object identifiers of RFC 3161, RFC 5652 (CMS), RFC 5035 (ESS) and RFC 8017, 5758 (signatures).
var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidExtKeyUsage   = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidECKey         = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
)

// hashes are those that a stamp may rest on, with the signatures that go with them.
var hashes = []struct {
	oid, rsa, ecdsa asn1.ObjectIdentifier
	hash            crypto.Hash
	withRSA         x509.SignatureAlgorithm
	withECDSA       x509.SignatureAlgorithm
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256, x509.SHA256WithRSA, x509.ECDSAWithSHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384, x509.SHA384WithRSA, x509.ECDSAWithSHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13},
		asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, crypto.SHA512, x509.SHA512WithRSA, x509.ECDSAWithSHA512},
}

// stampResponse is a TimeStampResp (RFC 3161 section 2.4.2).
type stampResponse struct {
	Status struct {
		Status   int
		Words    []asn1.RawValue `asn1:"optional"`
		FailInfo asn1.BitString  `asn1:"optional"`
	}
	Token asn1.RawValue `asn1:"optional"`
}

// signedContent is a ContentInfo with SignedData in it (RFC 5652 sections 3 and 5.1).
type signedContent struct {
	Type asn1.ObjectIdentifier
	Data struct {
		Version int
		Digests []pkix.AlgorithmIdentifier `asn1:"set"`
		Inner   struct {
			Type    asn1.ObjectIdentifier
			Content []byte `asn1:"explicit,tag:0"`
		}
		Certificates asn1.RawValue  `asn1:"optional,tag:0"`
		Revoked      asn1.RawValue  `asn1:"optional,tag:1"`
		Signers      []signedSigner `asn1:"set"`
	} `asn1:"explicit,tag:0"`
}

type signedSigner struct {
	Version int
	By      struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	Digest    pkix.AlgorithmIdentifier
	Signed    asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
	Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
}

type signedAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// tstInfo is a TSTInfo (RFC 3161 section 2.4.2).
type tstInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint struct {
		Hash    pkix.AlgorithmIdentifier
		Message []byte
	}
	Serial   *big.Int
	Time     time.Time `asn1:"generalized"`
	Accuracy struct {
		Seconds int64 `asn1:"optional"`
		Millis  int64 `asn1:"optional,tag:0"`
		Micros  int64 `asn1:"optional,tag:1"`
	} `asn1:"optional"`
	Ordering   bool             `asn1:"optional,default:false"`
	Nonce      *big.Int         `asn1:"optional"`
	Authority  asn1.RawValue    `asn1:"optional,tag:0"`
	Extensions []pkix.Extension `asn1:"optional,tag:1"`
}

// A token is a time-stamp whose own signature holds; whose it is was not asked yet.
type token struct {
	info   tstInfo
	signer *x509.Certificate
	others []*x509.Certificate
}

// unmarshal reads DER, whole and nothing behind it.
func unmarshal(der []byte, into any, params string) error {
	rest, err := asn1.UnmarshalWithParams(der, into, params)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow it", len(rest))
	}
	return err
}

// parseToken reads an authority's response strictly and checks that it is signed by the
// certificate in it, and about message.
func parseToken(response, message []byte) (*token, error) {
	var r stampResponse
	if err := unmarshal(response, &r, ""); err != nil {
		return nil, fmt.Errorf("not a time-stamp response: %w", err)
	}
	if r.Status.Status != 0 { // 1 would be granted with changes, and nothing was asked for that could be changed
		return nil, fmt.Errorf("the authority refused it: status %d%s", r.Status.Status, refusal(r.Status.Words))
	}
	var c signedContent
	if err := unmarshal(r.Token.FullBytes, &c, ""); err != nil {
		return nil, fmt.Errorf("not a time-stamp token: %w", err)
	}
	switch {
	case !c.Type.Equal(oidSignedData) || !c.Data.Inner.Type.Equal(oidTSTInfo):
		return nil, errors.New("not a time-stamp token: it holds something else")
	case len(c.Data.Signers) == 1 && c.Data.Signers[0].Version != 1:
		return nil, fmt.Errorf("its signer's version is %d, want 1", c.Data.Signers[0].Version)
	case c.Data.Version != 3 || len(c.Data.Signers) != 1:
		return nil, fmt.Errorf("a token of version %d with %d signers, want version 3 with 1", c.Data.Version, len(c.Data.Signers))
	}
	t := &token{}
	s := c.Data.Signers[0]
	if err := t.certificates(c.Data.Certificates.Bytes, s); err != nil {
		return nil, err
	}
	if err := t.checkSignature(s, c.Data.Inner.Content); err != nil {
		return nil, err
	}
	if err := unmarshal(c.Data.Inner.Content, &t.info, ""); err != nil {
		return nil, fmt.Errorf("what was signed is no TSTInfo: %w", err)
	}
	if t.info.Version != 1 || t.info.Serial == nil {
		return nil, fmt.Errorf("TSTInfo of version %d, want 1", t.info.Version)
	}
	return t, t.checkImprint(message)
}

// refusal repeats an authority's words without letting them play with a terminal.
func refusal(words []asn1.RawValue) string {
	var s string
	for _, w := range words {
		s += ", " + printable(string(w.Bytes))
		if len(s) > 200 {
			break
		}
	}
	return s
}

// certificates finds the signer's one among those that came with the token.
func (t *token) certificates(der []byte, s signedSigner) error {
	all, err := x509.ParseCertificates(der)
	if err != nil {
		return fmt.Errorf("the token's certificates: %w", err)
	}
	for _, c := range all {
		if t.signer == nil && s.By.Serial != nil && c.SerialNumber.Cmp(s.By.Serial) == 0 && bytes.Equal(c.RawIssuer, s.By.Issuer.FullBytes) {
			t.signer = c
			continue
		}
		t.others = append(t.others, c)
	}
	if t.signer == nil {
		return errors.New("the token carries no certificate of its signer")
	}
	return nil
}

// checkSignature checks the signature over the signed attributes, and that these are about the content.
func (t *token) checkSignature(s signedSigner, content []byte) error {
	hash, algorithm, err := s.algorithms()
	if err != nil {
		return err
	}
	if len(s.Signed.FullBytes) == 0 {
		return errors.New("the token's signature covers no attributes")
	}
	signed := bytes.Clone(s.Signed.FullBytes)
	signed[0] = 0x31 // what is signed is the SET, not its place in the message (RFC 5652 section 5.4)
	if err := t.signer.CheckSignature(algorithm, signed, s.Signature); err != nil {
		return fmt.Errorf("the authority's signature: %w", err)
	}
	var list []signedAttribute
	if err := unmarshal(signed, &list, "set"); err != nil {
		return fmt.Errorf("the token's signed attributes: %w", err)
	}
	values := map[string][]byte{}
	for _, a := range list {
		if _, twice := values[a.Type.String()]; twice || len(a.Values) != 1 {
			return fmt.Errorf("signed attribute %s has more than one value", a.Type)
		}
		values[a.Type.String()] = a.Values[0].FullBytes
	}
	var typ asn1.ObjectIdentifier
	if err := unmarshal(values[oidContentType.String()], &typ, ""); err != nil || !typ.Equal(oidTSTInfo) {
		return errors.New("the signature is not about a time-stamp")
	}
	var digest []byte
	h := hash.New()
	h.Write(content)
	if err := unmarshal(values[oidMessageDigest.String()], &digest, ""); err != nil || !bytes.Equal(digest, h.Sum(nil)) {
		return errors.New("the signature is about another time")
	}
	return t.checkNamed(values)
}

// checkNamed demands that the signature names the certificate it is under (RFC 3161 section
// 2.4.1), so that nobody can put another certificate of the same key into its place.
func (t *token) checkNamed(values map[string][]byte) error {
	type named struct {
		Algorithm pkix.AlgorithmIdentifier `asn1:"optional"`
		Hash      []byte
		By        asn1.RawValue `asn1:"optional"`
	}
	var v struct {
		Certs    []named
		Policies asn1.RawValue `asn1:"optional"`
	}
	hash := crypto.SHA256
	raw, second := values[oidSigningCertV2.String()]
	if !second {
		raw, hash = values[oidSigningCert.String()], crypto.SHA1
	}
	if err := unmarshal(raw, &v, ""); err != nil || len(v.Certs) == 0 {
		return errors.New("the signature does not name its certificate")
	}
	if second && len(v.Certs[0].Algorithm.Algorithm) > 0 {
		var ok bool
		if hash, ok = hashOf(v.Certs[0].Algorithm.Algorithm); !ok {
			return errors.New("the signature names its certificate by an unknown hash")
		}
	}
	h := hash.New()
	h.Write(t.signer.Raw)
	if !bytes.Equal(h.Sum(nil), v.Certs[0].Hash) {
		return errors.New("the signature names another certificate")
	}
	return nil
}

var _ = sha1.New // registers crypto.SHA1

func hashOf(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	for _, h := range hashes {
		if h.oid.Equal(oid) {
			return h.hash, true
		}
	}
	return 0, false
}

// algorithms are the hash over the content and the signature's own; RSA-PSS and SHA-1 are refused.
func (s signedSigner) algorithms() (crypto.Hash, x509.SignatureAlgorithm, error) {
	for _, h := range hashes {
		if !h.oid.Equal(s.Digest.Algorithm) {
			continue
		}
		for _, a := range hashes {
			switch {
			case a.rsa.Equal(s.Algorithm.Algorithm):
				return h.hash, a.withRSA, nil
			case a.ecdsa.Equal(s.Algorithm.Algorithm):
				return h.hash, a.withECDSA, nil
			}
		}
		switch {
		case oidRSA.Equal(s.Algorithm.Algorithm):
			return h.hash, h.withRSA, nil
		case oidECKey.Equal(s.Algorithm.Algorithm):
			return h.hash, h.withECDSA, nil
		}
		return 0, 0, fmt.Errorf("signature algorithm %s is none that a stamp may rest on", s.Algorithm.Algorithm)
	}
	return 0, 0, fmt.Errorf("hash algorithm %s is none that a stamp may rest on", s.Digest.Algorithm)
}

// checkImprint demands that the token is about message.
func (t *token) checkImprint(message []byte) error {
	hash, ok := hashOf(t.info.Imprint.Hash.Algorithm)
	if !ok {
		return fmt.Errorf("its imprint is of hash %s, which is none that a stamp may rest on", t.info.Imprint.Hash.Algorithm)
	}
	h := hash.New()
	h.Write(message)
	if !bytes.Equal(h.Sum(nil), t.info.Imprint.Message) {
		return errors.New("it is about another signature: the message imprint differs")
	}
	return nil
}
