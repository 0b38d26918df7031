package drive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/logging"

	"assay/probes"
)

// A tap is a datagram connection that remembers what came in: over UDP nothing else tells a
// closed port from a device that says nothing, and a device that says nothing from one that
// says nonsense.
type tap struct {
	net.Conn
	see func(datagram []byte) error // an error of it ends the conversation

	mu    sync.Mutex
	came  int   // datagrams
	fault error // the first error of reading, or of see
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if err == nil && n > 0 {
		err = t.see(p[:n])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		// What our own deadline or closing does to a read is no word of the device.
		if t.fault == nil && !timedOut(err) && !errors.Is(err, net.ErrClosed) {
			t.fault = err
		}
		return 0, err
	}
	t.came++
	return n, nil
}

func (t *tap) state() (came int, fault error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.came, t.fault
}

// handshake runs a DTLS handshake: with the pre-shared key of the recipe, or with the
// device's certificate where the recipe has no key.
func (r *run) handshake(ctx context.Context, below net.Conn, ask coapAsk, own identity) (*dtls.Conn, error) {
	options := []dtls.ClientOption{
		dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}),
		// The chain is verified against the dossier alone, where there is one.
		dtls.WithInsecureSkipVerify(true),
	}
	if ask.key != nil {
		options = append(options,
			dtls.WithPSK(func([]byte) ([]byte, error) { return ask.key, nil }),
			dtls.WithPSKIdentityHint([]byte(ask.identity)), // on a client it is the identity itself
			dtls.WithCipherSuites(
				dtls.TLS_PSK_WITH_AES_128_CCM_8, // RFC 7252 9.1.3.1: the one that every device has
				dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_256_CCM_8,
				dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CBC_SHA256,
				dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
			))
	} else {
		options = append(options, dtls.WithVerifyConnection(func(s *dtls.State) error { return r.vouchRaw(own, s.PeerCertificates) }))
		if own.certificate != nil {
			options = append(options, dtls.WithCertificates(*own.certificate))
		}
	}
	conn, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(below), below.RemoteAddr(), options...)
	if err != nil {
		return nil, fmt.Errorf("prepare DTLS: %w: %w", err, probes.ErrBench)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// handshakeError says what a device did from the error that ended a DTLS handshake.
//
// An alert is a refusal: so do servers answer an identity that they do not know. A wrong key for
// a known identity shows in a Finished that the server cannot decrypt, and RFC 6347 4.1.2.7 has it
// drop such a record without a word. libcoap with OpenSSL and with GnuTLS does so, and pion; that is
// silent, and only a caller who knows that the right key gets through can call it a refusal.
func handshakeError(err error, below *tap) (answer, error) {
	var alert interface {
		error
		IsFatalOrCloseNotify() bool
	}
	came, fault := below.state()
	switch {
	case errors.Is(err, probes.ErrBench):
		return answer{}, err
	case errors.As(err, &alert):
		return answer{outcome: probes.Refused, detail: "DTLS " + alert.Error()}, nil
	case fault != nil:
		return datagramFault(fault, came)
	case timedOut(err) && came > 0:
		return answer{outcome: probes.Silent, detail: "the DTLS handshake began, then no answer in time"}, nil
	case timedOut(err):
		return answer{outcome: probes.Silent, detail: "no answer to a DTLS ClientHello in time"}, nil
	}
	return datagramFault(err, came)
}

// datagramError says what a device did from the error that ended a CoAP exchange.
func datagramError(ctx context.Context, err error, below, above *tap) (answer, error) {
	if errors.Is(err, probes.ErrBench) {
		return answer{}, err
	}
	came, fault := below.state()
	if _, inside := above.state(); fault == nil {
		fault = inside
	}
	switch {
	case fault != nil:
		return datagramFault(fault, came)
	case ctx.Err() != nil || timedOut(err):
		return answer{outcome: probes.Silent, detail: fmt.Sprintf("no answer in time (%d datagrams came)", came)}, nil
	}
	return datagramFault(err, came)
}

func datagramFault(err error, came int) (answer, error) {
	switch {
	case isClosedPort(err) && came == 0:
		return answer{outcome: probes.Unreachable, detail: plain(err)}, nil
	case isClosedPort(err), errors.Is(err, errRST):
		return answer{outcome: probes.Reset, detail: plain(err)}, nil
	}
	return noReply(err)
}

// seeDTLS looks at the first record header of a datagram: RFC 6347 4.1, content types 20 to 23 and
// 25 (RFC 9146), versions 1.0 and 1.2. Nothing else can be read as an answer to a ClientHello.
func seeDTLS(datagram []byte) error {
	const header = 13
	if len(datagram) < header || datagram[0] < 20 || datagram[0] > 25 || datagram[1] != 0xfe {
		return errors.New("not a DTLS record")
	}
	return nil
}
