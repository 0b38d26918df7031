package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"github.com/digitorus/timestamp"
)

// Bounds of asking an authority and of what it says.
const (
	maxStamp     = 256 << 10
	stampPatient = 15 * time.Second
)

// ClockTolerance is by how much the clocks of a lab, of an authority and of whoever verifies may differ.
const ClockTolerance = 5 * time.Minute

// A Stamp is an authority's word that the seal's signature existed at a time (RFC 3161).
type Stamp struct {
	Time      time.Time `json:"time"`
	Authority string    `json:"authority"` // the subject of its certificate
	Serial    string    `json:"serial"`    // of the stamp, in decimal
	Checked   bool      `json:"checked"`   // it leads to an authority that the verifier gave

	token *token
}

// ErrStamped says that a bundle has its time-stamp already.
var ErrStamped = errors.New("it has a time-stamp already")

// CheckAuthority tells whether an authority can be asked at an address.
func CheckAuthority(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("the time-stamp authority's address is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("time-stamp authority %s: scheme %q, want http or https", u.Redacted(), u.Scheme)
	case u.Host == "":
		return fmt.Errorf("time-stamp authority %s: no host", u.Redacted())
	}
	return nil
}

// AddStamp asks the authority at an address for a time-stamp over the seal's signature and puts it
// into the bundle. The bundle's entries keep their bytes; it is the old file or the new one at any
// moment. A bundle that has a stamp gives ErrStamped.
func AddStamp(ctx context.Context, path, authority string) (*Stamp, error) {
	var s *Stamp
	err := grow(path, func(c *container, env *envelope) ([]addition, error) {
		if _, ok := c.find(stampName); ok {
			return nil, ErrStamped
		}
		if last := c.entries[len(c.entries)-1].name; last != sealName {
			return nil, fmt.Errorf("%s came first: a time-stamp stands directly behind the seal", last)
		}
		sig := env.DSSE.Signatures[0].Sig
		response, nonce, err := requestStamp(ctx, authority, sig)
		if err != nil {
			return nil, err
		}
		t, err := parseToken(response, sig)
		if err != nil {
			return nil, fmt.Errorf("the authority's answer: %w", err)
		}
		if t.info.Nonce == nil || t.info.Nonce.Cmp(nonce) != 0 {
			return nil, errOtherNonce
		}
		s = t.stamp()
		return []addition{{stampName, response}}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("time-stamp %s: %w", path, err)
	}
	return s, nil
}

// requestStamp asks once, within a deadline, and reads a bounded answer.
func requestStamp(ctx context.Context, authority string, message []byte) ([]byte, *big.Int, error) {
	if err := CheckAuthority(authority); err != nil {
		return nil, nil, err
	}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, nil, err
	}
	body, err := timestamp.CreateRequest(bytes.NewReader(message), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true, Nonce: nonce})
	if err != nil {
		return nil, nil, fmt.Errorf("make the request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stampPatient)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, authority, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the authority: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("ask the authority: it answers %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxStamp+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the authority's answer: %w", err)
	case len(b) > maxStamp:
		return nil, nil, fmt.Errorf("the authority's answer has more than %d bytes", maxStamp)
	}
	return b, nonce, nil
}

// RequestToken asks an authority for a time-stamp over a message, and returns the token alone (RFC 3161's
// TimeStampToken, DER): for signatures that carry it in themselves. Whose it is is not asked.
func RequestToken(ctx context.Context, authority string, message []byte) ([]byte, *Stamp, error) {
	response, nonce, err := requestStamp(ctx, authority, message)
	if err != nil {
		return nil, nil, err
	}
	t, err := parseToken(response, message)
	if err != nil {
		return nil, nil, fmt.Errorf("the authority's answer: %w", err)
	}
	if t.info.Nonce == nil || t.info.Nonce.Cmp(nonce) != 0 {
		return nil, nil, errOtherNonce
	}
	var r stampResponse
	if err := unmarshal(response, &r, ""); err != nil {
		return nil, nil, err
	}
	return r.Token.FullBytes, t.stamp(), nil
}

var errOtherNonce = errors.New("the authority's answer is to another question: its nonce differs")

func (t *token) stamp() *Stamp {
	return &Stamp{Time: t.info.Time.UTC(), Authority: printable(t.signer.Subject.String()), Serial: t.info.Serial.String(), token: t}
}

// LoadAuthorities reads the root certificates of authorities, as PEM.
func LoadAuthorities(path string) (*x509.CertPool, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("load authority: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxStamp))
	if err != nil {
		return nil, fmt.Errorf("load authority: %w", err)
	}
	pool, n := x509.NewCertPool(), 0
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("load authority %s: a PEM block %s, want CERTIFICATE", path, printable(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("load authority %s: %w", path, err)
		}
		pool.AddCert(c)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("load authority %s: no certificate in PEM in it", path)
	}
	return pool, nil
}

// readStamp reads the bundle's stamp, unchecked; nil: there is none.
func (c *container) readStamp(e *Evidence, sig []byte) (*token, error) {
	b, entry, err := c.optional(stampName, maxStamp)
	if err != nil || b == nil {
		return nil, err
	}
	t, err := parseToken(b, sig)
	if err != nil {
		return nil, broken(layerStamp, stampName, "%v", err)
	}
	if err := entry.checkSum(b); err != nil {
		return nil, err
	}
	e.Stamp = t.stamp()
	return t, nil
}

// verifyStamp reads the bundle's stamp, and checks it where authorities are given.
func (c *container) verifyStamp(e *Evidence, sig []byte, t Trust) error {
	token, err := c.readStamp(e, sig)
	if err != nil || t.Authorities == nil {
		return err
	}
	if token == nil {
		return broken(layerStamp, stampName, "is missing, and authorities are given to check it by")
	}
	if err := token.check(t.Authorities, e.Statement.Predicate.Ended, t.Now); err != nil {
		return broken(layerStamp, stampName, "%v", err)
	}
	e.Stamp.Checked = true
	return nil
}

// check asks who the authority is, and whether the time can be true.
func (t *token) check(roots *x509.CertPool, ended, now time.Time) error {
	at, c := t.info.Time, t.signer
	if at.Before(c.NotBefore) || at.After(c.NotAfter) {
		return fmt.Errorf("its time %s is outside the life of the authority's certificate, %s to %s",
			at.UTC().Format(time.RFC3339), c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	critical := false
	for _, x := range c.Extensions {
		critical = critical || x.Id.Equal(oidExtKeyUsage) && x.Critical
	}
	if !critical || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return errors.New("the authority's certificate is not for time-stamping alone (extended key usage, critical)")
	}
	between := x509.NewCertPool()
	for _, o := range t.others {
		between.AddCert(o)
	}
	if _, err := c.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}); err != nil {
		return fmt.Errorf("its certificate leads to no authority that was given: %w", err)
	}
	if at.Before(ended.Add(-ClockTolerance)) {
		return fmt.Errorf("its time %s is before the run's end %s, by more than %s",
			at.UTC().Format(time.RFC3339), ended.UTC().Format(time.RFC3339), ClockTolerance)
	}
	if !now.IsZero() && at.After(now.Add(ClockTolerance)) {
		return fmt.Errorf("its time %s is in the future: it is %s now", at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}
