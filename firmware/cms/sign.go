package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// An Identity is a certificate with its key.
type Identity struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// SignOptions says how Sign signs. The zero value of everything but Signers is what
// openssl cms -sign -binary -nosmimecap makes.
type SignOptions struct {
	Signers          []Identity
	Certificates     []*x509.Certificate // more of them: intermediates, perhaps the root
	OmitCertificates bool                // leave those of the signers out
	Detached         bool                // leave the content out
	Digest           string              // sha256 where empty, sha512 for ed25519
	PSS              bool                // RSASSA-PSS with a salt as long as the digest, for RSA keys
	NoAttributes     bool                // sign the content itself
	KeyID            bool                // name the signers by subject key identifier
	SigningTime      time.Time           // what the signers claim; zero: nothing
	IndirectData     bool                // the content is what lies in an Authenticode SpcIndirectDataContent
	NameCertificate  bool                // bind each signature to its certificate (signing-certificate-v2, RFC 5035), as CAdES wants

	// Stamp is asked for an RFC 3161 token (DER) over each signature; it becomes an unsigned attribute.
	Stamp func(signature []byte) (token []byte, err error)
}

// Sign writes a DER message. Detached content is read once and not kept, except for
// ed25519 without attributes.
func Sign(content io.Reader, o SignOptions) ([]byte, error) {
	if o.Digest == "" {
		o.Digest = "sha256"
		for _, s := range o.Signers {
			if _, ok := s.Key.(ed25519.PrivateKey); ok {
				o.Digest = "sha512"
			}
		}
	}
	d, ok := findDigest(func(d digest) bool { return d.name == o.Digest })
	if !ok {
		return nil, fmt.Errorf("sign CMS: digest %q is not known", o.Digest)
	}
	p := parts{detached: o.Detached, digests: []digest{d}, contentType: oidData}
	if o.IndirectData {
		p.contentType = oidIndirectData
	}
	h := d.hash.New()
	var kept bytes.Buffer
	to := io.Writer(h)
	if !o.Detached || o.NoAttributes && o.Digest == "sha512" {
		to = io.MultiWriter(h, &kept)
	}
	if _, err := io.Copy(to, content); err != nil {
		return nil, fmt.Errorf("sign CMS: read content: %w", err)
	}
	if !o.Detached {
		p.content = kept.Bytes()
	}
	for _, s := range o.Signers {
		si, err := signerInfo(s, d, h.Sum(nil), kept.Bytes(), o)
		if err != nil {
			return nil, fmt.Errorf("sign CMS: %w", err)
		}
		p.signers = append(p.signers, si)
		if !o.OmitCertificates {
			p.certificates = append(p.certificates, s.Certificate.Raw)
		}
	}
	p.keyID = o.KeyID
	for _, c := range o.Certificates {
		p.certificates = append(p.certificates, c.Raw)
	}
	return p.bytes()
}

// parts is what a message is put together from.
type parts struct {
	contentType  asn1.ObjectIdentifier
	detached     bool
	content      []byte
	digests      []digest
	certificates [][]byte
	signers      [][]byte
	keyID        bool
}

func (p parts) bytes() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	raw := func(list [][]byte) func(*cryptobyte.Builder) {
		return func(b *cryptobyte.Builder) {
			for _, one := range list {
				b.AddBytes(one)
			}
		}
	}
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(context(0), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				version := int64(1)
				if p.keyID {
					version = 3
				}
				b.AddASN1Int64(version)
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
					for _, d := range p.digests {
						addAlgorithm(b, d.oid, nil)
					}
				})
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(p.contentType)
					if !p.detached {
						b.AddASN1(context(0), p.addContent)
					}
				})
				if len(p.certificates) > 0 {
					b.AddASN1(context(0), raw(p.certificates))
				}
				b.AddASN1(casn1.SET, raw(p.signers))
			})
		})
	})
	return b.Bytes()
}

// addContent writes an octet string; PKCS #7 (RFC 2315 section 7), which Authenticode keeps to, any element.
func (p parts) addContent(b *cryptobyte.Builder) {
	tag := casn1.OCTET_STRING
	if p.contentType.Equal(oidIndirectData) {
		tag = casn1.SEQUENCE
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(p.content) })
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, params func(*cryptobyte.Builder)) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if params != nil {
			params(b)
		}
	})
}

