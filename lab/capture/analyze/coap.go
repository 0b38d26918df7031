package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/netip"

	"assay/lab/capture/wire"
)

// A coapKey is what ties messages together: the ends and the token (RFC 7252, section 5.3.2).
type coapKey struct {
	client, server netip.AddrPort
	token          string // with a mark before it where it is no token
}

// A coapTalk is one exchange that lives. Blocks of one transfer may come under one token or many; those
// under many are found by the path.
type coapTalk struct {
	exchange *CoAPExchange
	bodies   [2]joint
}

// A joint puts the blocks of one payload together (RFC 7959): in order, by their hash, without keeping them.
type joint struct {
	next   int // the block that is due
	size   int
	hash   hash.Hash
	broken bool
}

// add takes one payload or block.
func (j *joint) add(body *Body, b wire.Block, payload []byte) {
	if !b.Set {
		body.Bytes, body.Blocks, body.Whole = Count(len(payload)), 0, true
		body.SHA256 = ""
		if len(payload) > 0 {
			sum := sha256.Sum256(payload)
			body.SHA256 = hex.EncodeToString(sum[:])
		}
		return
	}
	if b.Num == 0 {
		if j.next == 1 && j.size == b.Size && b.More {
			return // sent again
		}
		*j = joint{hash: sha256.New(), size: b.Size}
		*body = Body{}
	}
	// A server may choose smaller blocks on the way: numbers then count those (section 2.3).
	if j.hash == nil || j.broken {
		return
	}
	if b.Size != j.size && j.size > 0 {
		j.next, j.size = j.next*j.size/b.Size, b.Size
	}
	switch {
	case b.Num < j.next:
		return // sent again
	case b.Num > j.next:
		j.broken = true
		return
	}
	j.next++
	j.hash.Write(payload)
	body.Bytes += Count(len(payload))
	body.Blocks++
	if !b.More {
		body.Whole, body.SHA256 = true, hex.EncodeToString(j.hash.Sum(nil))
	}
}

func (a *analyzer) coapDatagram(f *flow, dir int, b []byte) {
	m, ok := wire.ParseCoAP(b)
	if !ok {
		*a.total("coap malformed")++
		return
	}
	a.coapMessage(f, dir, &m, "udp")
}

// A coapStream reads CoAP over TCP (RFC 8323).
type coapStream struct{}

func (*coapStream) lost(int)             {}
func (*coapStream) end(*analyzer, *flow) {}

func (*coapStream) take(a *analyzer, f *flow, dir int, b []byte) int {
	head, body, more := wire.CoAPFrame(b)
	if more {
		return 0
	}
	if body > maxHeldStream/2 {
		f.half[dir].skip = int64(head + body)
		return 0
	}
	if len(b) < head+body {
		return 0
	}
	m, ok := wire.ParseCoAPTCP(b[:head+body])
	if !ok {
		return done
	}
	a.coapMessage(f, dir, &m, "tcp")
	return head + body
}

func (a *analyzer) coapMessage(f *flow, dir int, m *wire.CoAP, transport string) {
	*a.total("coap messages")++
	method := wire.CoAPMethod(m.Code)
	switch {
	case m.Code == 0 || m.Code>>5 == 7: // empty, or a signal of the transport
		return
	case method != "":
		a.coapRequest(f, dir, m, method, transport)
	default:
		a.coapResponse(f, dir, m)
	}
}

// Both ends may ask in CoAP: the client is who asks.
func coapEnds(f *flow, dir int) (from, to netip.AddrPort) { return f.ends[dir], f.ends[1-dir] }

func (a *analyzer) coapRequest(f *flow, dir int, m *wire.CoAP, method, transport string) {
	client, server := coapEnds(f, dir)
	key := coapKey{client, server, string(m.Token)}
	byPath := coapKey{client, server, "\x00" + method + " " + m.Path + "?" + m.Query}
	t := a.coap[key]
	goesOn := m.Block1.Set && m.Block1.Num > 0 || m.Block2.Set && m.Block2.Num > 0
	again := t != nil && t.exchange.Method == method && t.exchange.Path == clean(m.Path) && t.exchange.Code == ""
	switch {
	case goesOn && a.coap[byPath] != nil:
		t = a.coap[byPath]
	case again:
	default:
		t = &coapTalk{exchange: &CoAPExchange{
			Client: client.String(), Server: server.String(), Transport: transport, Method: method, Path: clean(m.Path),
			Observe: m.Observe == 0, Frame: a.frame.Number,
		}}
		a.exchanges.add(a, "CoAP exchanges", t.exchange)
		*a.total("coap exchanges")++
	}
	a.coapRemember(t, key)
	a.coapRemember(t, byPath)
	t.exchange.Requests++
	t.exchange.LastFrame = a.frame.Number
	if m.Block1.Set || len(m.Payload) > 0 {
		t.bodies[toServer].add(&t.exchange.Sent, m.Block1, m.Payload)
	}
}

// coapRemember makes an exchange found under a key. When the table is full it starts over: answers to what
// was asked before are then told as such.
func (a *analyzer) coapRemember(t *coapTalk, key coapKey) {
	if a.coap[key] == t {
		return
	}
	if len(a.coap) >= 2*maxKeyed {
		clear(a.coap)
		*a.total("coap exchanges given up")++
	}
	a.coap[key] = t
}

func (a *analyzer) coapResponse(f *flow, dir int, m *wire.CoAP) {
	server, client := coapEnds(f, dir)
	t := a.coap[coapKey{client, server, string(m.Token)}]
	if t == nil {
		*a.total("coap responses without request")++
		return
	}
	e := t.exchange
	e.Responses++
	e.LastFrame = a.frame.Number
	if m.Code != 0x5f { // 2.31 Continue is about a block, not the answer
		e.Code = wire.CoAPCode(m.Code)
	}
	if m.Observe >= 0 && e.Observe {
		e.Notifications++
	}
	if m.Block2.Set || len(m.Payload) > 0 {
		t.bodies[toClient].add(&e.Received, m.Block2, m.Payload)
	}
}
