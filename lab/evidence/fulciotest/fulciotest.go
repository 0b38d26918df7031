// Package fulciotest is a Fulcio (certificates of minutes for whoever an identity token names, API v2) on
// loopback for tests: its own root, its own issuer of tokens, its own clock, and the mistakes that a Fulcio or
// somebody who poses as one can make. It never certifies anybody but for the test that made it.
package fulciotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"
)

// Issuer is who vouches for identities in a Fulcio's tokens.
const Issuer = "https://oidc.lab.example"

// A Fulcio certifies whoever its issuer's tokens name. Its fields may be changed before it is asked.
type Fulcio struct {
	URL   string
	Root  string // the root certificate's file, PEM
	Asked int    // how often somebody asked for a certificate

	Now    func() time.Time
	Life   [2]time.Duration                            // of a certificate, around now
	Change func(c *x509.Certificate, public *any)      // spoils a certificate before it is signed
	Answer func(w http.ResponseWriter, chain []string) // answers in place of it

	rootKey, tokenKey *ecdsa.PrivateKey
	root              *x509.Certificate
}

// New starts a Fulcio that makes no mistake, by the given clock.
func New(t testing.TB, clock func() time.Time) *Fulcio {
	t.Helper()
	f := &Fulcio{Now: clock, Life: [2]time.Duration{0, 10 * time.Minute}}
	var err error
	f.rootKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	f.tokenKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	now := clock()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "assay test fulcio"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, NotBefore: now.AddDate(-20, 0, 0), NotAfter: now.AddDate(20, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &f.rootKey.PublicKey, f.rootKey)
	require.NoError(t, err)
	f.root, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	f.Root = filepath.Join(t.TempDir(), "fulcio-root.pem")
	require.NoError(t, os.WriteFile(f.Root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	s := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f
}

// Token is one of the issuer's tokens with these claims, and an hour to live where they do not say.
func (f *Fulcio) Token(t testing.TB, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": Issuer, "aud": "sigstore", "exp": f.Now().Add(time.Hour).Unix()}
	for k, v := range claims {
		all[k] = v
	}
	b, err := json.Marshal(all)
	require.NoError(t, err)
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, f.tokenKey, sum[:])
	require.NoError(t, err)
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig[:])
}

// Mail is the token of an e-mail address that the issuer has verified.
func (f *Fulcio) Mail(t testing.TB, address string) string {
	t.Helper()
	return f.Token(t, map[string]any{"sub": "17", "email": address, "email_verified": true})
}

func (f *Fulcio) serve(w http.ResponseWriter, r *http.Request) {
	f.Asked++
	chain, err := f.certify(r)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": 16, "message": err.Error()})
		return
	}
	if f.Answer != nil {
		f.Answer(w, chain)
		return
	}
	Reply(w, chain)
}

// Reply writes an answer of API v2 as a Fulcio without a transparency log does.
func Reply(w http.ResponseWriter, chain []string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"signedCertificateDetachedSct": map[string]any{"chain": map[string]any{"certificates": chain}}})
}

type claims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Email   string `json:"email"`
	Expires int64  `json:"exp"`
}

// claimed checks a token's signature and time.
func (f *Fulcio) claimed(token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token is no JWT")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || len(sig) != 64 || !ecdsa.Verify(&f.tokenKey.PublicKey, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return nil, errors.New("the token is not the issuer's: " + token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var c claims
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	if f.Now().After(time.Unix(c.Expires, 0)) {
		return nil, errors.New("the token has expired")
	}
	return &c, nil
}

// certify answers one request: the token must be the issuer's, and the key must have signed its subject.
func (f *Fulcio) certify(r *http.Request) ([]string, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/api/v2/signingCert" {
		return nil, errors.New("no such call: " + r.Method + " " + r.URL.Path)
	}
	c, err := f.claimed(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		return nil, err
	}
	var q struct {
		Request struct {
			Key struct {
				Algorithm, Content string
			} `json:"publicKey"`
			Proof []byte `json:"proofOfPossession"`
		} `json:"publicKeyRequest"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(q.Request.Key.Content))
	if err != nil {
		return nil, err
	}
	subject := c.Subject
	if c.Email != "" {
		subject = c.Email
	}
	sum := sha256.Sum256([]byte(subject))
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || q.Request.Key.Algorithm != "ECDSA" || !ecdsa.VerifyASN1(public, sum[:], q.Request.Proof) {
		return nil, errors.New("the key does not prove that it is there")
	}
	leaf, err := f.leaf(c, public)
	if err != nil {
		return nil, err
	}
	return []string{asPEM(leaf), asPEM(f.root.Raw)}, nil
}

func asPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// leaf is a certificate as Fulcio's are.
func (f *Fulcio) leaf(who *claims, key crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	issuer, err := asn1.MarshalWithParams(who.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: serial, NotBefore: f.Now().Add(f.Life[0]), NotAfter: f.Now().Add(f.Life[1]),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(who.Issuer)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer},
		}}
	u, err := url.Parse(who.Subject)
	switch {
	case who.Email != "":
		c.EmailAddresses = []string{who.Email}
	case err == nil && u.Scheme != "":
		c.URIs = []*url.URL{u}
	default:
		name, err := cryptoutils.MarshalOtherNameSAN(who.Subject, true)
		if err != nil {
			return nil, err
		}
		c.ExtraExtensions = append(c.ExtraExtensions, *name)
	}
	public := any(key)
	if f.Change != nil {
		f.Change(c, &public)
	}
	return x509.CreateCertificate(rand.Reader, c, f.root, public, f.rootKey)
}
