package standin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/udp"
	"github.com/plgd-dev/go-coap/v3/udp/client"
)

const maxImage = 1 << 20

// errUntrusted is what a handshake ends with where the certificate is not the one that is trusted.
var errUntrusted = errors.New("the certificate is not the one that is trusted")

// trust is how the stand-in looks at a certificate: by the product's roots, name and date, or where the dossier's own
// certificate would not stand that, by its bytes.
func trust(r Request) *tls.Config {
	c := &tls.Config{ServerName: r.Name, MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	for _, raw := range r.Roots {
		if root, err := x509.ParseCertificate(raw); err == nil {
			c.RootCAs.AddCert(root)
		}
	}
	if len(r.Pin) > 0 {
		c.InsecureSkipVerify = true //nolint:gosec // VerifyPeerCertificate compares it
		c.VerifyPeerCertificate = func(chain [][]byte, _ [][]*x509.Certificate) error {
			if len(chain) == 0 || !bytes.Equal(chain[0], r.Pin) {
				return errUntrusted
			}
			return nil
		}
	}
	return c
}

// secure dials a server and does the handshake.
func secure(ctx context.Context, r Request) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*exchange)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", r.At)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, trust(r))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(exchange))
	return conn, nil
}

// untrusted tells whether a handshake ended because of the certificate.
func untrusted(err error) bool {
	var v *tls.CertificateVerificationError
	return errors.Is(err, errUntrusted) || errors.As(err, &v)
}

// hello does a handshake and hangs up.
func hello(ctx context.Context, r Request) (Answer, error) {
	conn, err := secure(ctx, r)
	if err != nil {
		return Answer{Refused: untrusted(err)}, err
	}
	return Answer{}, conn.Close()
}

// broker connects as an MQTT client without a session, and leaves in good order.
func broker(ctx context.Context, r Request) (Answer, error) {
	conn, err := secure(ctx, r)
	if err != nil {
		return Answer{Refused: untrusted(err)}, err
	}
	defer func() { _ = conn.Close() }()
	const id = "bench-self-test"
	// CONNECT of MQTT 3.1.1, section 3.1: clean session, keep alive 10 s.
	connect := append([]byte{0x10, byte(12 + len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 10, 0, byte(len(id))}, id...)
	if _, err := conn.Write(connect); err != nil {
		return Answer{}, fmt.Errorf("send CONNECT: %w", err)
	}
	var ack [4]byte
	if _, err := io.ReadFull(conn, ack[:]); err != nil {
		return Answer{}, fmt.Errorf("await CONNACK: %w", err)
	}
	if _, err := conn.Write([]byte{0xE0, 0}); err != nil { // DISCONNECT
		return Answer{}, fmt.Errorf("send DISCONNECT: %w", err)
	}
	return Answer{Code: hex.EncodeToString(ack[:])}, nil
}

// fetch gets an image over HTTPS or CoAP.
func fetch(ctx context.Context, r Request) (Answer, error) {
	var image []byte
	var err error
	if strings.HasPrefix(r.URL, "coap:") {
		image, err = overCoAP(ctx, r)
	} else {
		image, err = overHTTPS(ctx, r)
	}
	if err != nil {
		return Answer{Refused: untrusted(err)}, err
	}
	sum := sha256.Sum256(image)
	return Answer{Bytes: len(image), SHA256: hex.EncodeToString(sum[:])}, nil
}

func overHTTPS(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*exchange)
	defer cancel()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.At)
		},
		TLSClientConfig: trust(r), DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return nil, err
	}
	reply, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return nil, errors.New("the server answers " + reply.Status)
	}
	return io.ReadAll(io.LimitReader(reply.Body, maxImage))
}

func overCoAP(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*exchange)
	defer cancel()
	conn, err := udp.Dial(r.At)
	if err != nil {
		return nil, err
	}
	defer func(c *client.Conn) { _ = c.Close() }(conn)
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL, "coap://"), "/")
	reply, err := conn.Get(ctx, "/"+path)
	if err != nil {
		return nil, err
	}
	return reply.ReadBody()
}
