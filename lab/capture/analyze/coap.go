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
	last   bool // nothing comes after the part that was opened
	broken bool
}

// open tells whether the next so many bytes, a payload or a block of one, belong to the body. They may then be written.
func (j *joint) open(body *Body, b wire.Block, length int) bool {
	if !b.Set {
		*j, *body = joint{hash: sha256.New(), last: true}, Body{}
		return true
	}
	count := b.Count(length)
	if b.Num == 0 {
		if j.next == count && j.size == b.Size && b.More {
			return false // sent again
		}
		*j, *body = joint{hash: sha256.New(), size: b.Size}, Body{}
	}
	// A server may choose smaller blocks on the way: numbers then count those (section 2.3).
	if j.hash == nil || j.broken {
		return false
	}
	if b.Size != j.size && j.size > 0 {
		j.next, j.size = j.next*j.size/b.Size, b.Size
	}
	switch {
	case b.Num < j.next:
		return false // sent again
	case b.Num > j.next || b.BERT && b.More && length != count*b.Size:
		j.broken = true
		return false
	}
	j.next += count
	j.last = !b.More
	body.Blocks += count
	return true
}

func (j *joint) write(body *Body, part []byte) {
	j.hash.Write(part)
	body.Bytes += Count(len(part))
}

// close ends what was opened.
func (j *joint) close(body *Body) {
	if !j.last {
		return
	}
	body.Whole = true
	if body.Bytes > 0 || body.Blocks > 0 {
		body.SHA256 = hex.EncodeToString(j.hash.Sum(nil))
	}
}

func (a *analyzer) coapDatagram(f *flow, dir int, b []byte) {
	m, ok := wire.ParseCoAP(b)
	if !ok {
		*a.total("coap malformed")++
		return
	}
	a.coapMessage(f, dir, &m, len(m.Payload), "udp").write(m.Payload)
}

// A coapPart is a payload that is on its way into a body. The zero value is one that nobody wants.
type coapPart struct {
	left  int // bytes to come
	joint *joint
	body  *Body
}

func (p *coapPart) write(b []byte) {
	p.left -= len(b)
	if p.joint == nil {
		return
	}
	p.joint.write(p.body, b)
	if p.left == 0 {
		p.joint.close(p.body)
	}
}

// A coapStream reads CoAP over TCP (RFC 8323). Messages may have megabytes: their payloads are not kept.
type coapStream struct {
	parts [2]*coapPart
}

func (s *coapStream) lost(dir int)       { s.parts[dir] = nil }
func (*coapStream) end(*analyzer, *flow) {}

// maxCoAPOptions is how much of a message has to hold its options.
const maxCoAPOptions = 8 << 10

func (s *coapStream) take(a *analyzer, f *flow, dir int, b []byte) int {
	if p := s.parts[dir]; p != nil {
		n := min(p.left, len(b))
		if p.write(b[:n]); p.left == 0 {
			s.parts[dir] = nil
		}
		return n
	}
	head, body, more := wire.CoAPFrame(b)
	if !more && b[0]&15 > 8 {
		*a.total("coap malformed")++
		return done
	}
	if more || len(b) < head+min(body, maxCoAPOptions) {
		return 0
	}
	b = b[:min(len(b), head+body)]
	m, ok := wire.ParseCoAPTCP(b)
	if !ok || len(b) < head+body && len(m.Payload) == 0 {
		*a.total("coap malformed")++
		return done
	}
	missing := head + body - len(b)
	p := a.coapMessage(f, dir, &m, len(m.Payload)+missing, "tcp")
	if p.write(m.Payload); p.left > 0 {
		s.parts[dir] = p
	}
	return len(b)
}

// coapMessage takes a message with a payload of so many bytes, and tells where that belongs.
func (a *analyzer) coapMessage(f *flow, dir int, m *wire.CoAP, payload int, transport string) *coapPart {
	*a.total("coap messages")++
	part := &coapPart{left: payload}
	var t *coapTalk
	var block wire.Block
	var body *Body
	switch method := wire.CoAPMethod(m.Code); {
	case m.Code == 0 || m.Code>>5 == 7: // empty, or a signal of the transport
		return part
	case method != "":
		t, block = a.coapRequest(f, dir, m, method, transport), m.Block1
		body = &t.exchange.Sent
	default:
		if t, block = a.coapResponse(f, dir, m), m.Block2; t == nil {
			return part
		}
		body = &t.exchange.Received
	}
	// A response is on the way to who asked, whoever opened the connection.
	joint := &t.bodies[toServer]
	if m.Code > 7 {
		joint = &t.bodies[toClient]
	}
	if (block.Set || payload > 0) && joint.open(body, block, payload) {
		part.joint, part.body = joint, body
	}
	return part
}

// Both ends may ask in CoAP: the client is who asks.
func coapEnds(f *flow, dir int) (from, to netip.AddrPort) { return f.ends[dir], f.ends[1-dir] }

func (a *analyzer) coapRequest(f *flow, dir int, m *wire.CoAP, method, transport string) *coapTalk {
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
	return t
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

func (a *analyzer) coapResponse(f *flow, dir int, m *wire.CoAP) *coapTalk {
	server, client := coapEnds(f, dir)
	t := a.coap[coapKey{client, server, string(m.Token)}]
	if t == nil {
		*a.total("coap responses without request")++
		return nil
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
	return t
}
