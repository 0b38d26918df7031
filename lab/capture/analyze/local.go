package analyze

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/gopacket/layers"

	"assay/lab/capture/wire"
)

type messageKey struct{ protocol, from, to, info string }

// message counts a message of a protocol that is told by its kinds only.
func (a *analyzer) message(protocol, from, to, info string) {
	key := messageKey{protocol, from, to, info}
	m := a.others[key]
	if m == nil {
		if !a.room(len(a.others), "messages of other protocols") {
			return
		}
		m = &Message{Protocol: protocol, From: from, To: to, Info: info, Frame: a.frame.Number}
		a.others[key] = m
	}
	m.Packets++
}

// arp learns who claims which address.
func (a *analyzer) arp(p *wire.Packet) {
	a.count("ARP", a.frame.Original)
	from, to, ok := wire.ARPAddresses(p.Payload)
	if !ok {
		a.message("ARP", net.HardwareAddr(p.Source[:]).String(), "", "malformed")
		return
	}
	claimed := [6]byte(p.Payload[8:14])
	info := "asks"
	switch operation := binary.BigEndian.Uint16(p.Payload[6:]); {
	case operation == 2:
		info = "is at " + net.HardwareAddr(claimed[:]).String()
	case from == to:
		info = "announces itself at " + net.HardwareAddr(claimed[:]).String()
	case from.IsUnspecified():
		info = "probes"
	}
	if !from.IsUnspecified() {
		e := a.endpoints.at(a, from)
		e.learn(claimed)
		e.last = a.frame.At
	}
	a.message("ARP", from.String(), to.String(), info)
}

func (a *analyzer) icmp(p *wire.Packet) {
	a.endpoints.talk(a, p.From, p.To)
	if e := a.endpoints.at(a, p.From); p.Addressed {
		e.learn(p.Source)
	}
	name, info := "ICMP", "malformed"
	if len(p.Payload) >= 2 {
		code := uint16(p.Payload[0])<<8 | uint16(p.Payload[1])
		info = layers.ICMPv4TypeCode(code).String()
		if p.Proto == wire.ProtoICMP6 {
			name, info = "ICMPv6", layers.ICMPv6TypeCode(code).String()
		}
	}
	a.count(name, a.frame.Original)
	a.message(name, p.From.String(), p.To.String(), info)
	if len(p.Payload) < 8 {
		return
	}
	if kind := p.Payload[0]; p.Proto == wire.ProtoICMP && kind == 3 || p.Proto == wire.ProtoICMP6 && kind == 1 {
		a.refuse(p.Payload[8:])
	}
}

// refuse takes an ICMP error's quotation to the UDP flow that it is about (RFC 1122, section 4.1.3.3).
func (a *analyzer) refuse(quoted []byte) {
	var q wire.Packet
	if q.Parse(wire.LinkRaw, quoted); !q.Ports || q.Proto != wire.ProtoUDP {
		return
	}
	key, _ := keyOf(&q)
	if f := a.flows.live[key]; f != nil && f.packets[toClient] == 0 {
		f.state.refused = true
	}
}

// ntp tells modes and versions (RFC 5905, figure 10).
func (a *analyzer) ntp(f *flow, dir int, b []byte) {
	modes := [...]string{"reserved", "symmetric", "passive", "client", "server", "broadcast", "control", "private"}
	*a.total("ntp messages")++
	a.message("NTP", f.ends[dir].Addr().String(), f.ends[1-dir].Addr().String(), fmt.Sprintf("version %d, %s", b[0]>>3&7, modes[b[0]&7]))
}

func (a *analyzer) count6(f *flow, dir int, b []byte) {
	if len(b) < 4 {
		return
	}
	a.message("DHCPv6", f.ends[dir].Addr().String(), f.ends[1-dir].Addr().String(), lower(layers.DHCPv6MsgType(b[0]).String()))
}

// dhcpCookie begins the options of DHCP (RFC 2131, section 3), after 236 fixed bytes.
const dhcpCookie = 0x63825363

func isDHCP(b []byte) bool { return len(b) >= 240 && binary.BigEndian.Uint32(b[236:]) == dhcpCookie }

// dhcpMessage reads what a client says of itself and what it is given.
func (a *analyzer) dhcpMessage(b []byte) {
	var d layers.DHCPv4
	if !decode(d.DecodeFromBytes, b) || len(d.ClientHWAddr) < 6 {
		*a.total("dhcp malformed")++
		return
	}
	*a.total("dhcp messages")++
	mac := [6]byte(d.ClientHWAddr)
	c := a.dhcp[mac]
	if c == nil {
		if !a.room(len(a.dhcp), "DHCP clients") {
			return
		}
		c = &DHCPClient{MAC: d.ClientHWAddr.String(), Messages: map[string]Count{}, Frame: a.frame.Number}
		a.dhcp[mac] = c
	}
	kind, fromClient := "without a type", d.Operation == layers.DHCPOpRequest
	for _, o := range d.Options {
		switch {
		case o.Type == layers.DHCPOptMessageType && len(o.Data) == 1:
			kind = lower(layers.DHCPMsgType(o.Data[0]).String())
		case fromClient && o.Type == layers.DHCPOptHostname:
			c.HostName = clean(o.Data)
		case fromClient && o.Type == layers.DHCPOptClassID:
			c.VendorClass = clean(o.Data)
		case fromClient && o.Type == layers.DHCPOptParamsRequest:
			var list []string
			for _, n := range o.Data {
				list = append(list, fmt.Sprint(n))
			}
			c.Parameters = strings.Join(list, ",")
		case !fromClient && o.Type == layers.DHCPOptServerID:
			c.Server = address(o.Data)
		case !fromClient && o.Type == layers.DHCPOptRouter:
			c.Router = address(o.Data)
		case !fromClient && o.Type == layers.DHCPOptDNS:
			c.Resolvers = nil
			for b := o.Data; len(b) >= 4 && len(c.Resolvers) < 4; b = b[4:] {
				c.Resolvers = append(c.Resolvers, address(b))
			}
		}
	}
	c.Messages[kind]++
	yours, ok := netip.AddrFromSlice(d.YourClientIP)
	if !ok || yours.Unmap().IsUnspecified() || fromClient || kind != "ack" {
		return
	}
	c.Address = yours.Unmap().String()
	a.endpoints.at(a, yours.Unmap()).learn(mac)
	if c.HostName != "" {
		a.names.add(a, c.HostName, yours.Unmap(), "DHCP")
	}
}

func address(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	return netip.AddrFrom4([4]byte(b)).String()
}
