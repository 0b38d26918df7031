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
	Second netip.Addr   // valid: a second server there; the first falls silent for a client that it has leased to
	Static []string     // MAC addresses in order: the first gets First, the next the one after it ...
	First  netip.Addr
	Spare  int // addresses after the static ones, for MAC addresses nobody declared
	Lease  time.Duration
	Renew  time.Duration     // T1; 0: not told
	Rebind time.Duration     // T2; 0: not told
	Tell   []dhcpv4.Modifier // further options, which may replace router, DNS and NTP server
	Now    func() time.Time
	Log    func(string)
}

// A Lease is an address that a client has taken. HostName is the client's own word: it may hold
// what somebody typed into the device, so it is never logged.
type Lease struct {
	MAC      string
	Address  netip.Addr
	Server   netip.Addr // who granted it last
	HostName string
	At       time.Time
	Requests int

	transaction dhcpv4.TransactionID
}

// A slot is an address that a MAC address holds. Static ones are held for ever.
type slot struct {
	at     netip.Addr
	static bool
	until  time.Time
}

// DHCP is the segment's address server (RFC 2131), or two of them behind one socket.
type DHCP struct {
	*datagrams
	o DHCPOptions

	mu     sync.Mutex // guards the rest
	given  map[string]slot
	next   int // spare addresses given so far
	leases map[string]Lease
}

// offerHolds is how long an offer that nobody took keeps its address: RFC 2131, 4.3.1 leaves it to the server.
const offerHolds = 10 * time.Second

// StartDHCP answers on conn, which must be bound to port 67 of the segment's interface and allowed
// to broadcast. The socket is closed by Close.
func StartDHCP(conn net.PacketConn, o DHCPOptions) *DHCP {
	d := newDHCP(o)
	if o.Second.IsValid() {
		conn = withDestinations(conn)
	}
	d.datagrams = serveDatagrams(d.answer, conn)
	return d
}

