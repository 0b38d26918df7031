// Package mqttdoor is the way into a broker of mochi-mqtt that knows when everybody has left.
package mqttdoor

import (
	"log/slog"
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// A Door hands connections to a broker and knows when the broker is done with all of them. The library's own
// listener does not: it may still begin to count a connection while the server waits for the count to reach zero, and
// it hangs up on clients that leave by themselves just then, where the list of clients locks itself out (see Clients).
// So close the port and its connections first, Wait, and close the server last.
type Door struct {
	id    string
	in    net.Listener
	ended chan struct{}
	talks sync.WaitGroup
}

// New is a door under a name. The listener stays the caller's to close.
func New(id string, in net.Listener) *Door {
	return &Door{id: id, in: in, ended: make(chan struct{})}
}

// ID, Address and Protocol are names for the library.
func (d *Door) ID() string       { return d.id }
func (d *Door) Address() string  { return d.in.Addr().String() }
func (d *Door) Protocol() string { return "tcp" }

// Init has nothing to do: the port is open already.
func (d *Door) Init(*slog.Logger) error { return nil }

// Serve accepts until the port is closed.
func (d *Door) Serve(establish listeners.EstablishFn) {
	defer close(d.ended)
	for {
		conn, err := d.in.Accept()
		if err != nil {
			return
		}
		d.talks.Go(func() {
			defer conn.Close()
			_ = establish(d.id, conn) // how a client went wrong is its own affair
		})
	}
}

// Close ends the sessions.
func (d *Door) Close(end listeners.CloseFn) {
	end(d.id)
	_ = d.in.Close()
}

// Wait returns when no session is left. The port and its connections must be closed before.
func (d *Door) Wait() {
	<-d.ended
	d.talks.Wait()
}

// Clients are those who came by a door and are connected. The library's GetByListener takes its read lock twice: a
// client that leaves in between stops both for ever.
func Clients(server *mqtt.Server, id string) []*mqtt.Client {
	var there []*mqtt.Client
	for _, c := range server.Clients.GetAll() {
		if c.Net.Listener == id && !c.Closed() {
			there = append(there, c)
		}
	}
	return there
}
