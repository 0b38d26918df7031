package drive

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"assay/probes"
	"assay/profiles/dossier"
)

// forDevice marks the anchors that vouch for the device's own certificates.
const forDevice = "device"

// anchors are what the dossier trusts for the device's certificates: roots, or the device's
// certificates themselves, or bare public keys.
type anchors struct {
	roots *x509.CertPool
	keys  [][]byte // PKIX
}

// deviceAnchors reads the dossier's anchors. Without any the result is nil.
func deviceAnchors(d *dossier.Dossier) (*anchors, error) {
	var a *anchors
	for _, t := range d.Trust {
		if t.For != forDevice {
			continue
		}
		file := t.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(d.Dir, file)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read device anchor: %w: %w", err, probes.ErrBench)
		}
		if a == nil {
			a = &anchors{roots: x509.NewCertPool()}
		}
		if err := a.add(data); err != nil {
			return nil, fmt.Errorf("read device anchor %s: %w: %w", t.File, err, probes.ErrBench)
		}
	}
	return a, nil
}

func (a *anchors) add(data []byte) error {
	found := false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return err
			}
			a.roots.AddCert(c)
			found = true
		case "PUBLIC KEY":
			if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
				return err
			}
			a.keys = append(a.keys, block.Bytes)
			found = true
		}
	}
	if !found {
		return fmt.Errorf("no PEM certificate and no PEM public key in it")
	}
	return nil
}

// An identity is what one step shows in TLS and DTLS, and whom it believes.
type identity struct {
	certificate *tls.Certificate // nil: the bench shows none
	anchors     *anchors         // nil: those of the dossier
}

// identityOf reads a step's certificate and CA.
func identityOf(d *dossier.Dossier, s dossier.Step) (identity, error) {
	var own identity
	var t *dossier.TLS
	switch {
	case s.HTTP != nil:
		t = s.HTTP.TLS
	case s.MQTT != nil:
		t = s.MQTT.TLS
	case s.CoAP != nil:
		t = s.CoAP.TLS
	}
	if t == nil {
		return own, nil
	}
	if t.CA != "" {
		data, err := os.ReadFile(d.Path(t.CA))
		if err != nil {
			return own, fmt.Errorf("tls: ca: %w", err)
		}
		own.anchors = &anchors{roots: x509.NewCertPool()}
		if err := own.anchors.add(data); err != nil {
			return own, fmt.Errorf("tls: ca: %w", err)
		}
	}
	if t.Certificate == "" {
		return own, nil
	}
	chain, err := os.ReadFile(d.Path(t.Certificate))
	if err != nil {
		return own, fmt.Errorf("tls: certificate: %w", err)
	}
	if t.Key == nil {
		return own, errors.New("tls: a certificate without its key")
	}
	pair, err := tls.X509KeyPair(chain, []byte(t.Key.Reveal()))
	if err != nil {
		return own, fmt.Errorf("tls: %w", err)
	}
	own.certificate = &pair
	return own, nil
}

// vouch follows the chain to an anchor. The name in the certificate is not compared: a device
// is reached by an address that the bench leased to it, which no maker can know.
func (d *Driver) vouch(own identity, chain []*x509.Certificate) error {
	believed := d.anchors
	if own.anchors != nil {
		believed = own.anchors
	}
	if believed == nil {
		return nil // seen, not judged
	}
	if len(chain) == 0 {
		return errStranger
	}
	for _, key := range believed.keys {
		if bytes.Equal(key, chain[0].RawSubjectPublicKeyInfo) {
			return nil
		}
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: believed.roots, Intermediates: between, CurrentTime: d.options.Clock.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStranger, err)
	}
	return nil
}

// tlsConfig is for talking to the device. It takes every version and cipher suite that Go
// still has: how well a device does TLS is another question's to ask, and here it must answer.
func (d *Driver) tlsConfig(host string, own identity) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS10,
		// The chain is verified by VerifyConnection, against the dossier alone.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return d.vouch(own, s.PeerCertificates) },
		Time:               d.options.Clock.Now,
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	if own.certificate != nil {
		// Shown to whoever asks, also where the server's list of authorities does not name its issuer:
		// whether that is refused is the device's to say.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.certificate, nil }
	}
	if _, err := netip.ParseAddr(host); err != nil {
		c.ServerName = host // an address is no server name: RFC 6066 3
	}
	return c
}

// dial opens one connection within the context's time. A stream keeps the deadline; a
// conversation in datagrams is ended by closing its socket.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, dialError{err}
	}
	if deadline, ok := ctx.Deadline(); ok && network == "tcp" {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, dialError{err}
		}
	}
	return conn, nil
}

// vouchRaw is vouch for certificates that nobody has parsed yet.
func (d *Driver) vouchRaw(own identity, chain [][]byte) error {
	if d.anchors == nil && own.anchors == nil {
		return nil
	}
	var parsed []*x509.Certificate
	for _, raw := range chain {
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			return err
		}
		parsed = append(parsed, c)
	}
	return d.vouch(own, parsed)
}
