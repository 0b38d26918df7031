package capture

import (
	"bytes"
	"net/netip"
	"slices"

	"assay/lab/capture/wire"
)

const (
	maxTransfers = 256     // block-wise transfers being put together
	maxBody      = 1 << 20 // bytes of one
	maxBodies    = 8 << 20 // bytes of all, with what keeping a block costs besides
	blockCost    = 96
	maxBlock1024 = 1024 // (RFC 7959, section 2.2)
)

// blocks puts block-wise transfers of CoAP (RFC 7959; over TCP RFC 8323, section 6) together, so that what was cut in two
// by a block's border is found. Every block was yielded by itself before.
type blocks struct {
	yield func([]byte) bool
	known map[transfer]map[int][]byte // blocks by their offset
	order []transfer                  // by age
	held  int
}

// A transfer is one body's way. Clients may change the token from block to block, and may have several transfers
// under way at once: so each block is put where its token belongs and where its two ends belong.
type transfer struct {
	from, to     netip.Addr
	sport, dport uint16
	tcp          bool
	option       int // Block1 or Block2
	token        string
	whatever     bool // the token
}

func newBlocks(yield func([]byte) bool) blocks {
	return blocks{yield: yield, known: map[transfer]map[int][]byte{}}
}

// add looks whether a datagram is a block of something.
func (b *blocks) add(p *wire.Packet) {
	if !p.Ports || p.Proto != wire.ProtoUDP {
		return
	}
	if m, ok := wire.ParseCoAP(p.Payload); ok {
		b.message(transfer{from: p.From, to: p.To, sport: p.SourcePort, dport: p.DestinationPort}, &m)
	}
}

// message takes a message between the two ends of a transfer.
func (b *blocks) message(t transfer, m *wire.CoAP) {
	// Of a request that has both, only Block1 is about its payload; of an answer, only Block2.
	block := m.Block1
	if t.option = 1; m.Code > 7 {
		block, t.option = m.Block2, 2
	}
	if !block.Set || block.BERT && !t.tcp {
		return
	}
	offset, payload := block.Num*block.Size, m.Payload
	for len(payload) > 0 {
		n := len(payload)
		if block.BERT {
			n = min(n, block.Size)
		}
		t.token, t.whatever = string(m.Token), false
		b.put(t, offset, payload[:n])
		t.token, t.whatever = "", true
		b.put(t, offset, payload[:n])
		offset, payload = offset+n, payload[n:]
	}
}

// put keeps a block and yields it with what joins it on both sides.
func (b *blocks) put(t transfer, offset int, payload []byte) {
	if offset+len(payload) > maxBody {
		return
	}
	body := b.known[t]
	if first, ok := body[0]; ok && offset == 0 && !bytes.Equal(first, payload) {
		b.forget(t) // the next one begins
		body = nil
	}
	if body == nil {
		if len(b.order) == maxTransfers {
			b.forget(b.order[0])
		}
		body = map[int][]byte{}
		b.known[t] = body
		b.order = append(b.order, t)
	}
	if old, ok := body[offset]; ok {
		b.held -= len(old) + blockCost
	}
	b.held += len(payload) + blockCost
	body[offset] = append([]byte(nil), payload...)
	if before, after := before(body, offset), after(body, offset+len(payload)); len(before)+len(after) > 0 {
		b.yield(slices.Concat(before, payload, after))
	}
	for b.held > maxBodies && len(b.order) > 0 {
		b.forget(b.order[0])
	}
}

// before is what joins a place from below, as far back as a mark may reach.
func before(body map[int][]byte, at int) (out []byte) {
	for size := 16; size <= maxBlock1024 && len(out) < overlapBytes; {
		if part, ok := body[at-size]; ok && len(part) == size {
			out = append(slices.Clone(part), out...)
			at, size = at-size, 16
			continue
		}
		size *= 2
	}
	return out
}

// after is what joins a place from above: blocks that came out of order.
func after(body map[int][]byte, at int) (out []byte) {
	for part := body[at]; len(part) > 0 && len(out) < overlapBytes; part = body[at] {
		out = append(out, part...)
		at += len(part)
	}
	return out
}

func (b *blocks) forget(t transfer) {
	for _, part := range b.known[t] {
		b.held -= len(part) + blockCost
	}
	delete(b.known, t)
	b.order = slices.DeleteFunc(b.order, func(o transfer) bool { return o == t })
}
