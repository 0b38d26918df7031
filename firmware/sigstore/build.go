package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// A Spec is what Build signs.
type Spec struct {
	Artifact  []byte
	Predicate string        // type of an in-toto predicate: the statement is signed; empty: the artifact is
	Signer    crypto.Signer // a managed key; nil: keyless, under Authority
	Authority *Authority    // what issues certificates and logs entries; nil: nothing does
	Identity  string        // keyless: a URI
	Issuer    string        // keyless: who vouches for Identity
}

// Build makes a bundle v0.3 for tests. A keyless one has the promise and the proof of a Rekor
// v1 log, whose time it rests on.
func Build(s Spec) ([]byte, error) {
	b, err := build(s)
	if err != nil {
		return nil, fmt.Errorf("build sigstore bundle: %w", err)
	}
	return b, nil
}

// BuildPlain makes cosign's blob signature: one line of base64.
func BuildPlain(artifact []byte, signer crypto.Signer) ([]byte, error) {
	sig, err := sign(signer, artifact, true)
	if err != nil {
		return nil, fmt.Errorf("build plain signature: %w", err)
	}
	return []byte(base64.StdEncoding.EncodeToString(sig)), nil
}

type object = map[string]any

func build(s Spec) ([]byte, error) {
	signer := s.Signer
	var material object
	var shown []byte
	if signer == nil {
		if s.Authority == nil {
			return nil, errors.New("neither a key nor an authority")
		}
		key, certificate, err := s.Authority.issue(s.Identity, s.Issuer)
		if err != nil {
			return nil, err
		}
		signer, material = key, object{"certificate": object{"rawBytes": certificate}}
		shown = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	} else {
		der, err := x509.MarshalPKIXPublicKey(signer.Public())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(der)
		material = object{"publicKey": object{"hint": base64.StdEncoding.EncodeToString(sum[:])}}
		shown = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	content, entry, err := signContent(s, signer, shown)
	if err != nil {
		return nil, err
	}
	if s.Authority != nil {
		logged, err := s.Authority.log(entry)
		if err != nil {
			return nil, err
		}
		material["tlogEntries"] = []any{logged}
	}
	content["mediaType"], content["verificationMaterial"] = mediaTypePrefix+".v0.3+json", material
	return json.Marshal(content)
}

// signContent returns the signed half of a bundle, and the entry that a Rekor v1 log takes of it.
func signContent(s Spec, signer crypto.Signer, shown []byte) (object, object, error) {
	h := hashesOf(signer.Public())
	if len(h) == 0 {
		return nil, nil, fmt.Errorf("no way to sign with a %T", signer.Public())
	}
	if s.Predicate == "" {
		sig, err := sign(signer, s.Artifact, false)
		if err != nil {
			return nil, nil, err
		}
		sum := sumOf(h[0], s.Artifact)
		names := map[crypto.Hash]string{crypto.SHA256: "SHA2_256", crypto.SHA384: "SHA2_384", crypto.SHA512: "SHA2_512"}
		entry := object{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": object{
			"data":      object{"hash": object{"algorithm": hashName(h[0]), "value": fmt.Sprintf("%x", sum)}},
			"signature": object{"content": sig, "publicKey": object{"content": shown}},
		}}
		return object{"messageSignature": object{"messageDigest": object{"algorithm": names[h[0]], "digest": sum}, "signature": sig}}, entry, nil
	}
	payload, err := json.Marshal(object{"_type": statementTypePrefix + "1", "predicateType": s.Predicate, "predicate": object{},
		"subject": []any{object{"name": "firmware.bin", "digest": object{"sha256": fmt.Sprintf("%x", sha256.Sum256(s.Artifact))}}}})
	if err != nil {
		return nil, nil, err
	}
	e := envelope{payloadType: payloadType, payload: payload}
	sig, err := sign(signer, e.message(), true)
	if err != nil {
		return nil, nil, err
	}
	entry := object{"apiVersion": "0.0.1", "kind": "dsse", "spec": object{
		"envelopeHash": object{"algorithm": "sha256", "value": fmt.Sprintf("%x", sha256.Sum256(e.message()))}, // of the envelope's text, which nobody reads
		"payloadHash":  object{"algorithm": "sha256", "value": fmt.Sprintf("%x", sha256.Sum256(payload))},
		"signatures":   []any{object{"signature": base64.StdEncoding.EncodeToString(sig), "verifier": shown}},
	}}
	return object{"dsseEnvelope": object{"payload": payload, "payloadType": payloadType, "signatures": []any{object{"sig": sig}}}}, entry, nil
}

func sumOf(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b)
	return w.Sum(nil)
}

// sign signs as the key's first hash says; pure is for Ed25519 alone.
func sign(signer crypto.Signer, message []byte, pure bool) ([]byte, error) {
	hashes := hashesOf(signer.Public())
	if len(hashes) == 0 {
		return nil, fmt.Errorf("no way to sign with a %T", signer.Public())
	}
	if _, ed := signer.Public().(ed25519.PublicKey); ed {
		if pure {
			return signer.Sign(rand.Reader, message, crypto.Hash(0))
		}
		return signer.Sign(rand.Reader, sumOf(crypto.SHA512, message), &ed25519.Options{Hash: crypto.SHA512})
	}
	return signer.Sign(rand.Reader, sumOf(hashes[0], message), hashes[0])
}

// strangerOf makes a key of the same kind; RSA's would take seconds, so it is one of ECDSA.
func strangerOf(public crypto.PublicKey) (crypto.Signer, error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.GenerateKey(p.Curve, rand.Reader)
	case ed25519.PublicKey:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(p256(), rand.Reader)
}
