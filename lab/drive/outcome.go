package drive

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"assay/probes"
)

// A dialError is an error from the time before a connection stood.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// errStranger is a certificate that no anchor of the dossier vouches for.
var errStranger = errors.New("the certificate does not lead to a device anchor of the dossier")

// noReply says what a device did from the error that ended a conversation before it was
// over. An error in return is the bench's own.
//
//	no connection: refused, no route, no such name, no answer in time   unreachable
//	after it: no answer in time                                         silent
//	hung up: RST, end of stream, broken pipe                            reset
//	an alert of TLS that denies access                                  refused
//	another alert; a certificate that nobody in the dossier vouches for unexpected
//	everything else: bytes that do not follow the protocol              malformed
func noReply(err error) (answer, error) {
	var dial dialError
	if errors.As(err, &dial) {
		if local(dial.error) {
			return answer{}, fmt.Errorf("dial: %w: %w", dial.error, probes.ErrBench)
		}
		return answer{outcome: probes.Unreachable, detail: plain(dial.error)}, nil
	}
	switch {
	case errors.Is(err, errStranger):
		return answer{outcome: probes.Unexpected, detail: errStranger.Error()}, nil
	case timedOut(err):
		return answer{outcome: probes.Silent, detail: "connected, then no answer in time"}, nil
	case hungUp(err):
		return answer{outcome: probes.Reset, detail: "it hung up: " + plain(err)}, nil
	}
	if word, ok := tlsAlert(err); ok {
		if denies(word) {
			return answer{outcome: probes.Refused, detail: "TLS alert: " + word}, nil
		}
		return answer{outcome: probes.Unexpected, detail: "TLS alert: " + word}, nil
	}
	return answer{outcome: probes.Malformed, detail: plain(err)}, nil
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) || isReset(err)
}

// local tells whether a dial went wrong on this side: no rights, no more sockets, an
// address that a recipe spells wrong.
func local(err error) bool {
	var address *net.AddrError
	var unknown net.UnknownNetworkError
	return errors.As(err, &address) || errors.As(err, &unknown) || isLocal(err)
}

// tlsAlert returns the words of an alert that the device sent. crypto/tls keeps the type to
// itself outside QUIC and marks such an error by its operation.
func tlsAlert(err error) (string, bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: "), true
	}
	return "", false
}

// denies tells whether an alert turns the caller away rather than the handshake: alerts 42
// to 49, 113, 115 and 116 of RFC 8446 6.2, by the words of crypto/tls.
func denies(word string) bool {
	switch word {
	case "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "unknown certificate authority", "access denied",
		"bad certificate status response", "unknown PSK identity", "certificate required":
		return true
	}
	return false
}

// plain is an error's own words, without the layers that repeat addresses and URLs.
func plain(err error) string {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return plain(certificate.Err)
	}
	var authority x509.UnknownAuthorityError
	if errors.As(err, &authority) {
		return authority.Error()
	}
	for {
		var op *net.OpError
		var system *os.SyscallError
		switch {
		case errors.As(err, &op) && op.Err != nil:
			err = op.Err
		case errors.As(err, &system):
			return system.Err.Error()
		default:
			return err.Error()
		}
	}
}
