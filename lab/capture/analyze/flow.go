package analyze

import (
	"bytes"
	"net/netip"
	"time"

	"assay/lab/capture/wire"
)

// A flowKey names a conversation, the smaller end first.
type flowKey struct {
	a, b   [16]byte
	ap, bp uint16
	proto  uint8
}

// The directions of a flow.
const (
	toServer = 0
	toClient = 1
)

// A flow is a conversation between two ends.
type flow struct {
	key         flowKey
	clientFirst bool // the client is end a of the key
	ends        [2]netip.AddrPort
	points      [2]*endpoint
	protocol    string
	encrypted   bool
	tcp         bool
	packets     [2]Count
	bytes       [2]Count
	first, last time.Time
	frame       uint64
	state       tcpState
	talker      talker
	settled     bool // no talker will come any more
	gaps        bool
	half        [2]half
	queue       *queue
	older       *flow
	newer       *flow
}

// A tcpState is what was seen of a connection's life.
type tcpState struct {
	syn, answered, refused, reset bool
	finished                      [2]bool
	data                          bool
	initial                       uint32
}

func (s *tcpState) String() string {
	switch {
	case s.refused:
		return "refused"
	case s.reset:
		return "reset"
	case s.finished[0] && s.finished[1]:
		return "closed"
	case s.answered || s.data:
		return "established"
	case s.syn:
		return "unanswered"
	}
	return "seen"
}

// The flowTable holds the flows that live. Where there is no room, connections that ended go first, so that a
// port scan pushes nobody out, then the one that was silent longest.
type flowTable struct {
	live        map[flowKey]*flow
	ended, open queue
	done        []Flow
	refused     int // of those done
	tcp, udp    Count
	evicted     Count
	unlisted    Count
}

func (t *flowTable) init() { t.live = map[flowKey]*flow{} }

// oldest is the flow that makes room.
func (t *flowTable) oldest() *flow {
	if t.ended.oldest != nil {
		return t.ended.oldest
	}
	return t.open.oldest
}

// touch makes a flow the newest of the queue that it belongs to.
func (t *flowTable) touch(f *flow) {
	q := &t.open
	if f.state.ended() {
		q = &t.ended
	}
	if q.newest == f {
		return
	}
	if f.queue != nil {
		f.queue.unlink(f)
	}
	q.push(f)
}

// A queue holds flows by age.
type queue struct{ oldest, newest *flow }

func (q *queue) unlink(f *flow) {
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		q.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		q.newest = f.older
	}
	f.older, f.newer, f.queue = nil, nil, nil
}

func (q *queue) push(f *flow) {
	f.older, f.queue = q.newest, q
	if q.newest != nil {
		q.newest.newer = f
	} else {
		q.oldest = f
	}
	q.newest = f
}

// keyOf tells a packet's flow, and whether the sender is end a.
func keyOf(p *wire.Packet) (k flowKey, forward bool) {
	from, to := p.From.As16(), p.To.As16()
	order := bytes.Compare(from[:], to[:])
	if order < 0 || order == 0 && p.SourcePort <= p.DestinationPort {
		return flowKey{from, to, p.SourcePort, p.DestinationPort, p.Proto}, true
	}
	return flowKey{to, from, p.DestinationPort, p.SourcePort, p.Proto}, false
}

// converse adds a packet to its flow and reads what it says.
func (a *analyzer) converse(p *wire.Packet) {
	key, forward := keyOf(p)
	f := a.flows.live[key]
	if f != nil && f.tcp && p.Flags&(wire.SYN|wire.ACK) == wire.SYN && f.state.used() && f.state.initial != p.Seq {
		a.finish(f) // the port is used again
		f = nil
	}
	if f == nil {
		f = a.begin(p, key, forward)
	}
	dir := toClient
	if forward == f.clientFirst {
		dir = toServer
	}
	length := Count(a.frame.Original)
	f.packets[dir]++
	f.bytes[dir] += length
	f.last = a.frame.At
	from, to := f.points[dir], f.points[1-dir]
	from.sent.add(length)
	to.received.add(length)
	from.last, to.last = a.frame.At, a.frame.At
	from.mac(p)
	if f.tcp {
		a.segment(f, dir, p)
	} else if len(p.Payload) > 0 {
		a.datagram(f, dir, p)
	}
	a.flows.touch(f)
}

