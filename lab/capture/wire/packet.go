// Package wire reads what frames carry: links, IP, TCP, UDP, and the messages of the protocols that
// devices speak. It works on bytes alone, bounded by their number: it never keeps, waits or judges, and
// whatever the bytes are, it never panics.
package wire

import (
	"encoding/binary"
	"net/netip"
)

// The numbers that the unpacker knows: IEEE 802 EtherTypes and IANA protocol numbers.
const (
	EtherIPv4              = 0x0800
	EtherARP               = 0x0806
	etherVLAN              = 0x8100
	EtherIPv6              = 0x86DD
	etherQinQ              = 0x88A8
	etherQ9100, etherQ9200 = 0x9100, 0x9200 // what switches put before a second tag when that had no number yet

	protoHop      = 0 // IPv6 hop-by-hop options
	ProtoICMP     = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	ProtoICMP6    = 58
	protoNothing  = 59
	protoOptions  = 60

	maxTags    = 4
	maxHeaders = 8

	FIN = 1 << 0 // flags of TCP
	SYN = 1 << 1
	RST = 1 << 2
	ACK = 1 << 4
)

// A Packet is what a frame carries, as far as it can be told. Only what was parsed is set.
type Packet struct {
	Source, Destination         [6]byte // Ethernet addresses; of Linux' "any" device only the source is told
	Addressed                   bool    // Source is set
	Ether                       uint16
	From, To                    netip.Addr
	Proto                       uint8
	TTL                         uint8     // time to live, or hop limit
	Fragment                    *Fragment // this is only a part of a datagram
	SourcePort, DestinationPort uint16
	Seq                         uint32
	Flags                       uint8
	Ports                       bool   // ports and payload are the transport's
	Cut                         bool   // the frame was cut: the payload is only its beginning
	Missing                     int    // bytes of the payload that the cut took
	Payload                     []byte // the transport's, or the network's if that was not understood
	Trailer                     []byte // bytes of the frame after the packet's end
}

// A Fragment is a part of an IP datagram.
type Fragment struct {
	ID     uint32
	Offset int
	More   bool
}

// Parse reads a frame of a link type as far as it follows IPv4 (RFC 791), IPv6 (RFC 8200), UDP (RFC 768) and
// TCP (RFC 9293). It tells whether the whole payload of the transport was found, or that the datagram is a fragment.
func (p *Packet) Parse(link int, frame []byte) bool {
	*p = Packet{}
	rest, ok := p.link(link, frame)
	p.Payload = rest
	if !ok {
		return false
	}
	switch p.Ether {
	case EtherIPv4:
		ok = p.ipv4(rest)
	case EtherIPv6:
		ok = p.ipv6(rest)
	default:
		return false
	}
	return ok && !p.Cut
}

func (p *Packet) ipv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 {
		return false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // segmentation offload beyond 64 KiB
	}
	if header < 20 || total < header || header > len(b) {
		return false
	}
	if total > len(b) {
		p.Cut, p.Missing, total = true, total-len(b), len(b)
	}
	p.TTL = b[8]
	p.From, p.To = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.Proto, p.Payload, p.Trailer = b[9], b[header:total], b[total:]
	if place := binary.BigEndian.Uint16(b[6:]); place&0x3fff != 0 {
		p.Fragment = &Fragment{ID: uint32(binary.BigEndian.Uint16(b[4:])), Offset: int(place&0x1fff) * 8, More: place&0x2000 != 0}
		return true
	}
	return p.Transport()
}

func (p *Packet) ipv6(b []byte) bool {
	if len(b) < 40 || b[0]>>4 != 6 {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = len(b) - 40
	}
	if length > len(b)-40 {
		p.Cut, p.Missing, length = true, length-(len(b)-40), len(b)-40
	}
	p.TTL = b[7]
	p.From, p.To = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	p.Proto, p.Payload, p.Trailer = b[6], b[40:40+length], b[40+length:]
	for range maxHeaders {
		switch p.Proto {
		case protoHop, protoRouting, protoOptions:
			if len(p.Payload) < 8 {
				return false
			}
			size := 8 + 8*int(p.Payload[1])
			if size > len(p.Payload) {
				return false
			}
			p.Proto, p.Payload = p.Payload[0], p.Payload[size:]
		case protoFragment:
			if len(p.Payload) < 8 {
				return false
			}
			place := binary.BigEndian.Uint16(p.Payload[2:])
			id := binary.BigEndian.Uint32(p.Payload[4:])
			p.Proto, p.Payload = p.Payload[0], p.Payload[8:]
			if place&0xfff9 != 0 { // else it is whole, an atomic fragment (RFC 6946)
				p.Fragment = &Fragment{ID: id, Offset: int(place &^ 7), More: place&1 != 0}
				return true
			}
		default:
			return p.Transport()
		}
	}
	return false
}

// Transport reads TCP and UDP, as the payload of the protocol that is set.
func (p *Packet) Transport() bool {
	b := p.Payload
	switch p.Proto {
	case ProtoUDP:
		if len(b) < 8 {
			return false
		}
		length := int(binary.BigEndian.Uint16(b[4:]))
		if length == 0 {
			length = len(b)
		}
		if length < 8 || length > len(b) && !p.Cut {
			return false
		}
		if length > len(b) {
			length = len(b)
		}
		if len(p.Trailer) == 0 {
			p.Trailer = b[length:]
		} else {
			p.Trailer = append(b[length:len(b):len(b)], p.Trailer...)
		}
		p.Payload = b[8:length]
	case ProtoTCP:
		if len(b) < 20 {
			return false
		}
		header := int(b[12]>>4) * 4
		if header < 20 || header > len(b) {
			return false
		}
		p.Seq, p.Flags, p.Payload = binary.BigEndian.Uint32(b[4:]), b[13], b[header:]
	default:
		return false
	}
	p.SourcePort, p.DestinationPort, p.Ports = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), true
	return true
}

// On tells whether one end uses one of the ports: a hint, no more.
func (p *Packet) On(ports ...uint16) bool {
	for _, port := range ports {
		if p.SourcePort == port || p.DestinationPort == port {
			return true
		}
	}
	return false
}

// ARPAddresses reads who asks and for whom, or who answers (RFC 826, for Ethernet and IPv4).
func ARPAddresses(b []byte) (from, to netip.Addr, ok bool) {
	if len(b) < 28 || b[4] != 6 || b[5] != 4 {
		return from, to, false
	}
	return netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28])), true
}
