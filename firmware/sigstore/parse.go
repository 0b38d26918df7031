package sigstore

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"

	"assay/firmware/format"
	"assay/firmware/strictjson"
)

// OpenUnverified parses a bundle or a plain signature; in.Artifact is what it should be of.
func OpenUnverified(in format.Input) (*Image, error) {
	img, err := open(in)
	if err != nil {
		return nil, fmt.Errorf("open sigstore signature: %w", err)
	}
	return img, nil
}

func open(in format.Input) (*Image, error) {
	if in.Dir != nil {
		return nil, malformed("a folder")
	}
	raw, err := in.Whole(maxBundle)
	if err != nil {
		return nil, err
	}
	img := &Image{raw: raw, artifact: in.Artifact}
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		img.sig, err = decodePlain(raw)
		return img, err
	}
	if err := strictjson.Check(raw, maxDepth); err != nil {
		if errors.Is(err, strictjson.ErrTrailing) {
			return nil, wrap(format.ErrTrailing, "bundle: %v", err)
		}
		return nil, malformed("bundle: %v", err)
	}
	return img, img.parseBundle()
}

// parseBundle reads the JSON by the published protobuf schema. The reader parses log entries
// with generated code of many hands: a panic of it is a malformed bundle, not an end of the lab's run.
func (img *Image) parseBundle() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = malformed("bundle: its reader gave up: %v", p)
		}
	}()
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(img.raw); err != nil {
		return malformed("bundle: %v", err)
	}
	version, known := mediaTypes[b.GetMediaType()]
	if !known {
		return malformed("bundle of media type %.80q", b.GetMediaType())
	}
	img.bundle, img.version = b, version
	if err := img.parseMaterial(b.GetVerificationMaterial()); err != nil {
		return err
	}
	return img.parseContent()
}

// parseMaterial takes the one key or certificate. A root in the bundle is refused by the
// client specification, as nothing in a bundle can be trusted to be one.
func (img *Image) parseMaterial(m *protobundle.VerificationMaterial) error {
	if key := m.GetPublicKey(); key != nil {
		img.hint = key.GetHint()
		return nil
	}
	certificates := m.GetX509CertificateChain().GetCertificates()
	if c := m.GetCertificate(); c != nil {
		certificates = []*protocommon.X509Certificate{c}
	}
	if len(certificates) == 0 {
		return malformed("neither a key nor a certificate")
	}
	for i, c := range certificates {
		parsed, err := x509.ParseCertificate(c.GetRawBytes())
		if err != nil {
			return malformed("certificate %d: %v", i+1, err)
		}
		if bytes.Equal(parsed.RawSubject, parsed.RawIssuer) && parsed.CheckSignatureFrom(parsed) == nil {
			return malformed("certificate %d is a root, and a bundle cannot bring its own", i+1)
		}
		if i == 0 {
			img.leaf = parsed
		}
	}
	if img.leaf.IsCA {
		return malformed("the signing certificate is an authority's")
	}
	return nil
}

func (img *Image) parseContent() error {
	if m := img.bundle.GetMessageSignature(); m != nil {
		img.sig = m.GetSignature()
		img.digest = m.GetMessageDigest().GetDigest()
		switch m.GetMessageDigest().GetAlgorithm() {
		case protocommon.HashAlgorithm_SHA2_256:
			img.hash = crypto.SHA256
		case protocommon.HashAlgorithm_SHA2_384:
			img.hash = crypto.SHA384
		case protocommon.HashAlgorithm_SHA2_512:
			img.hash = crypto.SHA512
		default:
			return malformed("message digest by %v", m.GetMessageDigest().GetAlgorithm())
		}
		if len(img.digest) != img.hash.Size() {
			return malformed("%v message digest of %d bytes", img.hash, len(img.digest))
		}
		return nil
	}
	e := img.bundle.GetDsseEnvelope()
	if e == nil {
		return malformed("neither a message signature nor an envelope")
	}
	if len(e.GetSignatures()) > 1 {
		return malformed("an envelope with %d signatures, a bundle has one", len(e.GetSignatures()))
	}
	for _, s := range e.GetSignatures() {
		img.sig = s.GetSig()
	}
	st, err := parseStatement(e.GetPayload())
	if err != nil {
		return err
	}
	img.envelope = &envelope{payloadType: e.GetPayloadType(), payload: e.GetPayload(), statement: st}
	if img.envelope.payloadType != payloadType {
		return malformed("envelope of type %.80q, want %q", img.envelope.payloadType, payloadType)
	}
	return nil
}

// decodePlain reads one line of base64 that holds an ECDSA signature in DER, or as many bytes
// as RSA (2048, 3072, 4096 bits) and Ed25519 signatures have.
func decodePlain(b []byte) ([]byte, error) {
	if len(b) > maxSignature {
		return nil, malformed("%d bytes, a plain signature has at most %d", len(b), maxSignature)
	}
	text := bytes.TrimRight(b, "\r\n")
	if len(b)-len(text) > 2 || bytes.ContainsAny(text, "\r\n") { // base64 skips them, wherever they are
		return nil, malformed("a plain signature is one line of base64")
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return nil, malformed("plain signature: %v", err)
	}
	switch len(sig) {
	case 64, 256, 384, 512:
		return sig, nil
	}
	if _, ok := ecdsaNumbers(sig); !ok {
		return nil, malformed("plain signature of %d bytes is none of ECDSA, RSA, Ed25519", len(sig))
	}
	return sig, nil
}

// ecdsaNumbers reads Ecdsa-Sig-Value (RFC 3279 section 2.2.3).
func ecdsaNumbers(der []byte) ([2]*big.Int, bool) {
	var v struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil || len(rest) > 0 {
		return [2]*big.Int{}, false
	}
	return [2]*big.Int{v.R, v.S}, true
}
