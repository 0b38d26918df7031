package refdevice

import (
	"log/slog"
	"net"
	"sync"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// A brokerListener hands connections to the broker and knows when the broker is done
// with all of them. The library's own listener does not: it may still begin
// to count a connection while the server waits for the count to reach zero.
type brokerListener struct {
	in    net.Listener
	ended chan struct{}
	talks sync.WaitGroup
}

func newBrokerListener(in net.Listener) *brokerListener {
	return &brokerListener{in: in, ended: make(chan struct{})}
}

// ID, Address and Protocol are names for the library.
func (l *brokerListener) ID() string       { return "tls" }
func (l *brokerListener) Address() string  { return l.in.Addr().String() }
func (l *brokerListener) Protocol() string { return "tcp" }

// Init has nothing to do: the port is open already.
func (l *brokerListener) Init(*slog.Logger) error { return nil }

// Serve accepts until the port is closed.
func (l *brokerListener) Serve(establish listeners.EstablishFn) {
	defer close(l.ended)
	for {
		conn, err := l.in.Accept()
		if err != nil {
			return
		}
		l.talks.Go(func() {
			defer conn.Close()
			_ = establish(l.ID(), conn) // how a client went wrong is its own affair
		})
	}
}

// Close ends the sessions.
func (l *brokerListener) Close(end listeners.CloseFn) {
	end(l.ID())
	_ = l.in.Close()
}

// wait returns when no session is left. The port and its connections must be closed before.
func (l *brokerListener) wait() {
	<-l.ended
	l.talks.Wait()
}
