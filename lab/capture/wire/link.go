package wire

import "encoding/binary"

// The link types that can be read (https://www.tcpdump.org/linktypes.html).
const (
	LinkNull     = 0
	LinkEthernet = 1
	LinkRaw      = 101
	LinkLoop     = 108
	LinkSLL      = 113
	LinkIPv4     = 228
	LinkIPv6     = 229
	LinkSLL2     = 276

	// What some systems wrote where 101 was meant: DLT_RAW differs from one to the next.
	linkRawBSD  = 12
	linkRawOpen = 14
)

// LinkName names a link type.
func LinkName(link int) string {
	switch link {
	case LinkNull:
		return "loopback (null)"
	case LinkEthernet:
		return "Ethernet"
	case LinkRaw, linkRawBSD, linkRawOpen:
		return "raw IP"
	case LinkLoop:
		return "loopback"
	case LinkSLL:
		return "Linux cooked v1"
	case LinkIPv4:
		return "raw IPv4"
	case LinkIPv6:
		return "raw IPv6"
	case LinkSLL2:
		return "Linux cooked v2"
	}
	return ""
}

// link reads the link's head and returns what it carries.
func (p *Packet) link(link int, frame []byte) ([]byte, bool) {
	switch link {
	case LinkEthernet:
		if len(frame) < 14 {
			return nil, false
		}
		p.Destination, p.Source, p.Addressed = [6]byte(frame), [6]byte(frame[6:12]), true
		return p.tagged(binary.BigEndian.Uint16(frame[12:]), frame[14:])
	case LinkRaw, linkRawBSD, linkRawOpen, LinkIPv4, LinkIPv6:
		return p.raw(frame)
	case LinkNull, LinkLoop:
		// Four bytes of an address family, in the order of the machine or of the network: the packet itself tells better.
		if len(frame) < 4 {
			return nil, false
		}
		return p.raw(frame[4:])
	case LinkSLL:
		if len(frame) < 16 {
			return nil, false
		}
		if binary.BigEndian.Uint16(frame[4:]) == 6 {
			p.Source, p.Addressed = [6]byte(frame[6:12]), true
		}
		return p.tagged(binary.BigEndian.Uint16(frame[14:]), frame[16:])
	case LinkSLL2:
		if len(frame) < 20 {
			return nil, false
		}
		if frame[11] == 6 {
			p.Source, p.Addressed = [6]byte(frame[12:18]), true
		}
		return p.tagged(binary.BigEndian.Uint16(frame), frame[20:])
	}
	return frame, false
}

// tagged steps over VLAN tags.
func (p *Packet) tagged(ether uint16, rest []byte) ([]byte, bool) {
	p.Ether = ether
	for range maxTags {
		switch p.Ether {
		case etherVLAN, etherQinQ, etherQ9100, etherQ9200:
		default:
			return rest, true
		}
		if len(rest) < 4 {
			return nil, false
		}
		p.Ether, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	return rest, true
}

// raw tells IPv4 from IPv6 by the version.
func (p *Packet) raw(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return b, false
	}
	switch b[0] >> 4 {
	case 4:
		p.Ether = EtherIPv4
	case 6:
		p.Ether = EtherIPv6
	default:
		return b, false
	}
	return b, true
}
