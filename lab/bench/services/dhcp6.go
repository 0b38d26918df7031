package services

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// DHCP6Options says which IPv6 addresses the server hands out.
type DHCP6Options struct {
	Server    netip.Addr       // the bench's own address, also the DNS server
	MAC       net.HardwareAddr // of the bench's interface: who the server is (RFC 8415, 11.4)
	Prefix    netip.Prefix     // a /64
	Addresses bool             // lease addresses; without it only the name server is told
	Spare     int              // addresses
	Lease     time.Duration
	Domain    string
	Now       func() time.Time
	Log       func(string)
}

// leases6First is the host part of the first address that is leased.
const leases6First = 0x1000

// DHCP6 is the segment's server for IPv6 addresses (RFC 8415). It knows a client by the identity that the client
// gives itself, so memory is bounded by the addresses, not by identities.
type DHCP6 struct {
	*datagrams
	o    DHCP6Options
	duid dhcpv6.DUID

	mu    sync.Mutex // guards the rest
	given map[string]slot
	next  int
}

// StartDHCP6 answers on conn, which must be bound to port 547 of the segment's interface and belong to
// the group ff02::1:2. The socket is closed by Close.
func StartDHCP6(conn net.PacketConn, o DHCP6Options) *DHCP6 {
	d := newDHCP6(o)
	d.datagrams = serveDatagrams(d.answer, conn)
	return d
}

func newDHCP6(o DHCP6Options) *DHCP6 {
	return &DHCP6{o: o, duid: &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: o.MAC}, given: map[string]slot{}}
}

// Counts tells what it met.
func (d *DHCP6) Counts() Counts { return d.counts() }

// Close ends the service.
func (d *DHCP6) Close() error { return d.close() }

// answer follows RFC 8415, section 18.3.
func (d *DHCP6) answer(from net.Addr, in []byte) (net.Addr, []byte) {
	m, err := dhcpv6.MessageFromBytes(in)
	if err != nil {
		return nil, nil
	}
	client, server := m.Options.ClientID(), m.Options.ServerID()
	named := server != nil && bytes.Equal(server.ToBytes(), d.duid.ToBytes())
	kind := dhcpv6.MessageTypeReply
	switch m.Type() {
	case dhcpv6.MessageTypeSolicit:
		if server != nil || client == nil {
			return nil, nil
		}
		if m.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
			kind = dhcpv6.MessageTypeAdvertise
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		if !named || client == nil {
			return nil, nil
		}
	case dhcpv6.MessageTypeRebind, dhcpv6.MessageTypeConfirm:
		if server != nil || client == nil {
			return nil, nil
		}
	case dhcpv6.MessageTypeInformationRequest:
		if server != nil && !named {
			return nil, nil
		}
	default:
		return nil, nil
	}
	return from, d.reply(m, kind, client).ToBytes()
}

func (d *DHCP6) reply(m *dhcpv6.Message, kind dhcpv6.MessageType, client dhcpv6.DUID) *dhcpv6.Message {
	out := &dhcpv6.Message{MessageType: kind, TransactionID: m.TransactionID}
	if client != nil {
		out.AddOption(dhcpv6.OptClientID(client))
	}
	out.AddOption(dhcpv6.OptServerID(d.duid))
	switch m.Type() {
	case dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline, dhcpv6.MessageTypeConfirm:
		out.AddOption(&dhcpv6.OptStatusCode{StatusCode: iana.StatusSuccess})
		return out
	}
	out.AddOption(dhcpv6.OptDNS(d.o.Server.AsSlice()))
	if d.o.Domain != "" {
		dhcpv6.WithDomainSearchList(d.o.Domain)(out)
	}
	if m.GetOneOption(dhcpv6.OptionRapidCommit) != nil && kind == dhcpv6.MessageTypeReply {
		dhcpv6.WithRapidCommit(out)
	}
	if ia := m.Options.OneIANA(); ia != nil && client != nil {
		out.AddOption(d.lease(ia, client, kind == dhcpv6.MessageTypeReply))
	}
	return out
}

// lease grants one address to one association of a client.
func (d *DHCP6) lease(ia *dhcpv6.OptIANA, client dhcpv6.DUID, taken bool) *dhcpv6.OptIANA {
	grant := &dhcpv6.OptIANA{IaId: ia.IaId}
	holds := offerHolds
	if taken {
		holds = d.o.Lease
	}
	at, ok := d.address(string(client.ToBytes())+string(ia.IaId[:]), holds)
	if !ok {
		grant.Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoAddrsAvail})
		return grant
	}
	grant.T1, grant.T2 = d.o.Lease/2, d.o.Lease*4/5
	grant.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: at.AsSlice(), PreferredLifetime: d.o.Lease, ValidLifetime: d.o.Lease})
	if taken && d.o.Log != nil {
		d.o.Log("dhcpv6: " + at.String() + " leased")
	}
	return grant
}

// address is as DHCP.address: what nobody holds any more is given to the next one.
func (d *DHCP6) address(client string, holds time.Duration) (netip.Addr, bool) {
	if !d.o.Addresses {
		return netip.Addr{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.o.Now()
	s, ok := d.given[client]
	switch {
	case ok:
	case d.next < d.o.Spare:
		b := d.o.Prefix.Addr().As16()
		binary.BigEndian.PutUint16(b[14:], uint16(leases6First+d.next)) //nolint:gosec // a few
		s.at = netip.AddrFrom16(b)
		d.next++
	default:
		oldest := ""
		for c, one := range d.given {
			if one.until.Before(now) && (oldest == "" || one.until.Before(d.given[oldest].until)) {
				oldest = c
			}
		}
		if oldest == "" {
			return netip.Addr{}, false
		}
		s.at = d.given[oldest].at
		delete(d.given, oldest)
	}
	if until := now.Add(holds); until.After(s.until) {
		s.until = until
	}
	d.given[client] = s
	return s.at, true
}
