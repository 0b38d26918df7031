package capture

import (
	"encoding/binary"
	"net/netip"
)

// The numbers that the unpacker knows: IEEE 802 EtherTypes and IANA protocol numbers.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherIPv6 = 0x86DD
	etherQinQ = 0x88A8

	protoHop      = 0 // IPv6 hop-by-hop options
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoICMP6    = 58
	protoNothing  = 59
	protoOptions  = 60

	maxTags    = 4
	maxHeaders = 8

	tcpSYN = 1 << 1
)

// A parcel is what a frame carries, as far as it can be told. Only what was parsed is set.
type parcel struct {
	source, destination [6]byte
	ether               uint16
	from, to            netip.Addr
	proto               uint8
	fragment            *fragment // this is only a part of a datagram
	sport, dport        uint16
	seq                 uint32
	flags               uint8
	ports               bool   // ports and payload are the transport's
	payload             []byte // the transport's, or the network's if that was not understood
	trailer             []byte // bytes of the frame after the packet's end
}

// A fragment is a part of an IP datagram.
type fragment struct {
	id     uint32
	offset int
	more   bool
}

// parse reads a frame as far as it follows Ethernet, IPv4 (RFC 791), IPv6 (RFC 8200), UDP (RFC 768) and
// TCP (RFC 9293). ok tells that the transport's payload was found, or that the datagram is a fragment.
func parse(frame []byte) (p parcel, ok bool) {
	if len(frame) < 14 {
		return p, false
	}
	copy(p.destination[:], frame)
	copy(p.source[:], frame[6:])
	p.ether = binary.BigEndian.Uint16(frame[12:])
	rest := frame[14:]
	for range maxTags {
		if p.ether != etherVLAN && p.ether != etherQinQ {
			break
		}
		if len(rest) < 4 {
			return p, false
		}
		p.ether, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	p.payload = rest
	switch p.ether {
	case etherIPv4:
		ok = p.ipv4(rest)
	case etherIPv6:
		ok = p.ipv6(rest)
	}
	return p, ok
}

func (p *parcel) ipv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 {
		return false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // segmentation offload beyond 64 KiB
	}
	if header < 20 || total < header || total > len(b) {
		return false
	}
	p.from, p.to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.proto, p.payload, p.trailer = b[9], b[header:total], b[total:]
	if place := binary.BigEndian.Uint16(b[6:]); place&0x3fff != 0 {
		p.fragment = &fragment{id: uint32(binary.BigEndian.Uint16(b[4:])), offset: int(place&0x1fff) * 8, more: place&0x2000 != 0}
		return true
	}
	return p.transport()
}

func (p *parcel) ipv6(b []byte) bool {
	if len(b) < 40 || b[0]>>4 != 6 {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		length = len(b) - 40
	}
	if length > len(b)-40 {
		return false
	}
	p.from, p.to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	p.proto, p.payload, p.trailer = b[6], b[40:40+length], b[40+length:]
	for range maxHeaders {
		switch p.proto {
		case protoHop, protoRouting, protoOptions:
			if len(p.payload) < 8 {
				return false
			}
			size := 8 + 8*int(p.payload[1])
			if size > len(p.payload) {
				return false
			}
			p.proto, p.payload = p.payload[0], p.payload[size:]
		case protoFragment:
			if len(p.payload) < 8 {
				return false
			}
			place := binary.BigEndian.Uint16(p.payload[2:])
			id := binary.BigEndian.Uint32(p.payload[4:])
			p.proto, p.payload = p.payload[0], p.payload[8:]
			if place&0xfff9 != 0 { // else it is whole, an atomic fragment (RFC 6946)
				p.fragment = &fragment{id: id, offset: int(place &^ 7), more: place&1 != 0}
				return true
			}
		default:
			return p.transport()
		}
	}
	return false
}

// transport reads TCP and UDP.
func (p *parcel) transport() bool {
	b := p.payload
	switch p.proto {
	case protoUDP:
		if len(b) < 8 {
			return false
		}
		length := int(binary.BigEndian.Uint16(b[4:]))
		if length == 0 {
			length = len(b)
		}
		if length < 8 || length > len(b) {
			return false
		}
		if len(p.trailer) == 0 {
			p.trailer = b[length:]
		} else {
			p.trailer = append(b[length:len(b):len(b)], p.trailer...)
		}
		p.payload = b[8:length]
	case protoTCP:
		if len(b) < 20 {
			return false
		}
		header := int(b[12]>>4) * 4
		if header < 20 || header > len(b) {
			return false
		}
		p.seq, p.flags, p.payload = binary.BigEndian.Uint32(b[4:]), b[13], b[header:]
	default:
		return false
	}
	p.sport, p.dport, p.ports = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), true
	return true
}

