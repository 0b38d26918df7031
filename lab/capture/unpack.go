package capture

import (
	"net/netip"

	"assay/lab/capture/wire"
)

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
	blocks    blocks
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
	u.blocks = newBlocks(u.yield)
	u.streams = newStreams(u.yield, func(f flow, m *wire.CoAP) {
		u.blocks.message(transfer{from: f.from, to: f.to, sport: f.sport, dport: f.dport, tcp: true}, m)
	})
	return u
}

func (u *unpacker) frame(f Frame) {
	var p wire.Packet
	if f.Link != wire.LinkEthernet || !p.Parse(f.Link, f.Data) {
		u.yield(f.Data)
		return
	}
	if p.Fragment != nil {
		u.yield(f.Data)
		u.gather(p)
		return
	}
	u.carry(p)
	// Padding is zero on honest devices; CVE-2003-0001 is about those that put their memory there.
	if !zero(p.Trailer) {
		u.yield(p.Trailer)
	}
}

// carry yields a UDP payload, or adds a TCP segment to its stream.
func (u *unpacker) carry(p wire.Packet) {
	if p.Proto == wire.ProtoTCP {
		u.streams.add(&p)
		return
	}
	u.yield(p.Payload)
	u.blocks.add(&p)
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
func (u *unpacker) gather(p wire.Packet) {
	var d *datagram
	at := -1
	for i, known := range u.datagrams {
		if known.from == p.From && known.to == p.To && known.proto == p.Proto && known.id == p.Fragment.ID {
			d, at = known, i
		}
	}
	if d == nil {
		if len(u.datagrams) == maxDatagrams {
			u.datagrams = u.datagrams[1:]
		}
		d = &datagram{from: p.From, to: p.To, proto: p.Proto, id: p.Fragment.ID, length: -1}
		u.datagrams = append(u.datagrams, d)
		at = len(u.datagrams) - 1
	}
	end := p.Fragment.Offset + len(p.Payload)
	if d.held += len(p.Payload); end > maxDatagram || d.held > 2*maxDatagram || len(d.parts) == maxFragments {
		u.datagrams = append(u.datagrams[:at], u.datagrams[at+1:]...)
		return
	}
	if !p.Fragment.More {
		d.length = end
	}
	d.parts = append(d.parts, part{p.Fragment.Offset, append([]byte(nil), p.Payload...)})
	if whole := d.join(); whole != nil {
		u.datagrams = append(u.datagrams[:at], u.datagrams[at+1:]...)
		p.Fragment, p.Payload = nil, whole
		if !p.Transport() {
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
