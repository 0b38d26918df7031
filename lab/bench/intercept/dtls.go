package intercept

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/logging"
)

const (
	dtls12      = "DTLS 1.2"
	dtlsHeader  = 13 // bytes of a record's header (RFC 6347 section 4.1)
	handshaking = 22 // content type (RFC 5246 section 6.2.1)
	maxDatagram = 4096
	dtlsSilence = 2 * time.Minute // an association without a datagram for so long is over
	acceptPause = 10 * time.Millisecond
)

// A DTLSDoor takes DTLS associations at one way in and answers the datagrams inside.
type DTLSDoor struct {
	door
	answer func(net.Addr, []byte) []byte
}

// DTLSDoor opens a way in at UDP sockets, which Close closes too. answer turns one datagram of a caller into a reply; an
// empty one is not sent, and nil answers nothing.
func (i *Interceptor) DTLSDoor(ctx context.Context, via, url string, answer func(net.Addr, []byte) []byte, raw ...net.PacketConn) *DTLSDoor {
	i.mu.Lock()
	i.gate(via, url)
	i.mu.Unlock()
	d := &DTLSDoor{
		door:   door{of: i, via: via, seats: make(chan struct{}, maxSeats), open: map[net.Conn]struct{}{}},
		answer: answer,
	}
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, conn := range raw {
		l := associate(conn)
		d.raw = append(d.raw, l)
		d.wait.Go(func() { d.serve(l) })
	}
	return d
}

// beginsHandshake keeps stray datagrams from costing a connection.
func beginsHandshake(datagram []byte) bool {
	return len(datagram) > dtlsHeader && datagram[0] == handshaking
}

func (d *DTLSDoor) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case d.seats <- struct{}{}:
			d.wait.Go(func() { d.takeDTLS(c) })
		default:
			_ = c.Close()
		}
	}
}

func (d *DTLSDoor) takeDTLS(raw net.Conn) {
	w := d.of.admit(d.via, &seat{Conn: raw, door: &d.door})
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, handshakeTime)
	defer cancel()
	conn, err := dtls.ServerWithOptions(dtlsnet.PacketConnFromConn(w.raw), w.raw.RemoteAddr(), w.dtlsOptions()...)
	if err == nil {
		w.Conn = conn
		d.of.mu.Lock()
		w.goodbye = conn.Close // tells the device, which would not notice otherwise
		d.of.mu.Unlock()
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		w.over(err)
		if conn != nil {
			_ = conn.Close()
		}
		_ = w.raw.Close()
		return
	}
	s, _ := conn.ConnectionState()
	w.finished(dtls12, tls.CipherSuiteName(uint16(s.CipherSuiteID)), false)
	d.talk(w)
}

// dtlsOptions are as for TLS; there is no store for sessions, so none is gone on with.
func (w *watched) dtlsOptions() []dtls.ServerOption {
	o := []dtls.ServerOption{
		// Not WithCertificates: this way the library asks, and tells what was offered.
		dtls.WithGetCertificate(func(h *dtls.ClientHelloInfo) (*tls.Certificate, error) {
			w.note(func(c *call) { c.hearDTLS(h) })
			return w.chain, nil
		}),
		dtls.WithLoggerFactory(quiet{}),
	}
	if w.of.o.Keys != nil {
		o = append(o, dtls.WithKeyLogWriter(w.of.o.Keys))
	}
	return o
}

// talk answers datagrams until the device has gone.
func (d *DTLSDoor) talk(w *watched) {
	defer w.Close() //nolint:errcheck // it may be closed already
	buf := make([]byte, maxDatagram)
	for {
		if err := w.Conn.SetReadDeadline(time.Now().Add(dtlsSilence)); err != nil {
			return
		}
		n, err := w.Read(buf)
		if err != nil {
			return
		}
		if d.answer == nil {
			continue
		}
		if reply := d.answer(w.raw.RemoteAddr(), buf[:n]); len(reply) > 0 {
			if _, err := w.Conn.Write(reply); err != nil {
				return
			}
		}
	}
}

// quiet is a logger: the library's log quotes what a device sent.
type quiet struct{}

var discard = sync.OnceValue(func() logging.LeveledLogger {
	return logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, nil)
})

// NewLogger logs nothing.
func (quiet) NewLogger(string) logging.LeveledLogger { return discard() }
