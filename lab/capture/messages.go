package capture

import "assay/lab/capture/wire"

const (
	coapPort   = 5683
	maxMessage = pieceBytes / 2 // of one that is read: a longer one is stepped over
)

// messages finds the messages of CoAP over TCP (RFC 8323) in a run of bytes. The bytes are yielded whatever they are: this
// is only for what lies over the borders of blocks. So it gives up where they make no message.
type messages struct {
	known, none bool // it was settled whether it is CoAP
	at          int  // where the next message begins; after a long one, behind what has come
}

// read takes a run that may have grown at its end.
func (s *messages) read(f flow, data []byte, each func(flow, *wire.CoAP)) {
	if !s.known {
		s.known, s.none = true, f.sport != coapPort && f.dport != coapPort && !wire.IsCoAPSettings(data)
	}
	for !s.none && s.at < len(data) {
		b := data[s.at:]
		head, body, more := wire.CoAPFrame(b)
		size := head + body
		long := size > maxMessage
		if more || !long && len(b) < size || len(b) < head {
			return
		}
		m, ok := wire.ParseCoAPTCP(b[:min(len(b), size)])
		if !long && ok {
			each(f, &m)
		}
		s.none = !ok && (!long || m.Token == nil)
		s.at += size
	}
}

// keep tells how many of the first bytes may go: none of a message that is not whole yet. The rest moves to the front.
func (s *messages) keep(drop int) int {
	if s.none {
		return drop
	}
	drop = min(drop, s.at)
	s.at -= drop
	return drop
}