const (
	maxDatagrams = 64 // being put together at a time
	maxDatagram  = 1 << 16
	maxFragments = 2048 // of one datagram
)

// An unpacker yields what frames carry, each byte at least once. Bytes that it cannot put into
// order come as whole frames, so a search through what it yields misses nothing.
type unpacker struct {
	yield     func([]byte) bool
	stopped   bool
	streams   streams
	datagrams []*datagram
}

func newUnpacker(yield func([]byte) bool) *unpacker {
	u := &unpacker{}
	u.yield = func(b []byte) bool {
		if len(b) > 0 && !u.stopped {
			u.stopped = !yield(b)
		}
		return !u.stopped
	}
	u.streams = newStreams(u.yield)
	return u
}

func (u *unpacker) frame(f Frame) {
	if f.Link != linkEthernet {
		u.yield(f.Data)
		return
	}
	p, ok := parse(f.Data)
	if !ok {
		u.yield(f.Data)
		return
	}
	if p.fragment != nil {
		u.yield(f.Data)
		u.gather(p)
		return
	}
	u.carry(p)
	// Padding is zero on honest devices; CVE-2003-0001 is about those that put their memory there.
	if !zero(p.trailer) {
		u.yield(p.trailer)
	}
}

// carry yields a UDP payload, or adds a TCP segment to its stream.
func (u *unpacker) carry(p parcel) {
	if p.proto == protoTCP {
		u.streams.add(&p)
		return
	}
	u.yield(p.payload)
}

// A datagram is one IP datagram being put together.
type datagram struct {
	from, to netip.Addr
	proto    uint8
	id       uint32
	parts    []part
	length   int // known once the last part is there
	held     int // bytes in parts, overlaps included
}

type part struct {
	offset int
	data   []byte
}

// gather puts fragments together. The frames themselves were yielded already, so giving up costs
// only what lies across their borders.
func (u *unpacker) gather(p parcel) {
	var d *datagram
	at := -1
	for i, known := range u.datagrams {
		if known.from == p.from && known.to == p.to && known.proto == p.proto && known.id == p.fragment.id {
			d, at = known, i
		}
	}
	if d == nil {
		if len(u.datagrams) == maxDatagrams {
			u.datagrams = u.datagrams[1:]
		}
		d = &datagram{from: p.from, to: p.to, proto: p.proto, id: p.fragment.id, length: -1}
		u.datagrams = append(u.datagrams, d)
		at = len(u.datagrams) - 1
	}
	end := p.fragment.offset + len(p.payload)
	if d.held += len(p.payload); end > maxDatagram || d.held > 2*maxDatagram || len(d.parts) == maxFragments {
		u.datagrams = append(u.datagrams[:at], u.datagrams[at+1:]...)
		return
	}
	if !p.fragment.more {
		d.length = end
	}
	d.parts = append(d.parts, part{p.fragment.offset, append([]byte(nil), p.payload...)})
	if whole := d.join(); whole != nil {
		u.datagrams = append(u.datagrams[:at], u.datagrams[at+1:]...)
		p.fragment, p.payload = nil, whole
		if !p.transport() {
			u.yield(whole)
			return
		}
		u.carry(p)
	}
}

// join returns the datagram once every byte of it is there; where parts overlap, the later one wins.
func (d *datagram) join() []byte {
	if d.length < 0 || d.held < d.length {
		return nil
	}
	whole, have := make([]byte, d.length), make([]bool, d.length)
	missing := d.length
	for _, p := range d.parts {
		for i := p.offset; i < min(p.offset+len(p.data), d.length); i++ {
			if !have[i] {
				have[i] = true
				missing--
			}
			whole[i] = p.data[i-p.offset]
		}
	}
	if missing > 0 {
		return nil
	}
	return whole
}

// flush yields what the streams still hold.
func (u *unpacker) flush() { u.streams.flush() }

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
