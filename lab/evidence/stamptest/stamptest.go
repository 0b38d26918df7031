// Package stamptest is a time-stamp authority (RFC 3161) on loopback for tests: its own root, its own
// clock, and the mistakes that an authority or somebody who poses as one can make. It never serves
// anybody but the test that made it.
package stamptest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/stretchr/testify/require"
)

// An Authority stamps whatever it is asked to. Its fields may be changed before it is asked.
type Authority struct {
	URL  string
	Root string // the root certificate's file, PEM

	Now     func() time.Time
	Nonce   *big.Int              // answered in place of the request's
	Imprint []byte                // answered in place of the request's
	Answer  func(b []byte) []byte // changes what is sent
	Usage   []x509.ExtKeyUsage    // of the authority's certificate
	Plain   bool                  // its extended key usage is not critical
	Life    [2]time.Time          // of the authority's certificate
	sign    func() *x509.Certificate
	key     *ecdsa.PrivateKey
	rootKey *ecdsa.PrivateKey
	root    *x509.Certificate
}

// New starts an authority that makes no mistake, by the given clock.
func New(t testing.TB, clock func() time.Time) *Authority {
	t.Helper()
	now := clock()
	a := &Authority{Now: clock, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
		Life: [2]time.Time{now.AddDate(-5, 0, 0), now.AddDate(5, 0, 0)}}
	var err error
	a.rootKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "assay test root"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: now.AddDate(-20, 0, 0), NotAfter: now.AddDate(20, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &a.rootKey.PublicKey, a.rootKey)
	require.NoError(t, err)
	a.root, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.Root = filepath.Join(t.TempDir(), "tsa-root.pem")
	require.NoError(t, os.WriteFile(a.Root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	a.sign = func() *x509.Certificate { return a.certificate(t) }
	s := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(s.Close)
	a.URL = s.URL
	return a
}

// certificate is the authority's own, as its fields want it.
func (a *Authority) certificate(t testing.TB) *x509.Certificate {
	t.Helper()
	var usage []asn1.ObjectIdentifier
	for _, u := range a.Usage {
		usage = append(usage, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, int(map[x509.ExtKeyUsage]int64{
			x509.ExtKeyUsageTimeStamping: 8, x509.ExtKeyUsageServerAuth: 1, x509.ExtKeyUsageCodeSigning: 3}[u])})
	}
	value, err := asn1.Marshal(usage)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "assay test authority"},
		NotBefore: a.Life[0], NotAfter: a.Life[1], KeyUsage: x509.KeyUsageDigitalSignature}
	if len(usage) > 0 {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: !a.Plain, Value: value}}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.root, &a.key.PublicKey, a.rootKey)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

func (a *Authority) serve(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err == nil {
		b, err = a.Stamp(b)
	}
	if err != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	if a.Answer != nil {
		b = a.Answer(bytes.Clone(b))
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(b)
}

// Stamp answers one request.
func (a *Authority) Stamp(request []byte) ([]byte, error) {
	q, err := timestamp.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	s := timestamp.Timestamp{
		HashAlgorithm: q.HashAlgorithm, HashedMessage: q.HashedMessage, Time: a.Now().UTC().Truncate(time.Second), Nonce: q.Nonce,
		Policy: asn1.ObjectIdentifier{1, 2, 3, 4, 1}, AddTSACertificate: q.Certificates,
	}
	if a.Nonce != nil {
		s.Nonce = a.Nonce
	}
	if a.Imprint != nil {
		s.HashedMessage = a.Imprint
	}
	return s.CreateResponseWithOpts(a.sign(), a.key, crypto.SHA256)
}
