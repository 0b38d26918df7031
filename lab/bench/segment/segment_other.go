//go:build !linux

package segment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"assay/probes"
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

// Features are what a kernel can do to a link: nothing here.
type Features struct{ Delay, Loss, Rate error }

// LinkFeatures says so.
func LinkFeatures() Features { return Features{errSystem, errSystem, errSystem} }

// A Link cannot be changed here.
type Link struct{ Name string }

// Cut says so.
func (*Link) Cut() error { return refused("cut the link", errSystem) }

// Join says so.
func (*Link) Join() error { return refused("restore the link", errSystem) }

// Degrade says so.
func (*Link) Degrade(probes.LinkConditions) error { return refused("degrade the link", errSystem) }

// A Door is one place outside that the device may reach.
type Door struct {
	To  netip.AddrPort
	UDP bool
}

// A Fence cannot be put up here.
type Fence struct{}

// Shut says so.
func Shut(string, netip.Prefix, string, []Door) (*Fence, error) {
	return nil, refused("shut the segment in", errSystem)
}

// Open does nothing.
func (*Fence) Open() error { return nil }

// Forward says so.
func (n *NIC) Forward(string) error { return refused("forward", errSystem) }

// WhoHas says so.
func WhoHas(context.Context, string, netip.Addr, time.Duration) ([]net.HardwareAddr, error) {
	return nil, refused("arp", errSystem)
}

// Looks are what can be seen of an interface without changing it.
type Looks struct {
	Up, Carrier     bool
	Driver          string
	Mbit            int
	Duplex          string
	Errors, Dropped uint64
	Promiscuous     int
}

// Look sees the little that every system tells.
func Look(name string) (Looks, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return Looks{}, refused("find "+name, err)
	}
	return Looks{Up: i.Flags&net.FlagUp != 0, Carrier: i.Flags&net.FlagRunning != 0}, nil
}

// Takeable says so.
func Takeable(string, []netip.Prefix) error { return refused("take an interface", errSystem) }

// GroupUDP6 says so.
func GroupUDP6(context.Context, *net.Interface, string, int) (net.PacketConn, error) {
	return nil, refused("dhcpv6 socket", errSystem)
}

// FreeTCP6 says so.
func FreeTCP6(context.Context, netip.Addr, int) (net.Listener, error) {
	return nil, refused("listen", errSystem)
}

// Neighbour6 says so.
func Neighbour6(context.Context, string, netip.Addr, time.Duration) (net.HardwareAddr, error) {
	return nil, refused("look for a neighbour", errSystem)
}

// Hosts6 says so.
func Hosts6(context.Context, string, net.HardwareAddr, []netip.Addr, time.Duration) ([]netip.Addr, error) {
	return nil, fmt.Errorf("%w: %w", ErrNoIPv6, refused("look for IPv6 addresses", errSystem))
}

// HasIPv6 tells nothing here: nobody asks.
func HasIPv6() bool { return true }

// FreeUDP6 says so.
func FreeUDP6(context.Context, netip.Addr, int) (net.PacketConn, error) {
	return nil, refused("listen", errSystem)
}

// Plug does nothing.
func (s *Segment) Plug(string, string) error { return refused("plug a cable", errSystem) }

// A Guest cannot come here.
type Guest struct{}

// Visit says so.
func Visit(string, net.HardwareAddr) (*Guest, error) { return nil, refused("plug a guest", errSystem) }

// Visit says so.
func (s *Segment) Visit(net.HardwareAddr) (*Guest, error) {
	return nil, refused("plug a guest", errSystem)
}

// Hand says so.
func (g *Guest) Hand(int) (string, error) { return "", refused("move the guest's end", errSystem) }

// Close does nothing.
func (g *Guest) Close() error { return nil }

// CanVisit says so.
func CanVisit() error { return refused("plug a guest", errSystem) }
