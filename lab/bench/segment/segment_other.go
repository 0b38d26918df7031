//go:build !linux

package segment

import (
	"context"
	"errors"
	"net"
	"net/netip"
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

// A NIC cannot be taken here.
type NIC struct{}

// Found is empty here.
type Found struct {
	Up          bool
	Stale, Kept []string
}

// Take says so.
func Take(string, []netip.Prefix) (*NIC, error) { return nil, refused("take an interface", errSystem) }

// Up says so.
func (n *NIC) Up() error { return refused("set up", errSystem) }

// Found is empty.
func (n *NIC) Found() Found { return Found{} }

// Interface is empty.
func (n *NIC) Interface() Interface { return Interface{} }

// Close does nothing.
func (n *NIC) Close() error { return nil }

// Capabilities tells that nothing is possible.
func Capabilities() []string { return []string{"Linux"} }

// FreePrefix says so.
func FreePrefix(string) (netip.Prefix, error) {
	return netip.Prefix{}, refused("choose an address", errSystem)
}

// Overlaps says so.
func Overlaps(netip.Prefix, string) (string, error) { return "", refused("list routes", errSystem) }

// Offloads names none.
func Offloads(string) []string { return nil }