func newDHCP(o DHCPOptions) *DHCP {
	d := &DHCP{o: o, given: map[string]slot{}, leases: map[string]Lease{}}
	at := o.First
	for _, mac := range o.Static {
		hw, err := net.ParseMAC(mac)
		if err != nil {
			continue
		}
		d.given[hw.String()] = slot{at: at, static: true}
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

// Expected is the address that a declared MAC address will get, or has from an earlier server with the same
// declarations.
func (d *DHCP) Expected(mac string) (netip.Addr, bool) {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return netip.Addr{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.given[hw.String()]
	return s.at, ok && s.static
}

// Adopt takes a declared MAC address for a client that still holds its lease of an earlier server.
func (d *DHCP) Adopt(mac string) {
	at, ok := d.Expected(mac)
	hw, err := net.ParseMAC(mac)
	if !ok || err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, leased := d.leases[hw.String()]; !leased {
		d.leases[hw.String()] = Lease{MAC: hw.String(), Address: at, Server: d.o.Server.Addr(), At: d.o.Now()}
	}
}

func (d *DHCP) answer(from net.Addr, in []byte) (net.Addr, []byte) {
	m, err := dhcpv4.FromBytes(in)
	if err != nil || m.OpCode != dhcpv4.OpcodeBootRequest || len(m.ClientHWAddr) != 6 {
		return nil, nil
	}
	reply := d.reply(m, destination(from))
	if reply == nil {
		return nil, nil
	}
	// RFC 2131, 4.1: a client that has its address is answered there, any other by broadcast.
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}
	if reply.MessageType() == dhcpv4.MessageTypeAck && !m.ClientIPAddr.IsUnspecified() {
		to.IP = m.ClientIPAddr
	}
	return departure{to, reply.ServerIPAddr}, reply.ToBytes()
}

// reply follows RFC 2131, section 4.3; nil: stay silent. at is the address that the message was sent to.
func (d *DHCP) reply(m *dhcpv4.DHCPv4, at netip.Addr) *dhcpv4.DHCPv4 {
	d.mu.Lock()
	defer d.mu.Unlock()
	mac := m.ClientHWAddr.String()
	server, silent := d.who(m, mac, at)
	if silent {
		return nil
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		if at, ok := d.address(mac, offerHolds); ok {
			return d.message(m, dhcpv4.MessageTypeOffer, server, at)
		}
	case dhcpv4.MessageTypeRequest:
		return d.request(m, mac, server)
	case dhcpv4.MessageTypeInform:
		return d.message(m, dhcpv4.MessageTypeAck, server, netip.Addr{})
	case dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline:
		delete(d.leases, mac)
	}
	return nil
}

// who answers a client: the first server, or in its stead the second once the first has leased to it. What
// is sent to the first alone then stays without an answer, as from a server that has died.
func (d *DHCP) who(m *dhcpv4.DHCPv4, mac string, at netip.Addr) (server netip.Addr, silent bool) {
	first := d.o.Server.Addr()
	if !d.o.Second.IsValid() {
		return first, false
	}
	l, leased := d.leases[mac]
	switch named := m.ServerIdentifier(); {
	case !leased:
		return first, at == d.o.Second
	case named != nil && named.Equal(first.AsSlice()):
		// The same request again: the first server's answer to it was lost, it is not dead yet.
		return first, l.transaction != m.TransactionID
	case at == first:
		return first, true
	}
	return d.o.Second, false
}

func (d *DHCP) request(m *dhcpv4.DHCPv4, mac string, server netip.Addr) *dhcpv4.DHCPv4 {
	if id := m.ServerIdentifier(); id != nil && !id.Equal(server.AsSlice()) {
		return nil // the client took somebody else's offer
	}
	wanted := m.RequestedIPAddress()
	if wanted == nil || wanted.IsUnspecified() {
		wanted = m.ClientIPAddr
	}
	at, ok := d.address(mac, d.o.Lease)
	if !ok {
		return nil
	}
	if !wanted.Equal(at.AsSlice()) {
		return d.message(m, dhcpv4.MessageTypeNak, server, netip.Addr{})
	}
	l := d.leases[mac]
	if d.o.Log != nil && (l.Requests == 0 || l.Server != server) {
		d.o.Log("dhcp: " + at.String() + " leased to " + mac + " by " + server.String())
	}
	d.leases[mac] = Lease{
		MAC: mac, Address: at, Server: server, HostName: m.HostName(), At: d.o.Now(), Requests: l.Requests + 1, transaction: m.TransactionID,
	}
	return d.message(m, dhcpv4.MessageTypeAck, server, at)
}

// address is what a MAC address gets. Memory is bounded by the spare addresses: a client that invents
// MAC addresses gets those that nobody holds any more, and never one that was declared.
func (d *DHCP) address(mac string, holds time.Duration) (netip.Addr, bool) {
	now := d.o.Now()
	s, ok := d.given[mac]
	switch {
	case ok && s.static:
		return s.at, true
	case ok:
	case d.next < d.o.Spare:
		s.at = d.o.First
		d.o.First = s.at.Next()
		d.next++
	default:
		old := d.expired(now)
		if old == "" {
			return netip.Addr{}, false
		}
		s.at = d.given[old].at
		delete(d.given, old)
		delete(d.leases, old)
	}
	if until := now.Add(holds); until.After(s.until) {
		s.until = until
	}
	d.given[mac] = s
	return s.at, true
}

// expired finds who has held a spare address past its time for longest; empty: nobody.
func (d *DHCP) expired(now time.Time) string {
	oldest := ""
	for mac, s := range d.given {
		if !s.static && s.until.Before(now) && (oldest == "" || s.until.Before(d.given[oldest].until)) {
			oldest = mac
		}
	}
	return oldest
}

func (d *DHCP) message(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType, by, yours netip.Addr) *dhcpv4.DHCPv4 {
	server, own := net.IP(by.AsSlice()), net.IP(d.o.Server.Addr().AsSlice())
	mods := []dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithServerIP(server),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server)),
	}
	if yours.IsValid() {
		mods = append(mods, dhcpv4.WithYourIP(yours.AsSlice()), dhcpv4.WithLeaseTime(uint32(d.o.Lease/time.Second)))
		if d.o.Renew > 0 {
			mods = append(mods, dhcpv4.WithOption(dhcpv4.OptRenewTimeValue(d.o.Renew)))
		}
		if d.o.Rebind > 0 {
			mods = append(mods, dhcpv4.WithOption(dhcpv4.OptRebindingTimeValue(d.o.Rebind)))
		}
	}
	if kind != dhcpv4.MessageTypeNak {
		mods = append(mods,
			dhcpv4.WithNetmask(net.CIDRMask(d.o.Server.Bits(), 32)),
			dhcpv4.WithOption(dhcpv4.OptRouter(own)),
			dhcpv4.WithOption(dhcpv4.OptDNS(own)),
			dhcpv4.WithOption(dhcpv4.OptNTPServers(own)),
		)
		mods = append(mods, d.o.Tell...)
	}
	reply, err := dhcpv4.NewReplyFromRequest(m, mods...)
	if err != nil {
		return nil
	}
	return reply
}
