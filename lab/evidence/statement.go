package evidence

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
)

// Type names of in-toto Statement v1, DSSE and the Sigstore bundle v0.3. PredicateType
// is ours; its host is reserved by RFC 2606, so it can never mean anything else.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://assay.example/evidence/v1"
	payloadType   = "application/vnd.in-toto+json"
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// Names of the subjects that every statement has.
const (
	SubjectJournal = "journal" // the Merkle root over records and files
	SubjectTree    = treeName  // the digest of tree.json, for tools that only know files
)

// A Statement is what is signed: an in-toto Statement v1.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// A Subject is something the statement is about, by digest.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"` // algorithm to hex, e.g. sha256
}

// A Predicate is what the statement says about a run: nothing but what whoever verifies recomputes.
type Predicate struct {
	Records   int       `json:"records"`
	Artefacts int       `json:"artefacts"`
	Head      string    `json:"head"` // hex SHA-256 of the journal's last line
	Begun     time.Time `json:"begun"`
	Ended     time.Time `json:"ended"`
}

// state makes the statement about evidence whose tree is known.
func state(e *Evidence, root string, treeJSON []byte) *Statement {
	sum := sha256.Sum256(treeJSON)
	first, last := e.Records[0], e.Records[len(e.Records)-1]
	return &Statement{
		Type: StatementType,
		Subject: []Subject{
			{Name: SubjectJournal, Digest: map[string]string{"sha256": root}},
			{Name: SubjectTree, Digest: map[string]string{"sha256": digest(sum).String()}},
		},
		PredicateType: PredicateType,
		Predicate: Predicate{
			Records: len(e.Records), Artefacts: len(e.Artefacts), Head: last.Digest,
			Begun: first.Time, Ended: last.Time,
		},
	}
}

// envelope is a Sigstore bundle v0.3 with a DSSE envelope in it, of which bundles
// allow exactly one signature. DSSE's keyid is left out: cosign 3.1 refuses a bundle
// whose keyid is the hint.
type envelope struct {
	MediaType    string       `json:"mediaType"`
	Verification verification `json:"verificationMaterial"`
	DSSE         dsse         `json:"dsseEnvelope"`
}

// verification is one of the two.
type verification struct {
	PublicKey   *keyHint        `json:"publicKey,omitempty"`
	Certificate *rawCertificate `json:"certificate,omitempty"`
}

type keyHint struct {
	Hint string `json:"hint"`
}

type rawCertificate struct {
	Raw []byte `json:"rawBytes"` // DER, base64 in JSON
}

type dsse struct {
	Payload     []byte          `json:"payload"` // base64 in JSON
	PayloadType string          `json:"payloadType"`
	Signatures  []dsseSignature `json:"signatures"`
}

type dsseSignature struct {
	Sig []byte `json:"sig"`
}

// pae is DSSE's pre-authentication encoding: what the signature is over.
func pae(typ string, body []byte) []byte {
	b := []byte("DSSEv1 " + strconv.Itoa(len(typ)) + " " + typ + " " + strconv.Itoa(len(body)) + " ")
	return append(b, body...)
}

// signStatement makes the content of the seal.
func signStatement(s *Statement, signer signature.Signer) ([]byte, error) {
	return signPayload(s, signer)
}

// signPayload signs a statement of any predicate.
func signPayload(statement any, signer signature.Signer) ([]byte, error) {
	payload, err := json.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	sig, err := signer.SignMessage(bytes.NewReader(pae(payloadType, payload)))
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	env := envelope{MediaType: bundleType, DSSE: dsse{
		Payload: payload, PayloadType: payloadType, Signatures: []dsseSignature{{Sig: sig}},
	}}
	if k, ok := signer.(*KeylessSigner); ok {
		env.Verification.Certificate = &rawCertificate{k.Certificate.Raw}
		return env.encode()
	}
	hint, err := Hint(signer)
	if err != nil {
		return nil, err
	}
	env.Verification.PublicKey = &keyHint{hint}
	return env.encode()
}

func (env envelope) encode() ([]byte, error) {
	b, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("encode seal: %w", err)
	}
	return append(b, '\n'), nil
}

// Hint names a key: base64 of the SHA-256 of its SubjectPublicKeyInfo.
func Hint(key signature.PublicKeyProvider) (string, error) {
	pub, err := key.PublicKey()
	if err != nil {
		return "", fmt.Errorf("read public key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// hashOfSeals is what seals are signed over.
const hashOfSeals = crypto.SHA256

// hint names the key that the seal is said to be under.
func (env *envelope) hint() (string, error) {
	if env.Verification.PublicKey != nil {
		return env.Verification.PublicKey.Hint, nil
	}
	c, _, err := env.signer()
	if err != nil {
		return "", err
	}
	key, err := signature.LoadVerifier(c.PublicKey, hashOfSeals)
	if err != nil {
		return "", fmt.Errorf("its certificate's key: %w", err)
	}
	return Hint(key)
}

// openSeal reads a seal strictly: there is one form of it, and a byte more or less is refused.
func openSeal(b []byte) (*envelope, error) {
	var env envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return nil, err
	}
	switch again, err := env.encode(); {
	case err != nil:
		return nil, err
	case !bytes.Equal(again, b):
		return nil, errors.New("not in the form a seal is written in")
	case env.MediaType != bundleType:
		return nil, fmt.Errorf("media type %.80q, want %s", env.MediaType, bundleType)
	case env.DSSE.PayloadType != payloadType:
		return nil, fmt.Errorf("payload type %.80q, want %s", env.DSSE.PayloadType, payloadType)
	case (env.Verification.PublicKey == nil) == (env.Verification.Certificate == nil):
		return nil, errors.New("it names a key or holds a certificate, one of the two")
	case len(env.DSSE.Signatures) != 1:
		return nil, fmt.Errorf("%d signatures, want exactly 1", len(env.DSSE.Signatures))
	}
	return &env, nil
}

// statement reads the payload, which must be verified first.
func (env *envelope) statement() (*Statement, error) {
	var s Statement
	if err := json.Unmarshal(env.DSSE.Payload, &s); err != nil {
		return nil, err
	}
	switch again, err := json.Marshal(s); {
	case err != nil:
		return nil, err
	case !bytes.Equal(again, env.DSSE.Payload):
		return nil, errors.New("statement is not in the form it is written in")
	case s.Type != StatementType:
		return nil, fmt.Errorf("statement type %.80q, want %s", s.Type, StatementType)
	case s.PredicateType != PredicateType:
		return nil, fmt.Errorf("predicate type %.80q, want %s", s.PredicateType, PredicateType)
	}
	return &s, nil
}
