package intercept

import (
	"net"
	"os"
	"sync"
	"time"

	"github.com/pion/transport/v5/packetio"
)

// maxWaiting bounds the bytes of one caller that nobody has read yet; what is more is lost, as datagrams are.
const maxWaiting = 64 << 10

// An associations tells the callers of one UDP socket apart by their addresses, as a listener does. (pion's own
// listener opens its socket itself, and so none at an address that its interface does not have yet.)
type associations struct {
	conn  net.PacketConn
	ready chan net.Conn
	ended chan struct{}

	mu     sync.Mutex // guards the rest
	known  map[string]*association
	closed bool
}

func associate(conn net.PacketConn) *associations {
	a := &associations{conn: conn, ready: make(chan net.Conn, maxSeats), ended: make(chan struct{}), known: map[string]*association{}}
	go a.listen()
	return a
}

// listen hands each datagram to its caller. One that begins no handshake makes nobody a caller.
func (a *associations) listen() {
	defer close(a.ended)
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := a.conn.ReadFrom(buf)
		if err != nil {
			a.mu.Lock()
			closed := a.closed
			a.mu.Unlock()
			if closed {
				return
			}
			time.Sleep(acceptPause) // ENETDOWN and ICMP errors pass by when a link is cut
			continue
		}
		if c := a.find(from, buf[:n]); c != nil {
			_, _ = c.in.Write(buf[:n], packetio.Attributes{}) // full: lost
		}
	}
}

func (a *associations) find(from net.Addr, datagram []byte) *association {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.known[from.String()]; c != nil || a.closed || len(a.known) >= maxSeats || !beginsHandshake(datagram) {
		return c
	}
	c := &association{of: a, from: from, in: packetio.NewBuffer()}
	c.in.SetLimitSize(maxWaiting)
	select {
	case a.ready <- c:
		a.known[from.String()] = c
		return c
	default:
		return nil
	}
}

func (a *associations) Accept() (net.Conn, error) {
	select {
	case c := <-a.ready:
		return c, nil
	case <-a.ended:
		return nil, net.ErrClosed
	}
}

func (a *associations) Addr() net.Addr { return a.conn.LocalAddr() }

// Close ends the socket and every association.
func (a *associations) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return net.ErrClosed
	}
	a.closed = true
	for _, c := range a.known {
		_ = c.in.Close()
	}
	a.mu.Unlock()
	err := a.conn.Close()
	<-a.ended
	return err
}

// An association is what comes from one address.
type association struct {
	of   *associations
	from net.Addr
	in   *packetio.Buffer
}

func (c *association) Read(b []byte) (int, error) {
	n, _, err := c.in.Read(b, packetio.Attributes{})
	return n, err
}

func (c *association) Write(b []byte) (int, error) { return c.of.conn.WriteTo(b, c.from) }

// Close forgets the caller: what comes from there begins anew.
func (c *association) Close() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.of.known[c.from.String()] != c {
		return os.ErrClosed
	}
	delete(c.of.known, c.from.String())
	return c.in.Close()
}

func (c *association) LocalAddr() net.Addr                { return c.of.conn.LocalAddr() }
func (c *association) RemoteAddr() net.Addr               { return c.from }
func (c *association) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *association) SetReadDeadline(t time.Time) error  { return c.in.SetReadDeadline(t) }
func (c *association) SetWriteDeadline(t time.Time) error { return nil } //nolint:revive // a datagram waits for nobody
