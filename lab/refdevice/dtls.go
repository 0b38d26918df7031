package refdevice

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	piondtls "github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/logging"
	"github.com/pion/transport/v5/udp"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
)

// A pskListener accepts DTLS connections under the device's key.
type pskListener struct {
	parent net.Listener
	key    piondtls.PSKCallback
	seats  chan struct{} // one taken per connection
}

func listenPSK(address string, key piondtls.PSKCallback) (*pskListener, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	config := udp.ListenConfig{Backlog: maxConnections, AcceptFilter: beginsHandshake}
	parent, err := config.Listen("udp", a)
	if err != nil {
		return nil, err
	}
	return &pskListener{parent: parent, key: key, seats: make(chan struct{}, maxConnections)}, nil
}

// beginsHandshake keeps stray datagrams from costing a connection: content type 22 (RFC 5246 section 6.2.1).
func beginsHandshake(datagram []byte) bool {
	return len(datagram) > recordHeaderDTLS && datagram[0] == 22
}

// AcceptWithContext waits for the next client; the handshake comes later.
func (l *pskListener) AcceptWithContext(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := l.accept()
	if err != nil {
		return nil, err
	}
	return piondtls.ServerWithOptions(dtlsnet.PacketConnFromConn(raw), raw.RemoteAddr(),
		piondtls.WithPSK(l.key),
		piondtls.WithPSKIdentityHint([]byte(Model)),
		piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8, piondtls.TLS_PSK_WITH_AES_128_GCM_SHA256),
		piondtls.WithLoggerFactory(&keyWatch{conn: raw}),
	)
}

// accept turns clients away while every seat is taken: whoever can forge a source address
// makes connections that never come to anything.
func (l *pskListener) accept() (net.Conn, error) {
	for {
		raw, err := l.parent.Accept()
		if errors.Is(err, udp.ErrClosedListener) {
			return nil, coapnet.ErrListenerIsClosed
		}
		if err != nil {
			return nil, fmt.Errorf("accept dtls: %w", err)
		}
		select {
		case l.seats <- struct{}{}:
			return &seat{Conn: raw, from: l}, nil
		default:
			_ = raw.Close()
		}
	}
}

// A seat is given back when its connection is closed.
type seat struct {
	net.Conn
	from *pskListener
	once sync.Once
}

// Close closes the connection once.
func (s *seat) Close() error {
	err := s.Conn.Close()
	s.once.Do(func() { <-s.from.seats })
	return err
}

// Close ends the listener.
func (l *pskListener) Close() error { return l.parent.Close() }

// unknownKey answers for an identity that the device does not have: with a key that nobody has,
// so that the refusal does not tell which identities exist (RFC 4279 section 2).
func unknownKey() ([]byte, error) {
	key := make([]byte, pskLength)
	_, err := rand.Read(key)
	return key, err
}

const recordHeaderDTLS = 13

// A keyWatch notices that a client's first encrypted record does not decrypt, which is how a wrong
// key shows, and tells the client. The library drops such records in silence, as RFC 6347
// section 4.1.2.7 allows, and lets the client wait; it speaks of them in its log only.
type keyWatch struct {
	conn net.Conn

	mu   sync.Mutex
	done bool // the client has proved its key, or was refused
}

// NewLogger listens to one part of the library.
func (w *keyWatch) NewLogger(string) logging.LeveledLogger { return keyWatchLog{w} }

// heard takes one line of the library's log.
func (w *keyWatch) heard(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.done:
	case strings.Contains(text, "Handshake Completed"):
		w.done = true
	case strings.Contains(text, "decrypt failed"):
		w.done = true
		// A fatal decrypt_error (RFC 5246 section 7.2.2), in clear since the server has not changed its
		// cipher yet: type 21, DTLS 1.2, epoch 0, a sequence number behind those of the flights so far.
		_, _ = w.conn.Write([]byte{21, 254, 253, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 2, 51})
		_ = w.conn.Close()
	}
}

// keyWatchLog is quiet about everything else.
type keyWatchLog struct{ watch *keyWatch }

func (l keyWatchLog) Trace(text string)              { l.watch.heard(text) }
func (l keyWatchLog) Tracef(format string, _ ...any) { l.watch.heard(format) }
func (l keyWatchLog) Debug(text string)              { l.watch.heard(text) }
func (l keyWatchLog) Debugf(format string, _ ...any) { l.watch.heard(format) }
func (l keyWatchLog) Info(string)                    {}
func (l keyWatchLog) Infof(string, ...any)           {}
func (l keyWatchLog) Warn(string)                    {}
func (l keyWatchLog) Warnf(string, ...any)           {}
func (l keyWatchLog) Error(string)                   {}
func (l keyWatchLog) Errorf(string, ...any)          {}
