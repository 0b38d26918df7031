//go:build !linux

package segment

import (
	"context"
	"errors"
	"net"
	"runtime"
)

// errSystem is the answer of every system but Linux.
var errSystem = errors.New("private network namespaces exist on Linux only, this is " + runtime.GOOS)

// A Segment cannot exist here.
type Segment struct{}

// Up says so.
func Up(context.Context, Options) (*Segment, error) { return nil, refused("namespaces", errSystem) }

// Try says so.
func Try(context.Context, string) error { return refused("namespaces", errSystem) }

// CanCapture says so.
func CanCapture() error { return refused("packet socket", errSystem) }

// BroadcastUDP says so.
func BroadcastUDP(context.Context, string, int) (net.PacketConn, error) {
	return nil, refused("dhcp socket", errSystem)
}

// Hand does nothing.
func (s *Segment) Hand(int) error { return refused("move the cable's end", errSystem) }

// Interfaces is empty.
func (s *Segment) Interfaces() []Interface { return nil }

// Notes is empty.
func (s *Segment) Notes() []string { return nil }

// Close does nothing.
func (s *Segment) Close() error { return nil }

// Plug does nothing.
func (s *Segment) Plug(string, string) error { return refused("plug a cable", errSystem) }
