package refdevice

import (
	"net"
	"sync"
)

// maxConnections bounds the connections to one TCP service; more wait in the kernel's queue.
const maxConnections = 32

// A listener bounds the open connections, and closes them all with itself: a device
// that restarts leaves nothing behind.
type listener struct {
	net.Listener
	free chan struct{} // one token per connection that may still come
	quit chan struct{}

	mu     sync.Mutex // guards the rest
	closed bool
	open   map[*connection]struct{}
}

func newListener(l net.Listener) *listener {
	b := &listener{Listener: l, free: make(chan struct{}, maxConnections), quit: make(chan struct{}), open: map[*connection]struct{}{}}
	for range maxConnections {
		b.free <- struct{}{}
	}
	return b
}

// Accept waits for a free place, then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.free:
	case <-l.quit:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		l.free <- struct{}{}
		return nil, err
	}
	c := &connection{Conn: conn, from: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	l.open[c] = struct{}{}
	return c, nil
}

// Close ends the listener but not its connections, as net/http expects.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.quit)
	return l.Listener.Close()
}

// cut ends the listener and every connection.
func (l *listener) cut() {
	_ = l.Close()
	l.mu.Lock()
	open := l.open
	l.open = map[*connection]struct{}{}
	l.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

// A connection gives its place back when it is closed.
type connection struct {
	net.Conn
	from *listener
	once sync.Once
}

// Close closes the connection once.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.from.mu.Lock()
		delete(c.from.open, c)
		c.from.mu.Unlock()
		c.from.free <- struct{}{}
	})
	return err
}
