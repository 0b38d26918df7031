package services

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// DHCPOptions says which addresses the server hands out and what it tells with them.
type DHCPOptions struct {
	Server netip.Prefix // the bench's own address in the segment, also router, DNS and NTP server
	Static []string     // MAC addresses in order: the first gets First, the next the one after it ...
	First  netip.Addr
	Spare  int // addresses after the static ones, for MAC addresses nobody declared
	Lease  time.Duration
	Now    func() time.Time
	Log    func(string)
}

// A Lease is an address that a client has taken. HostName is the client's own word: it may hold
// what somebody typed into the device, so it is never logged.
type Lease struct {
	MAC      string
	Address  netip.Addr
	HostName string
	At       time.Time
	Requests int
}

// DHCP is the segment's address server (RFC 2131).
type DHCP struct {
	*datagrams
	o DHCPOptions

	mu     sync.Mutex // guards the rest
	given  map[string]netip.Addr
	next   int // spare addresses given so far
	leases map[string]Lease
}

// StartDHCP answers on conn, which must be bound to port 67 of the segment's interface and allowed
// to broadcast. The socket is closed by Close.
func StartDHCP(conn net.PacketConn, o DHCPOptions) *DHCP {
	d := newDHCP(o)
	d.datagrams = serveDatagrams(conn, d.answer)
	return d
}

func newDHCP(o DHCPOptions) *DHCP {
	d := &DHCP{o: o, given: map[string]netip.Addr{}, leases: map[string]Lease{}}
	at := o.First
	for _, mac := range o.Static {
		hw, err := net.ParseMAC(mac)
		if err != nil {
			continue
		}
		d.given[hw.String()] = at
		at = at.Next()
	}
	d.o.First = at // of the spare ones
	return d
}

// Counts tells what it met.
func (d *DHCP) Counts() Counts { return d.counts() }

// Close ends the service.
func (d *DHCP) Close() error { return d.close() }

// Leases lists the addresses that were taken, by MAC address.
func (d *DHCP) Leases() []Lease {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Lease, 0, len(d.leases))
	for _, l := range d.leases {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Lease) int { return strings.Compare(a.MAC, b.MAC) })
	return out
}

// Lease returns the lease of a MAC address.
func (d *DHCP) Lease(mac string) (Lease, bool) {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return Lease{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.leases[hw.String()]
	return l, ok
}

// Forget drops the lease of a MAC address, so that its next one can be waited for; the address stays its own.
func (d *DHCP) Forget(mac string) {
	if hw, err := net.ParseMAC(mac); err == nil {
		d.mu.Lock()
		delete(d.leases, hw.String())
		d.mu.Unlock()
	}
}

func (d *DHCP) answer(_ net.Addr, in []byte) (net.Addr, []byte) {
	m, err := dhcpv4.FromBytes(in)
	if err != nil || m.OpCode != dhcpv4.OpcodeBootRequest || len(m.ClientHWAddr) != 6 {
		return nil, nil
	}
	reply := d.reply(m)
	if reply == nil {
		return nil, nil
	}
	// RFC 2131, 4.1: a client that has its address is answered there, any other by broadcast.
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}
	if reply.MessageType() == dhcpv4.MessageTypeAck && !m.ClientIPAddr.IsUnspecified() {
		to.IP = m.ClientIPAddr
	}
	return to, reply.ToBytes()
}

// reply follows RFC 2131, section 4.3; nil: stay silent.
func (d *DHCP) reply(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	d.mu.Lock()
	defer d.mu.Unlock()
	mac := m.ClientHWAddr.String()
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		if at, ok := d.address(mac); ok {
			return d.message(m, dhcpv4.MessageTypeOffer, at)
		}
	case dhcpv4.MessageTypeRequest:
		return d.request(m, mac)
	case dhcpv4.MessageTypeInform:
		return d.message(m, dhcpv4.MessageTypeAck, netip.Addr{})
	case dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline:
		delete(d.leases, mac)
	}
	return nil
}

func (d *DHCP) request(m *dhcpv4.DHCPv4, mac string) *dhcpv4.DHCPv4 {
	if id := m.ServerIdentifier(); id != nil && !id.Equal(d.o.Server.Addr().AsSlice()) {
		return nil // the client took somebody else's offer
	}
	wanted := m.RequestedIPAddress()
	if wanted == nil || wanted.IsUnspecified() {
		wanted = m.ClientIPAddr
	}
	at, ok := d.address(mac)
	if !ok {
		return nil
	}
	if !wanted.Equal(at.AsSlice()) {
		return d.message(m, dhcpv4.MessageTypeNak, netip.Addr{})
	}
	l := d.leases[mac]
	if l.Requests == 0 && d.o.Log != nil {
		d.o.Log("dhcp: " + at.String() + " leased to " + mac)
	}
	d.leases[mac] = Lease{MAC: mac, Address: at, HostName: m.HostName(), At: d.o.Now(), Requests: l.Requests + 1}
	return d.message(m, dhcpv4.MessageTypeAck, at)
}

// address is what a MAC address gets, for ever: so memory is bounded by the spare addresses.
func (d *DHCP) address(mac string) (netip.Addr, bool) {
	if at, ok := d.given[mac]; ok {
		return at, true
	}
	if d.next >= d.o.Spare {
		return netip.Addr{}, false
	}
	at := d.o.First
	d.o.First = at.Next()
	d.next++
	d.given[mac] = at
	return at, true
}

func (d *DHCP) message(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType, yours netip.Addr) *dhcpv4.DHCPv4 {
	server := net.IP(d.o.Server.Addr().AsSlice())
	mods := []dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithServerIP(server),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server)),
	}
	if yours.IsValid() {
		mods = append(mods, dhcpv4.WithYourIP(yours.AsSlice()), dhcpv4.WithLeaseTime(uint32(d.o.Lease/time.Second)))
	}
	if kind != dhcpv4.MessageTypeNak {
		mods = append(mods,
			dhcpv4.WithNetmask(net.CIDRMask(d.o.Server.Bits(), 32)),
			dhcpv4.WithOption(dhcpv4.OptRouter(server)),
			dhcpv4.WithOption(dhcpv4.OptDNS(server)),
			dhcpv4.WithOption(dhcpv4.OptNTPServers(server)),
		)
	}
	reply, err := dhcpv4.NewReplyFromRequest(m, mods...)
	if err != nil {
		return nil
	}
	return reply
}
