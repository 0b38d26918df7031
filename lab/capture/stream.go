package capture

import (
	"assay/lab/capture/wire"
	"bytes"
	"net/netip"
)

const (
	pieceBytes   = 1 << 20  // a stream is yielded in pieces of about this size
	overlapBytes = 4 << 10  // and each begins with the end of the one before
	holdBytes    = 32 << 20 // held in all streams together
	maxStreams   = 4096
	maxRuns      = 64 // gaps of one stream, plus one
)

// A flow is one direction of a TCP connection.
type flow struct {
	from, to     netip.Addr
	sport, dport uint16
}

// A run is a stretch of a stream without a gap.
type run struct {
	start   uint32 // sequence number of the first byte held
	data    []byte
	yielded int // bytes of data that were in the piece before
	coap    messages
}

// streams puts TCP segments into order. Nothing the device sent is thrown away: a segment that
// contradicts what was sent before (RFC 9293 lets the receiver choose) is yielded by itself, and
// what does not join comes as separate runs.
type streams struct {
	yield func([]byte) bool
	coap  func(flow, *wire.CoAP)
	known map[flow][]*run
	order []flow // by age
	held  int
}

func newStreams(yield func([]byte) bool, coap func(flow, *wire.CoAP)) streams {
	return streams{yield: yield, coap: coap, known: map[flow][]*run{}}
}

func (s *streams) add(p *wire.Packet) {
	key := flow{p.From, p.To, p.SourcePort, p.DestinationPort}
	runs, ok := s.known[key]
	seq := p.Seq
	if p.Flags&wire.SYN != 0 {
		seq++ // the SYN itself takes a number
		s.forget(key, runs)
		runs = nil
	}
	if len(p.Payload) == 0 {
		return
	}
	if !ok {
		if len(s.order) == maxStreams {
			oldest := s.order[0]
			s.forget(oldest, s.known[oldest])
			delete(s.known, oldest)
			s.order = s.order[1:]
		}
		s.order = append(s.order, key)
	}
	s.known[key] = s.place(key, runs, seq, p.Payload)
	if s.held > holdBytes {
		s.relieve()
	}
}

// place adds a segment to the run that it continues, or begins one.
func (s *streams) place(key flow, runs []*run, seq uint32, payload []byte) []*run {
	at := -1
	for i, r := range runs {
		if seq-r.start <= uint32(len(r.data)) {
			at = i
			break
		}
	}
	if at < 0 {
		if len(runs) == maxRuns {
			s.forgetRuns(runs)
			runs = nil
		}
		runs = append(runs, &run{start: seq})
		at = len(runs) - 1
	}
	r := runs[at]
	s.extend(r, seq, payload)
	runs = s.absorb(runs, at)
	r.coap.read(key, r.data, s.coap)
	for _, r := range runs {
		if len(r.data) >= pieceBytes {
			s.piece(r)
		}
	}
	return runs
}

// extend appends what is new in bytes that begin within r or at its end.
func (s *streams) extend(r *run, seq uint32, data []byte) {
	off := int(seq - r.start)
	known := min(len(data), len(r.data)-off)
	if !bytes.Equal(r.data[off:off+known], data[:known]) {
		s.yield(data)
	}
	s.held += len(data) - known
	r.data = append(r.data, data[known:]...)
}

// absorb joins runs that the run at this index now reaches.
func (s *streams) absorb(runs []*run, at int) []*run {
	r := runs[at]
	for i := 0; i < len(runs); i++ {
		other := runs[i]
		if other == r || other.start-r.start > uint32(len(r.data)) {
			continue
		}
		s.held -= len(other.data)
		s.extend(r, other.start, other.data)
		runs = append(runs[:i], runs[i+1:]...)
		i = -1 // the run has grown and may reach others
	}
	return runs
}

// piece yields what a run holds and keeps its end, so that nothing is cut at the border.
func (s *streams) piece(r *run) {
	if r.yielded < len(r.data) {
		s.yield(r.data)
	}
	drop := r.coap.keep(max(0, len(r.data)-overlapBytes))
	r.start += uint32(drop)
	r.data = append([]byte(nil), r.data[drop:]...)
	r.yielded = len(r.data)
	s.held -= drop
}

// relieve makes room: first by yielding everything, then by forgetting the oldest streams' ends.
func (s *streams) relieve() {
	for _, key := range s.order {
		for _, r := range s.known[key] {
			s.piece(r)
		}
	}
	for s.held > holdBytes/2 && len(s.order) > 0 {
		oldest := s.order[0]
		s.forget(oldest, s.known[oldest])
		delete(s.known, oldest)
		s.order = s.order[1:]
	}
}

// forget yields a stream's rest and drops it, but not its place in the order.
func (s *streams) forget(key flow, runs []*run) {
	s.forgetRuns(runs)
	if runs != nil {
		s.known[key] = nil
	}
}

func (s *streams) forgetRuns(runs []*run) {
	for _, r := range runs {
		if r.yielded < len(r.data) {
			s.yield(r.data)
		}
		s.held -= len(r.data)
	}
}

func (s *streams) flush() {
	for _, key := range s.order {
		s.forgetRuns(s.known[key])
	}
	clear(s.known)
	s.order = nil
}