func (s *tcpState) ended() bool { return s.refused || s.reset || s.finished[0] && s.finished[1] }

func (s *tcpState) used() bool { return s.syn || s.answered || s.data }

// begin opens a flow. Who is the client is told by the SYN, then by well-known ports, then by who spoke first.
func (a *analyzer) begin(p *wire.Packet, key flowKey, forward bool) *flow {
	if len(a.flows.live) >= maxFlows {
		oldest := a.flows.oldest()
		if !oldest.state.ended() {
			a.flows.evicted++
		}
		a.finish(oldest)
	}
	f := &flow{key: key, tcp: p.Proto == wire.ProtoTCP, first: a.frame.At, frame: a.frame.Number}
	fromClient := true
	switch {
	case f.tcp && p.Flags&wire.SYN != 0:
		fromClient = p.Flags&wire.ACK == 0
	case known(p.DestinationPort, f.tcp) != known(p.SourcePort, f.tcp):
		fromClient = known(p.DestinationPort, f.tcp)
	case f.tcp:
		fromClient = p.SourcePort >= p.DestinationPort
	}
	f.clientFirst = forward == fromClient
	from, to := netip.AddrPortFrom(p.From, p.SourcePort), netip.AddrPortFrom(p.To, p.DestinationPort)
	if !fromClient {
		from, to = to, from
	}
	f.ends = [2]netip.AddrPort{from, to}
	f.points = [2]*endpoint{a.endpoints.at(a, from.Addr()), a.endpoints.at(a, to.Addr())}
	if f.tcp {
		a.flows.tcp++
	} else {
		a.flows.udp++
	}
	a.flows.live[key] = f
	return f
}

// finish takes a flow out of the table and writes down what it was.
func (a *analyzer) finish(f *flow) {
	if f.talker != nil {
		f.talker.end(a, f)
		f.talker = nil
	}
	for i := range f.half {
		a.drop(&f.half[i])
		a.held -= f.half[i].early
	}
	f.queue.unlink(f)
	delete(a.flows.live, f.key)
	if f.protocol == "" {
		f.protocol = guess(f)
	}
	a.account(f)
	if f.state.refused {
		a.flows.refused++
	}
	if len(a.flows.done) >= maxFlowsListed || f.state.refused && a.flows.refused > maxRefused {
		a.flows.unlisted++
		return
	}
	record := Flow{
		Transport: f.transport(), Client: f.ends[0].String(), Server: f.ends[1].String(), Protocol: f.protocol, Encrypted: f.encrypted,
		ClientPackets: f.packets[0], ServerPackets: f.packets[1], ClientBytes: f.bytes[0], ServerBytes: f.bytes[1],
		First: f.first, Last: f.last, Frame: f.frame, Gaps: f.gaps,
	}
	if f.tcp || f.state.refused {
		record.State = f.state.String()
	}
	a.flows.done = append(a.flows.done, record)
}

// maxFlowsListed bounds the result: what it is for, people and programs, is served by fewer than live at a time.
const maxFlowsListed = 8192

// maxRefused bounds how many of them may be refused connections: those of a scan are told as attempts.
const maxRefused = 256

func (f *flow) transport() string {
	if f.tcp {
		return "tcp"
	}
	return "udp"
}

// account adds a finished flow to the tables that are made of flows.
func (a *analyzer) account(f *flow) {
	packets, size := f.packets[0]+f.packets[1], f.bytes[0]+f.bytes[1]
	p := a.protocol(f.protocol, f.encrypted)
	p.Flows++
	p.Packets += packets
	p.Bytes += size
	a.serve(f)
	if f.encrypted || f.talkless() {
		return
	}
	key := pairKey{f.ends[0].Addr(), f.ends[1], f.protocol}
	c := a.clear[key]
	if c == nil {
		if !a.room(len(a.clear), "clear-text conversations") {
			return
		}
		c = &ClearText{Protocol: f.protocol, Client: f.ends[0].Addr().String(), Server: f.ends[1].String(), Frame: f.frame}
		a.clear[key] = c
	}
	c.Flows++
	c.Packets += packets
	c.Bytes += size
	c.Frame = min(c.Frame, f.frame)
}

// talkless tells that no application data was recognised as a protocol.
func (f *flow) talkless() bool { return f.protocol == "TCP" || f.protocol == "UDP" }

type pairKey struct {
	client   netip.Addr
	server   netip.AddrPort
	protocol string
}