func signerInfo(id Identity, d digest, sum, content []byte, o SignOptions) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	set := []byte(nil)
	message := content
	if !o.NoAttributes {
		set = attributes(id, sum, o)
		h := d.hash.New()
		h.Write(set)
		sum, message = h.Sum(nil), set
	}
	sig, alg, err := signature(id.Key, d, sum, message, o.PSS)
	if err != nil {
		return nil, err
	}
	var token []byte
	if o.Stamp != nil {
		if token, err = o.Stamp(sig); err != nil {
			return nil, fmt.Errorf("time-stamp the signature: %w", err)
		}
	}
	if o.KeyID && len(id.Certificate.SubjectKeyId) == 0 {
		return nil, errors.New("the certificate has no subject key identifier")
	}
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if o.KeyID {
			b.AddASN1Int64(3)
			b.AddASN1(casn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id.Certificate.SubjectKeyId) })
		} else {
			b.AddASN1Int64(1)
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(id.Certificate.RawIssuer)
				b.AddASN1BigInt(id.Certificate.SerialNumber)
			})
		}
		addAlgorithm(b, d.oid, nil)
		if set != nil {
			implicit := bytes.Clone(set)
			implicit[0] = 0xa0
			b.AddBytes(implicit)
		}
		alg(b)
		b.AddASN1OctetString(sig)
		if token != nil {
			b.AddASN1(context(1), func(b *cryptobyte.Builder) {
				b.AddBytes(attribute(oidTimeStampToken, func(b *cryptobyte.Builder) { b.AddBytes(token) }))
			})
		}
	})
	return b.Bytes()
}

func attribute(oid asn1.ObjectIdentifier, value func(*cryptobyte.Builder)) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(casn1.SET, value)
	})
	return b.BytesOrPanic()
}

// attributes is the DER SET of content type, message digest, perhaps signing time and the name of the
// certificate: its elements in the order of their encodings (X.690 section 11.6).
func attributes(id Identity, sum []byte, o SignOptions) []byte {
	contentType := oidData
	if o.IndirectData {
		contentType = oidIndirectData
	}
	all := [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(contentType) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum) }),
	}
	if !o.SigningTime.IsZero() {
		all = append(all, attribute(oidSigningTime, func(b *cryptobyte.Builder) { b.AddASN1UTCTime(o.SigningTime.UTC()) }))
	}
	if o.NameCertificate {
		named := sha256.Sum256(id.Certificate.Raw)
		all = append(all, attribute(oidSigningCertV2, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // SigningCertificateV2
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // certs
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // ESSCertIDv2; SHA-256 is the default, which DER leaves out
						b.AddASN1OctetString(named[:])
					})
				})
			})
		}))
	}
	slices.SortFunc(all, bytes.Compare)
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
		for _, a := range all {
			b.AddBytes(a)
		}
	})
	return b.BytesOrPanic()
}

// A messageKey never sees a digest: what holds its key wants the message, as crypto.MessageSigner does.
type messageKey struct {
	crypto.MessageSigner
	message []byte
}

func (k messageKey) Sign(r io.Reader, _ []byte, o crypto.SignerOpts) ([]byte, error) {
	return k.SignMessage(r, k.message, o)
}

// signature signs and says how to write down the algorithm.
func signature(key crypto.Signer, d digest, sum, message []byte, pss bool) ([]byte, func(*cryptobyte.Builder), error) {
	null := func(b *cryptobyte.Builder) { b.AddASN1NULL() }
	if k, ok := key.(crypto.MessageSigner); ok && message != nil {
		key = messageKey{k, message}
	}
	switch key.Public().(type) {
	case *rsa.PublicKey:
		if pss {
			sig, err := key.Sign(rand.Reader, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: d.hash})
			return sig, func(b *cryptobyte.Builder) { addAlgorithm(b, oidPSS, pssParams(d)) }, err
		}
		sig, err := key.Sign(rand.Reader, sum, d.hash)
		return sig, func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSA, null) }, err
	case *ecdsa.PublicKey:
		if d.withEC == nil {
			return nil, nil, fmt.Errorf("ecdsa does not go with %s", d.name)
		}
		sig, err := key.Sign(rand.Reader, sum, d.hash)
		return sig, func(b *cryptobyte.Builder) { addAlgorithm(b, d.withEC, nil) }, err
	case ed25519.PublicKey:
		sig, err := key.Sign(rand.Reader, message, crypto.Hash(0))
		return sig, func(b *cryptobyte.Builder) { addAlgorithm(b, oidEd25519, nil) }, err
	}
	return nil, nil, fmt.Errorf("a %T makes no signature here", key)
}

// pssParams writes out everything but the trailer: digest, mask, salt.
func pssParams(d digest) func(*cryptobyte.Builder) {
	null := func(b *cryptobyte.Builder) { b.AddASN1NULL() }
	return func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if d.name != "sha1" { // the default, which DER leaves out
				b.AddASN1(context(0), func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, null) })
				b.AddASN1(context(1), func(b *cryptobyte.Builder) {
					addAlgorithm(b, oidMGF1, func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, null) })
				})
			}
			if d.hash.Size() != 20 {
				b.AddASN1(context(2), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(d.hash.Size())) })
			}
		})
	}
}
