package detached

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/blake2b"

	"assay/firmware/format"
)

// Minisign is what SignMinisign needs.
type Minisign struct {
	Key     crypto.Signer // Ed25519
	Number  [8]byte       // of the key
	Comment string        // untrusted
	Trusted string        // the trusted comment
	Legacy  bool          // over the file itself, as minisign before 0.11 did
}

// SignMinisign writes a signature of artifact as minisign does.
func SignMinisign(spec Minisign, artifact []byte) ([]byte, error) {
	if strings.ContainsAny(spec.Comment+spec.Trusted, "\r\n") {
		return nil, fmt.Errorf("sign as minisign: a comment has one line")
	}
	m := minisign{signatureLine: signatureLine{comment: spec.Comment, algorithm: algorithmPrehash, number: spec.Number}, trusted: spec.Trusted}
	sum := blake2b.Sum512(artifact)
	message := sum[:]
	if spec.Legacy {
		m.algorithm, message = algorithmPure, artifact
	}
	var err error
	if m.value, err = signEd25519(spec.Key, message); err != nil {
		return nil, fmt.Errorf("sign as minisign: %w", err)
	}
	if m.global, err = signEd25519(spec.Key, concat(m.value[:], []byte(spec.Trusted))); err != nil {
		return nil, fmt.Errorf("sign as minisign: %w", err)
	}
	return m.bytes(), nil
}

// Signify is what SignSignify needs.
type Signify struct {
	Key     crypto.Signer // Ed25519
	Number  [8]byte       // of the key
	Comment string
}

// SignSignify writes a signature of message as signify and usign do. The message put
// behind it is the embedded form.
func SignSignify(spec Signify, message []byte) ([]byte, error) {
	if strings.ContainsAny(spec.Comment, "\r\n") {
		return nil, fmt.Errorf("sign as signify: a comment has one line")
	}
	s := signatureLine{comment: spec.Comment, algorithm: algorithmPure, number: spec.Number}
	var err error
	if s.value, err = signEd25519(spec.Key, message); err != nil {
		return nil, fmt.Errorf("sign as signify: %w", err)
	}
	return s.append(nil), nil
}

// SignRaw writes what openssl dgst -sign does: of an RSA key PKCS#1 v1.5, or PSS with a
// salt of the digest's length. An Ed25519 key signs the artifact itself.
func SignRaw(key crypto.Signer, hash crypto.Hash, pss bool, artifact []byte) ([]byte, error) {
	if key == nil {
		return nil, format.Wrap(format.ErrUnsigned, "no key to sign with")
	}
	if _, ok := key.Public().(ed25519.PublicKey); ok {
		return key.Sign(nil, artifact, crypto.Hash(0))
	}
	h := hash.New()
	h.Write(artifact)
	var opts crypto.SignerOpts = hash
	if pss {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return key.Sign(rand.Reader, h.Sum(nil), opts)
}

// OpenPGP is what SignOpenPGP needs. It writes version 4 packets.
type OpenPGP struct {
	Key         crypto.Signer
	KeyID       uint64
	Fingerprint []byte // of the key; left out if nil
	Algorithm   byte   // 1 RSA, 19 ECDSA, 22 EdDSA; 27 Ed25519
	Hash        crypto.Hash
	Type        byte  // 0 of a file
	Created     int64 // Unix time
}

// OpenPGP's numbers (RFC 9580 sections 9.1, 9.5).
const (
	pgpRSA           = 1
	pgpECDSA         = 19
	pgpEdDSA         = 22
	pgpEd25519       = 27
	subpacketCreated = 2
	subpacketIssuer  = 16
	subpacketFpr     = 33
)

var pgpHashes = map[crypto.Hash]byte{crypto.SHA1: 2, crypto.SHA256: 8, crypto.SHA384: 9, crypto.SHA512: 10}

// SignOpenPGP writes a binary signature of artifact.
func SignOpenPGP(spec OpenPGP, artifact []byte) ([]byte, error) {
	id, ok := pgpHashes[spec.Hash]
	if !ok || spec.Key == nil {
		return nil, fmt.Errorf("sign as openpgp: no key, or no number for %v", spec.Hash)
	}
	area := append([]byte{5, subpacketCreated}, binary.BigEndian.AppendUint32(nil, uint32(spec.Created))...)
	if spec.Fingerprint != nil {
		area = append(area, byte(len(spec.Fingerprint)+2), subpacketFpr, 4)
		area = append(area, spec.Fingerprint...)
	}
	hashed := []byte{4, spec.Type, spec.Algorithm, id}
	hashed = binary.BigEndian.AppendUint16(hashed, uint16(len(area)))
	hashed = append(hashed, area...)
	h := spec.Hash.New()
	h.Write(artifact)
	h.Write(hashed)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(hashed))))
	sum := h.Sum(nil)
	value, err := pgpValue(spec, sum)
	if err != nil {
		return nil, fmt.Errorf("sign as openpgp: %w", err)
	}
	body := append(hashed, 0, 10, 9, subpacketIssuer)
	body = binary.BigEndian.AppendUint64(body, spec.KeyID)
	body = append(body, sum[:2]...)
	body = append(body, value...)
	return append(binary.BigEndian.AppendUint16([]byte{0x80 | 2<<2 | 1}, uint16(len(body))), body...), nil
}

func pgpValue(spec OpenPGP, sum []byte) ([]byte, error) {
	opts := crypto.SignerOpts(spec.Hash)
	if spec.Algorithm == pgpEdDSA || spec.Algorithm == pgpEd25519 {
		opts = crypto.Hash(0)
	}
	sig, err := spec.Key.Sign(rand.Reader, sum, opts)
	if err != nil {
		return nil, err
	}
	switch spec.Key.Public().(type) {
	case *ecdsa.PublicKey:
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &pair); err != nil {
			return nil, err
		}
		return append(mpi(pair.R.Bytes()), mpi(pair.S.Bytes())...), nil
	case ed25519.PublicKey:
		if spec.Algorithm == pgpEd25519 {
			return sig, nil
		}
		return append(mpi(sig[:32]), mpi(sig[32:])...), nil
	}
	return mpi(sig), nil
}

// mpi writes a number as RFC 9580 section 3.2 does.
func mpi(b []byte) []byte {
	n := new(big.Int).SetBytes(b)
	return append(binary.BigEndian.AppendUint16(nil, uint16(n.BitLen())), n.Bytes()...)
}
