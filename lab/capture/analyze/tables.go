package analyze

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"assay/lab/capture/wire"
)

type traffic struct{ packets, bytes Count }

func (t *traffic) add(bytes Count) {
	t.packets++
	t.bytes += bytes
}

// An endpoint is an address that sent or was sent to.
type endpoint struct {
	addr           netip.Addr
	macs           [][6]byte
	latest         [6]byte
	sent, received traffic
	first, last    time.Time
}

const maxMACs = 8

func (e *endpoint) mac(p *wire.Packet) {
	if p.Addressed && p.Source != e.latest {
		e.learn(p.Source)
	}
}

func (e *endpoint) learn(mac [6]byte) {
	e.latest = mac
	if len(e.macs) < maxMACs && !slices.Contains(e.macs, mac) && mac != [6]byte{} {
		e.macs = append(e.macs, mac)
	}
}

// endpoints is the table of addresses. Those that do not fit share one entry, which is not listed.
type endpoints struct {
	known map[netip.Addr]*endpoint
	rest  endpoint
}

func (t *endpoints) init() { t.known = map[netip.Addr]*endpoint{} }

func (t *endpoints) at(a *analyzer, addr netip.Addr) *endpoint {
	e := t.known[addr]
	if e == nil {
		if len(t.known) >= maxEndpoints {
			a.overflowed["endpoints"]++
			return &t.rest
		}
		e = &endpoint{addr: addr, first: a.frame.At}
		t.known[addr] = e
	}
	return e
}

// talk counts a packet that belongs to no flow.
func (t *endpoints) talk(a *analyzer, from, to netip.Addr) {
	sender, receiver := t.at(a, from), t.at(a, to)
	sender.sent.add(Count(a.frame.Original))
	receiver.received.add(Count(a.frame.Original))
	sender.last, receiver.last = a.frame.At, a.frame.At
}

func (e *endpoint) result(names []string) Endpoint {
	out := Endpoint{
		Address: e.addr.String(), MACs: []string{}, Names: names, First: e.first, Last: e.last,
		SentPackets: e.sent.packets, SentBytes: e.sent.bytes, ReceivedPackets: e.received.packets, ReceivedBytes: e.received.bytes,
	}
	if out.Names == nil {
		out.Names = []string{}
	}
	for _, mac := range e.macs {
		out.MACs = append(out.MACs, net.HardwareAddr(mac[:]).String())
	}
	return out
}

type nameKey struct {
	name   string
	addr   netip.Addr
	source string
}

// names is the table of names with addresses.
type names struct{ known map[nameKey]*Name }

func (t *names) add(a *analyzer, name string, addr netip.Addr, source string) {
	key := nameKey{name, addr, source}
	if t.known[key] != nil || name == "" || !a.room(len(t.known), "names") {
		return
	}
	t.known[key] = &Name{Name: name, Address: addr.String(), Source: source, Frame: a.frame.Number}
}

type serviceKey struct {
	server netip.AddrPort
	tcp    bool
}

type service struct {
	Service
	clients map[netip.Addr]bool
	size    Count // of the flow that named the protocol
}

const maxClients = 64

// serve notes who offers what, from a finished flow.
func (a *analyzer) serve(f *flow) {
	key := serviceKey{f.ends[1], f.tcp}
	s := a.services[key]
	if f.state.refused || f.packets[toClient] == 0 && (!f.tcp || f.state.syn) {
		a.attempt(f)
		if s == nil {
			return
		}
	}
	if s == nil {
		if f.ends[1].Addr().IsMulticast() || !a.room(len(a.services), "services") {
			return
		}
		s = &service{Service: Service{Server: f.ends[1].String(), Transport: f.transport(), Protocol: f.protocol, Frame: f.frame}, clients: map[netip.Addr]bool{}}
		a.services[key] = s
	}
	s.Flows++
	s.Frame = min(s.Frame, f.frame)
	if len(s.clients) < maxClients {
		s.clients[f.ends[0].Addr()] = true
	}
	if f.state.refused {
		s.Refused++
	}
	if size := f.bytes[0] + f.bytes[1]; size >= s.size && (!f.talkless() || s.size == 0) {
		s.size, s.Protocol, s.Encrypted = size, f.protocol, f.encrypted
	}
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

type attemptKey struct {
	client, server netip.Addr
	tcp            bool
}

// attempt notes a port that was tried in vain.
func (a *analyzer) attempt(f *flow) {
	key := attemptKey{f.ends[0].Addr(), f.ends[1].Addr(), f.tcp}
	t := a.attempts[key]
	if t == nil {
		if to := key.server; to.IsMulticast() || to == broadcast || !a.room(len(a.attempts), "attempts") {
			return
		}
		t = &Attempts{Client: key.client.String(), Server: key.server.String(), Transport: f.transport(), LowestPort: f.ends[1].Port(), HighestPort: f.ends[1].Port(), Frame: f.frame}
		a.attempts[key] = t
	}
	if f.state.refused {
		t.Refused++
	} else {
		t.Unanswered++
	}
	t.LowestPort, t.HighestPort = min(t.LowestPort, f.ends[1].Port()), max(t.HighestPort, f.ends[1].Port())
	t.Frame = min(t.Frame, f.frame)
}

// fragments puts IP datagrams together.
type fragments struct {
	open []*datagram
}

// A datagram is one being put together. Parts that overlap give it up: honest senders do not.
type datagram struct {
	from, to netip.Addr
	proto    uint8
	id       uint32
	parts    map[int][]byte
	held     int
	length   int // -1: not known yet
}

const (
	maxDatagrams = 64
	maxDatagram  = 1 << 16
	maxParts     = 256
)

// gather adds a fragment. True is a whole datagram, which p then is.
func (t *fragments) gather(p *wire.Packet) bool {
	at := slices.IndexFunc(t.open, func(d *datagram) bool {
		return d.id == p.Fragment.ID && d.from == p.From && d.to == p.To && d.proto == p.Proto
	})
	if at < 0 {
		if len(t.open) == maxDatagrams {
			t.open = t.open[1:]
		}
		t.open = append(t.open, &datagram{from: p.From, to: p.To, proto: p.Proto, id: p.Fragment.ID, parts: map[int][]byte{}, length: -1})
		at = len(t.open) - 1
	}
	d := t.open[at]
	end := p.Fragment.Offset + len(p.Payload)
	if !p.Fragment.More {
		d.length = end
	}
	if _, again := d.parts[p.Fragment.Offset]; !again {
		d.parts[p.Fragment.Offset] = slices.Clone(p.Payload)
		d.held += len(p.Payload)
	}
	if end > maxDatagram || len(d.parts) > maxParts || d.held > maxDatagram || p.Cut {
		t.open = slices.Delete(t.open, at, at+1)
		p.Fragment = nil
		return false
	}
	if d.length < 0 || d.held < d.length {
		return false
	}
	t.open = slices.Delete(t.open, at, at+1)
	whole := make([]byte, 0, d.length)
	for len(whole) < d.length {
		part := d.parts[len(whole)]
		if len(part) == 0 {
			return false
		}
		whole = append(whole, part...)
	}
	p.Fragment, p.Payload = nil, whole
	return p.Transport()
}
