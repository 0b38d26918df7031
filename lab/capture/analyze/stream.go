package analyze

import (
	"assay/lab/capture/wire"
)

// A talker reads the conversation of one flow.
type talker interface {
	// take reads what one direction says, in order. It returns how many bytes it is done with: fewer than all
	// of them waits for more, done gives the flow up. It may ask for bytes to be stepped over by half.skip.
	take(a *analyzer, f *flow, dir int, b []byte) int
	// lost tells that bytes of a direction are missing from here.
	lost(dir int)
	// end tells that nothing more comes.
	end(a *analyzer, f *flow)
}

// done is what a talker returns that has seen all it can.
const done = -1

// A half is one direction of a TCP connection. Unlike the capture's own streams, which lose no byte because
// absence is judged from them, it may give up: what it misses is told as a gap.
type half struct {
	known   bool
	next    uint32
	skip    int64
	buf     []byte    // began, but is not whole
	pending []segment // came too early
	early   int       // bytes in pending
}

type segment struct {
	seq  uint32
	data []byte
}

const (
	maxPending = 64
	maxEarly   = 64 << 10
)

// segment follows the connection's life and puts its bytes into order.
func (a *analyzer) segment(f *flow, dir int, p *wire.Packet) {
	f.life(dir, p)
	if f.settled && f.talker == nil {
		return
	}
	h := &f.half[dir]
	seq := p.Seq
	if p.Flags&wire.SYN != 0 {
		seq++
		h.known, h.next = true, seq
	}
	if len(p.Payload) > 0 {
		if !h.known {
			h.known, h.next = true, seq
		}
		a.arrive(f, dir, h, seq, p.Payload)
	}
	if p.Missing > 0 && h.next == seq+uint32(len(p.Payload)) {
		h.next += uint32(p.Missing)
		a.gap(f, dir, h)
	}
}

// life follows the flags.
func (f *flow) life(dir int, p *wire.Packet) {
	s := &f.state
	switch {
	case p.Flags&wire.RST != 0 && s.syn && !s.answered && !s.data && dir == toClient:
		s.refused = true
	case p.Flags&wire.RST != 0:
		s.reset = true
	case p.Flags&wire.SYN != 0 && p.Flags&wire.ACK != 0:
		s.answered = true
	case p.Flags&wire.SYN != 0:
		s.syn, s.initial = true, p.Seq
	}
	if p.Flags&wire.FIN != 0 {
		s.finished[dir] = true
	}
	if len(p.Payload) > 0 {
		s.data = true
	}
}

// arrive takes a segment: in order it goes on, early it waits, late it is known already.
func (a *analyzer) arrive(f *flow, dir int, h *half, seq uint32, data []byte) {
	ahead := int32(seq - h.next)
	switch {
	case ahead < 0:
		if int(-ahead) >= len(data) {
			return
		}
		data = data[-ahead:]
	case ahead > 0:
		a.early(f, dir, h, seq, data)
		return
	}
	h.next += uint32(len(data))
	a.deliver(f, dir, h, data)
	for moved := true; moved && len(h.pending) > 0; {
		moved = false
		for i, s := range h.pending {
			if int32(s.seq-h.next) > 0 {
				continue
			}
			h.pending = append(h.pending[:i], h.pending[i+1:]...)
			h.early -= len(s.data)
			a.held -= len(s.data)
			if off := int32(h.next - s.seq); int(off) < len(s.data) {
				h.next += uint32(len(s.data)) - uint32(off)
				a.deliver(f, dir, h, s.data[off:])
			}
			moved = true
			break
		}
	}
}

// early keeps a segment that came before its time. When too many wait, what they wait for will not come.
func (a *analyzer) early(f *flow, dir int, h *half, seq uint32, data []byte) {
	if len(h.pending) < maxPending && h.early+len(data) <= maxEarly && a.held < maxHeld {
		h.pending = append(h.pending, segment{seq, append([]byte(nil), data...)})
		h.early += len(data)
		a.held += len(data)
		return
	}
	a.flush(f, dir, h)
	h.next = seq + uint32(len(data))
	a.gap(f, dir, h)
	a.deliver(f, dir, h, data)
}

// flush hands over what waits, with the gaps before it.
func (a *analyzer) flush(f *flow, dir int, h *half) {
	for len(h.pending) > 0 {
		at := 0
		for i, s := range h.pending {
			if int32(s.seq-h.pending[at].seq) < 0 {
				at = i
			}
		}
		s := h.pending[at]
		h.pending = append(h.pending[:at], h.pending[at+1:]...)
		h.early -= len(s.data)
		a.held -= len(s.data)
		if off := int32(h.next - s.seq); off < 0 {
			a.gap(f, dir, h)
		} else if int(off) < len(s.data) {
			s.data = s.data[off:]
		} else {
			continue
		}
		h.next = s.seq + uint32(len(s.data))
		a.deliver(f, dir, h, s.data)
	}
}

// gap starts over behind missing bytes.
func (a *analyzer) gap(f *flow, dir int, h *half) {
	f.gaps = true
	a.drop(h)
	h.skip = 0
	if f.talker != nil {
		f.talker.lost(dir)
	}
}

// deliver hands bytes in order to the talker, and keeps those that it is not done with.
func (a *analyzer) deliver(f *flow, dir int, h *half, data []byte) {
	if h.skip > 0 {
		n := min(h.skip, int64(len(data)))
		h.skip -= n
		data = data[n:]
	}
	if f.settled && f.talker == nil || len(data) == 0 {
		return
	}
	joined := len(h.buf) > 0
	if joined {
		h.buf = append(h.buf, data...)
		a.held += len(data)
		data = h.buf
	}
	rest := a.speak(f, dir, h, data)
	switch {
	case len(rest) == 0 || f.settled && f.talker == nil:
		if joined {
			a.drop(h)
		}
	case len(rest) > maxHeldStream || a.held+len(rest) > maxHeld:
		a.gap(f, dir, h)
	case joined:
		a.held -= len(h.buf) - len(rest)
		h.buf = append(h.buf[:0], rest...)
	default:
		h.buf = append(a.buffer(), rest...)
		a.held += len(rest)
	}
}

// buffer is an empty one, used before if there is one.
func (a *analyzer) buffer() []byte {
	n := len(a.spare)
	if n == 0 {
		return nil
	}
	b := a.spare[n-1]
	a.spare = a.spare[:n-1]
	return b[:0]
}

// drop forgets what a half holds, and keeps its buffer for another.
func (a *analyzer) drop(h *half) {
	a.held -= len(h.buf)
	if len(a.spare) < maxSpare && cap(h.buf) > 0 {
		a.spare = append(a.spare, h.buf)
	}
	h.buf = nil
}

const maxSpare = 16

// speak lets the talker read until it wants more, and returns what is left.
func (a *analyzer) speak(f *flow, dir int, h *half, data []byte) []byte {
	for len(data) > 0 {
		if f.talker == nil {
			if f.settled {
				return nil
			}
			if !a.recognise(f, dir, data) {
				return data
			}
			continue
		}
		n := f.talker.take(a, f, dir, data)
		if n == done {
			f.talker.end(a, f)
			f.talker, f.settled = nil, true
			return nil
		}
		if n == 0 && h.skip == 0 {
			return data
		}
		data = data[n:]
		if h.skip > 0 {
			step := min(h.skip, int64(len(data)))
			h.skip -= step
			data = data[step:]
		}
	}
	return nil
}
