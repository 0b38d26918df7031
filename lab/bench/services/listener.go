package services

import (
	"crypto/tls"
	"net"
	"sync"
)

// bounded is a listener that holds at most so many connections at once, hangs up on one more,
// and closes those that are left when it is closed.
type bounded struct {
	net.Listener
	most int

	mu      sync.Mutex // guards the rest
	conns   map[*boundedConn]struct{}
	refused uint64
	closed  bool
}

func bound(l net.Listener, most int) *bounded {
	return &bounded{Listener: l, most: most, conns: map[*boundedConn]struct{}{}}
}

// Accept waits for a connection within the bound.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if bc := b.admit(c); bc != nil {
			return bc, nil
		}
		_ = c.Close()
	}
}

func (b *bounded) admit(c net.Conn) *boundedConn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.conns) >= b.most {
		b.refused++
		return nil
	}
	bc := &boundedConn{Conn: c, of: b}
	b.conns[bc] = struct{}{}
	return bc
}

// Close stops listening and hangs up on everybody.
func (b *bounded) Close() error {
	err := b.Listener.Close()
	b.mu.Lock()
	b.closed = true
	left := make([]*boundedConn, 0, len(b.conns))
	for c := range b.conns {
		left = append(left, c)
	}
	b.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
	return err
}

// boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	of *bounded
}

// Close hangs up.
func (c *boundedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// terminate ends TLS at a listener; without a certificate somebody before it has done so.
func terminate(l net.Listener, certificate *tls.Certificate) net.Listener {
	if certificate == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12,
		SessionTicketsDisabled: true, // every handshake is a whole one, in the capture too
	})
}
