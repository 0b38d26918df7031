package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Bounds of asking a Fulcio and of what it says.
const (
	maxFulcio     = 256 << 10
	maxToken      = 64 << 10
	fulcioPatient = 30 * time.Second
)

// ErrIdentity says that an identity token cannot be used.
var ErrIdentity = errors.New("no identity token that can be used")

// An IdentityToken is an OIDC identity token (a JWT) as far as its holder reads it; whether it is
// genuine is for a Fulcio to say. It is a secret: only its claims are ever told.
type IdentityToken struct {
	raw     string
	Subject string    // what possession of the key is proved over: the verified e-mail address, else the subject
	Expires time.Time // zero: it does not say
}

// ParseIdentityToken reads a token by its form alone. No error repeats a part of it.
func ParseIdentityToken(text string, now time.Time) (*IdentityToken, error) {
	t := &IdentityToken{raw: strings.TrimSpace(text)}
	parts := strings.Split(t.raw, ".")
	if len(t.raw) > maxToken || len(parts) != 3 {
		return nil, fmt.Errorf("identity token of %d bytes in %d parts, want a JWT of 3: %w", len(t.raw), len(parts), ErrIdentity)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Subject  string  `json:"sub"`
		Email    string  `json:"email"`
		Verified any     `json:"email_verified"` // some issuers write it as a string
		Expires  float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(b, &claims) != nil {
		return nil, fmt.Errorf("identity token: its claims are no JSON in base64url: %w", ErrIdentity)
	}
	switch t.Subject = claims.Subject; {
	case claims.Email != "" && claims.Verified != true && claims.Verified != "true":
		return nil, fmt.Errorf("identity token: its issuer has not verified the e-mail address in it: %w", ErrIdentity)
	case claims.Email != "":
		t.Subject = claims.Email
	case claims.Subject == "":
		return nil, fmt.Errorf("identity token: it names nobody (sub, email): %w", ErrIdentity)
	}
	if claims.Expires > 0 && claims.Expires < 1e11 {
		t.Expires = time.Unix(int64(claims.Expires), 0).UTC()
		if now.After(t.Expires) {
			return nil, fmt.Errorf("identity token: it expired at %s: %w", t.Expires.Format(time.RFC3339), ErrIdentity)
		}
	}
	return t, nil
}

// CheckFulcio tells whether a Fulcio can be asked at an address. In clear it is asked on this machine only:
// whoever reads a token on its way can sign in its owner's name.
func CheckFulcio(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("the Fulcio's address is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the Fulcio %s: scheme %q, want https", u.Redacted(), u.Scheme)
	case u.Host == "":
		return fmt.Errorf("the Fulcio %s: no host", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the Fulcio %s: want the address of the service alone, without a query", u.Redacted())
	case u.Scheme == "http" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" && u.Hostname() != "localhost":
		return fmt.Errorf("the Fulcio %s: an identity token does not travel in clear, want https", u.Redacted())
	}
	return nil
}

// RequestCertificate makes a key that lives as long as this process and has a Fulcio certify that it is
// whoever the token names (its API v2). What it answers is checked as a verifier would, but for its root.
func RequestCertificate(ctx context.Context, fulcio string, t *IdentityToken) (*KeylessSigner, error) {
	k, err := requestCertificate(ctx, fulcio, t)
	if err != nil {
		return nil, fmt.Errorf("ask the Fulcio for a certificate: %w", err)
	}
	return k, nil
}

func requestCertificate(ctx context.Context, fulcio string, t *IdentityToken) (*KeylessSigner, error) {
	if err := CheckFulcio(fulcio); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &KeylessSigner{}
	if k.Signer, err = signature.LoadECDSASigner(key, crypto.SHA256); err != nil {
		return nil, err
	}
	public, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
	if err != nil {
		return nil, err
	}
	proof, err := k.SignMessage(strings.NewReader(t.Subject))
	if err != nil {
		return nil, err
	}
	var ask fulcioRequest
	ask.Request.Key.Algorithm, ask.Request.Key.Content, ask.Request.Proof = "ECDSA", string(public), proof
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	b, err := postToFulcio(ctx, strings.TrimRight(fulcio, "/")+"/api/v2/signingCert", t.raw, body)
	if err != nil {
		return nil, err
	}
	if k.Certificate, err = readFulcio(b); err != nil {
		return nil, err
	}
	if own, ok := k.Certificate.PublicKey.(*ecdsa.PublicKey); !ok || !own.Equal(key.Public()) {
		return nil, errors.New("it certifies another key than the one it was asked about")
	}
	k.Certified, err = certifiedBy(k.Certificate)
	return k, err
}

// fulcioRequest and fulcioAnswer are CreateSigningCertificateRequest and SigningCertificate of
// dev.sigstore.fulcio.v2, as far as they are used.
type fulcioRequest struct {
	Request struct {
		Key struct {
			Algorithm string `json:"algorithm"`
			Content   string `json:"content"`
		} `json:"publicKey"`
		Proof []byte `json:"proofOfPossession"`
	} `json:"publicKeyRequest"`
}

type fulcioAnswer struct {
	Embedded fulcioChain `json:"signedCertificateEmbeddedSct"`
	Detached fulcioChain `json:"signedCertificateDetachedSct"` // also where there is no transparency log
}

type fulcioChain struct {
	Chain struct {
		Certificates []string `json:"certificates"` // PEM, the leaf first
	} `json:"chain"`
}

// postToFulcio asks once, within a deadline, follows nobody elsewhere with the token, and reads a bounded answer.
func postToFulcio(ctx context.Context, address, token string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fulcioPatient)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxFulcio+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read its answer: %w", err)
	case len(b) > maxFulcio:
		return nil, fmt.Errorf("its answer has more than %d bytes", maxFulcio)
	case res.StatusCode < 200 || res.StatusCode > 299:
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(b, &said)
		if said.Message = strings.ReplaceAll(said.Message, token, "..."); said.Message != "" {
			return nil, fmt.Errorf("it answers %d: %s", res.StatusCode, printable(said.Message))
		}
		return nil, fmt.Errorf("it answers %d", res.StatusCode)
	}
	return b, nil
}

// readFulcio takes the certificate out of an answer. Those above it are left: they are the verifier's to bring.
func readFulcio(b []byte) (*x509.Certificate, error) {
	var a fulcioAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, errors.New("its answer is no JSON of its API v2")
	}
	chain := append(a.Embedded.Chain.Certificates, a.Detached.Chain.Certificates...)
	if len(chain) == 0 {
		return nil, errors.New("its answer has no certificate in it")
	}
	block, rest := pem.Decode([]byte(chain[0]))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("its answer's first certificate is not one in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its certificate: %w", err)
	}
	return c, nil
}
