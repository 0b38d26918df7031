package capture

import (
	"assay/lab/capture/wire"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// decoded reads a payload as one layer. The library recovers from its own panics, and an error
// within it makes the layer missing, not half read.
func decoded[L gopacket.Layer](payload []byte, first gopacket.LayerType) (layer L, ok bool) {
	packet := gopacket.NewPacket(payload, first, gopacket.DecodeOptions{NoCopy: true})
	layer, ok = packet.Layer(first).(L)
	return layer, ok
}

func arpStory(b []byte) (string, string) {
	a, ok := decoded[*layers.ARP](b, layers.LayerTypeARP)
	if !ok || len(a.SourceProtAddress) != 4 || len(a.DstProtAddress) != 4 {
		return "ARP", "malformed"
	}
	from, to := netip.AddrFrom4([4]byte(a.SourceProtAddress)), netip.AddrFrom4([4]byte(a.DstProtAddress))
	switch {
	case a.Operation == layers.ARPRequest && from == to:
		return "ARP", fmt.Sprintf("announces %s", from)
	case a.Operation == layers.ARPRequest && !from.IsUnspecified():
		return "ARP", fmt.Sprintf("who has %s? tell %s", to, from)
	case a.Operation == layers.ARPRequest:
		return "ARP", fmt.Sprintf("does anybody have %s?", to)
	case a.Operation == layers.ARPReply:
		return "ARP", fmt.Sprintf("%s is at %s", from, net.HardwareAddr(a.SourceHwAddress))
	}
	return "ARP", fmt.Sprintf("operation %d", a.Operation)
}

func icmpStory(b []byte) (string, string) {
	m, ok := decoded[*layers.ICMPv4](b, layers.LayerTypeICMPv4)
	if !ok {
		return "ICMP", "malformed"
	}
	return "ICMP", m.TypeCode.String()
}

func icmp6Story(b []byte) (string, string) {
	m, ok := decoded[*layers.ICMPv6](b, layers.LayerTypeICMPv6)
	if !ok {
		return "ICMPv6", "malformed"
	}
	return "ICMPv6", m.TypeCode.String()
}

// dhcpCookie begins the options of DHCP (RFC 2131, section 3), after 236 fixed bytes.
const dhcpCookie = 0x63825363

func dhcpStory(p *wire.Packet) (string, string) {
	if len(p.Payload) < 240 || binary.BigEndian.Uint32(p.Payload[236:]) != dhcpCookie || !p.On(67, 68, 4011) {
		return "", ""
	}
	d, ok := decoded[*layers.DHCPv4](p.Payload, layers.LayerTypeDHCPv4)
	if !ok {
		return "DHCP", "malformed"
	}
	// The host name is left out: it is user data on many devices.
	kind := "without a type"
	for _, o := range d.Options {
		if o.Type == layers.DHCPOptMessageType && len(o.Data) == 1 {
			kind = strings.ToLower(layers.DHCPMsgType(o.Data[0]).String())
		}
	}
	if yours, ok := netip.AddrFromSlice(d.YourClientIP); ok && !yours.IsUnspecified() {
		kind += " " + yours.String()
	}
	return "DHCP", kind
}

func dhcp6Story(p *wire.Packet) (string, string) {
	if !p.On(546, 547) {
		return "", ""
	}
	d, ok := decoded[*layers.DHCPv6](p.Payload, layers.LayerTypeDHCPv6)
	if !ok {
		return "", ""
	}
	return "DHCPv6", strings.ToLower(d.MsgType.String())
}

func dnsStory(p *wire.Packet) (string, string) {
	payload, name := p.Payload, "DNS"
	switch {
	case p.On(53):
	case p.On(5353):
		name = "mDNS"
	case p.On(5355):
		name = "LLMNR"
	default:
		return "", ""
	}
	if p.Proto == wire.ProtoTCP {
		// RFC 1035, section 4.2.2: a length goes before the message.
		if len(payload) < 2 || int(binary.BigEndian.Uint16(payload)) != len(payload)-2 {
			return "", ""
		}
		payload = payload[2:]
	}
	d, ok := decoded[*layers.DNS](payload, layers.LayerTypeDNS)
	if !ok {
		return "", ""
	}
	var what []string
	for _, q := range d.Questions {
		what = append(what, fmt.Sprintf("%s %s", q.Type, q.Name))
	}
	if !d.QR {
		return name, "asks " + strings.Join(what, ", ")
	}
	for _, a := range d.Answers {
		if a.IP != nil {
			what = append(what, "is "+a.IP.String())
		}
	}
	if d.ResponseCode != layers.DNSResponseCodeNoErr {
		what = append(what, d.ResponseCode.String())
	}
	return name, "answers " + strings.Join(what, ", ")
}

func ntpStory(p *wire.Packet) (string, string) {
	if !p.On(123) {
		return "", ""
	}
	n, ok := decoded[*layers.NTP](p.Payload, layers.LayerTypeNTP)
	if !ok {
		return "", ""
	}
	modes := [...]string{"reserved", "symmetric", "passive", "client", "server", "broadcast", "control", "private"} // RFC 5905, figure 10
	return "NTP", fmt.Sprintf("version %d, %s", n.Version, modes[n.Mode&7])
}
