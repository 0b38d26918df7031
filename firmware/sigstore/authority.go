package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// An Authority is a small Sigstore of a test's own: it issues certificates, and keeps a log of
// them and of signatures. Nobody else trusts it.
type Authority struct {
	at       time.Time
	root, ca *x509.Certificate
	caKey    *ecdsa.PrivateKey
	logKey   *ecdsa.PrivateKey // of signatures (Rekor v1)
	ctKey    *ecdsa.PrivateKey // of certificates (RFC 6962)
}

const (
	authorityURL = "https://sigstore.example"
	logOrigin    = "log.sigstore.example - 4242"
	lifetime     = 10 * time.Minute // of a signer's certificate
)

var (
	issuerOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8} // Fulcio: issuer (v2)
	sctOID    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

func p256() elliptic.Curve { return elliptic.P256() }

// NewAuthority makes one whose clock stands at that time.
func NewAuthority(at time.Time) (*Authority, error) {
	a := &Authority{at: at.UTC().Truncate(time.Second)}
	rootKey, err := ecdsa.GenerateKey(p256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	for _, k := range []**ecdsa.PrivateKey{&a.caKey, &a.logKey, &a.ctKey} {
		if *k, err = ecdsa.GenerateKey(p256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	if a.root, err = a.authority("sigstore.example root", nil, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	a.ca, err = a.authority("sigstore.example intermediate", a.root, &a.caKey.PublicKey, rootKey)
	return a, err
}

func (a *Authority) authority(name string, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: a.at.Add(-time.Hour), NotAfter: a.at.Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if parent == nil {
		parent, template.ExtKeyUsage = template, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue makes a key and its certificate, logged before it is issued.
func (a *Authority) issue(identity, issuer string) (crypto.Signer, []byte, error) {
	who, err := url.Parse(identity)
	if err != nil {
		return nil, nil, err
	}
	vouches, err := asn1.MarshalWithParams(issuer, "utf8")
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(p256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: a.at, NotAfter: a.at.Add(lifetime), URIs: []*url.URL{who},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: issuerOID, Value: vouches}},
	}
	early, err := x509.CreateCertificate(rand.Reader, template, a.ca, &key.PublicKey, a.caKey)
	if err != nil {
		return nil, nil, err
	}
	seen, err := x509.ParseCertificate(early)
	if err != nil {
		return nil, nil, err
	}
	sct, err := a.logCertificate(seen)
	if err != nil {
		return nil, nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: sctOID, Value: sct})
	der, err := x509.CreateCertificate(rand.Reader, template, a.ca, &key.PublicKey, a.caKey)
	return key, der, err
}

// logCertificate makes the list of one signed certificate timestamp (RFC 6962 section 3.2).
func (a *Authority) logCertificate(c *x509.Certificate) ([]byte, error) {
	issuer := sha256.Sum256(a.ca.RawSubjectPublicKeyInfo)
	stamp := binary.BigEndian.AppendUint64(nil, uint64(a.at.UnixMilli()))
	signed := append([]byte{0, 0}, stamp...)
	signed = append(append(signed, 0, 1), issuer[:]...)
	n := len(c.RawTBSCertificate)
	signed = append(append(signed, byte(n>>16), byte(n>>8), byte(n)), c.RawTBSCertificate...)
	signed = append(signed, 0, 0)
	sig, err := sign(a.ctKey, signed, false)
	if err != nil {
		return nil, err
	}
	id := logID(a.ctKey)
	sct := append(append([]byte{0}, id...), stamp...)
	sct = append(sct, 0, 0, 4, 3) // no extensions; SHA-256, ECDSA
	sct = append(binary.BigEndian.AppendUint16(sct, uint16(len(sig))), sig...)
	list := append(binary.BigEndian.AppendUint16(nil, uint16(len(sct))), sct...)
	return asn1.Marshal(append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...))
}

// log takes an entry as the second leaf of its tree.
func (a *Authority) log(entry object) (object, error) {
	body, err := json.Marshal(entry) // keys in order, as canonical JSON wants them
	if err != nil {
		return nil, err
	}
	leaf := sha256.Sum256(append([]byte{0}, body...))
	sibling := sha256.Sum256([]byte("the first entry"))
	top := sha256.Sum256(bytes.Join([][]byte{{1}, sibling[:], leaf[:]}, nil))
	note := fmt.Sprintf("%s\n2\n%s\n", logOrigin, base64.StdEncoding.EncodeToString(top[:]))
	sig, err := sign(a.logKey, []byte(note), false)
	if err != nil {
		return nil, err
	}
	id := logID(a.logKey)
	checkpoint := note + fmt.Sprintf("\n\u2014 log.sigstore.example %s\n", base64.StdEncoding.EncodeToString(append(bytes.Clone(id[:4]), sig...)))
	when := a.at.Add(time.Minute).Unix()
	promise, err := json.Marshal(struct {
		Body  []byte `json:"body"`
		Time  int64  `json:"integratedTime"`
		LogID string `json:"logID"`
		Index int64  `json:"logIndex"`
	}{body, when, hex.EncodeToString(id), 1})
	if err != nil {
		return nil, err
	}
	set, err := sign(a.logKey, promise, false)
	if err != nil {
		return nil, err
	}
	return object{
		"logIndex": "1", "logId": object{"keyId": id}, "integratedTime": fmt.Sprint(when), "canonicalizedBody": body,
		"kindVersion":      object{"kind": entry["kind"], "version": entry["apiVersion"]},
		"inclusionPromise": object{"signedEntryTimestamp": set},
		"inclusionProof": object{"logIndex": "1", "treeSize": "2", "rootHash": top[:], "hashes": [][]byte{sibling[:]},
			"checkpoint": object{"envelope": checkpoint}},
	}, nil
}

func logID(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic("sigstore: a key of P-256 has an encoding")
	}
	sum := sha256.Sum256(der)
	return sum[:]
}

// TrustedRoot is the file by which others trust it.
func (a *Authority) TrustedRoot() ([]byte, error) {
	valid := object{"start": a.at.Add(-time.Hour).Format(time.RFC3339)}
	instance := func(key *ecdsa.PrivateKey) (object, error) {
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		return object{"baseUrl": authorityURL, "hashAlgorithm": "SHA2_256", "logId": object{"keyId": logID(key)},
			"publicKey": object{"rawBytes": der, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}}, err
	}
	logs, err := instance(a.logKey)
	if err != nil {
		return nil, err
	}
	certificates, err := instance(a.ctKey)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object{
		"mediaType": trustedRootType + "+json;version=0.1",
		"tlogs":     []any{logs}, "ctlogs": []any{certificates},
		"certificateAuthorities": []any{object{"uri": authorityURL, "validFor": valid,
			"certChain": object{"certificates": []any{object{"rawBytes": a.ca.Raw}, object{"rawBytes": a.root.Raw}}}}},
	})
}
