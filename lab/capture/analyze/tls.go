package analyze

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"assay/lab/capture"
	"assay/lab/capture/wire"
)

// The kinds of records and of handshake messages that are read (RFC 8446, sections 4 and 5.1).
const (
	recordChange    = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
	recordCID       = 25

	helloClient     = 1
	helloServer     = 2
	sessionTicket   = 4
	certificateList = 11

	maxHandshake = 64 << 10
	maxAlerts    = 8
	maxChain     = 4
)

// A tlsTalk reads one TLS or DTLS conversation until it is encrypted.
type tlsTalk struct {
	session *TLSSession
	listed  bool
	dtls    bool
	hello   bool // a client hello was seen
	choice  wire.ServerHello
	offered []byte // the session id that the client offered
	tickets bool   // it offered a ticket or a key
	half    [2]tlsHalf
}

type tlsHalf struct {
	dark      bool   // encrypted from here on
	data      bool   // application data was seen
	cert      bool   // a certificate was seen
	handshake []byte // messages that go over records' borders
	sequence  int    // DTLS: of the message being put together; -1 is none
	changed   bool   // the cipher was changed
}

func newTLSTalk(f *flow, dtls bool) *tlsTalk {
	t := &tlsTalk{dtls: dtls, session: &TLSSession{Protocol: f.protocol}}
	t.half[0].sequence, t.half[1].sequence = -1, -1
	t.session.Protocol = "TLS"
	if dtls {
		t.session.Protocol = "DTLS"
	}
	return t
}

func isDTLS(b []byte) bool {
	return len(b) >= 13 && b[0] >= recordChange && b[0] <= recordCID && b[1] == 0xfe && b[2] >= 0xfc &&
		(b[0] == recordCID || 13+int(binary.BigEndian.Uint16(b[11:])) <= len(b))
}

// lost needs nothing: a record is read where a segment starts with one, and what comes late is encrypted anyway. A
// message that goes over the gap is malformed, and read as far as it goes.
func (t *tlsTalk) lost(int) {}

func (t *tlsTalk) take(a *analyzer, f *flow, dir int, b []byte) int {
	if t.dtls {
		t.datagram(a, f, dir, b)
		return len(b)
	}
	if len(b) < 5 {
		return 0
	}
	kind, length := b[0], int(binary.BigEndian.Uint16(b[3:]))
	if kind < recordChange || kind > 24 || b[1] != 3 || b[2] > 4 || length > 1<<14+2048 {
		return done
	}
	t.list(a, f)
	if kind == recordData {
		t.application(dir)
		if t.half[0].data && t.half[1].data {
			return done
		}
		f.half[dir].skip = int64(5 + length)
		return 0
	}
	if len(b) < 5+length {
		return 0
	}
	t.record(a, f, dir, kind, b[5:5+length])
	return 5 + length
}

// list takes the session into the result, once it is one.
func (t *tlsTalk) list(a *analyzer, f *flow) {
	if t.listed {
		return
	}
	t.listed = true
	t.session.Client, t.session.Server, t.session.Frame = f.ends[0].String(), f.ends[1].String(), a.frame.Number
	a.tls.add(a, "TLS sessions", t.session)
	*a.total(t.session.Protocol + " sessions")++
}

func (t *tlsTalk) application(dir int) {
	t.half[dir].data, t.half[dir].dark = true, true
	// In TLS 1.3 the rest of the handshake looks like data: only the client's can tell that it agreed.
	if t.choice.Version != 0x0304 || dir == toServer {
		t.session.Completed = true
	}
}

func (t *tlsTalk) record(a *analyzer, f *flow, dir int, kind byte, body []byte) {
	h := &t.half[dir]
	switch {
	case kind == recordChange:
		h.changed = true
		if t.choice.Version != 0x0304 {
			t.resumption(dir)
			h.dark = true
		}
	case kind == recordAlert && len(body) == 2 && !h.dark:
		t.alert(a, dir, body)
	case kind == recordHandshake && !h.dark:
		if len(h.handshake)+len(body) > maxHandshake {
			t.keep(a, h, nil)
			h.dark = true
			return
		}
		if len(h.handshake) > 0 {
			body = append(h.handshake[:len(h.handshake):len(h.handshake)], body...)
		}
		t.keep(a, h, t.messages(a, f, dir, body))
	}
}

// keep holds the beginning of a handshake message; held bytes are bounded over all flows together.
func (t *tlsTalk) keep(a *analyzer, h *tlsHalf, part []byte) {
	a.held += len(part) - len(h.handshake)
	if a.held > maxHeld {
		a.held -= len(part)
		part, h.dark = nil, true
	}
	h.handshake = append([]byte(nil), part...)
}

func (t *tlsTalk) alert(a *analyzer, dir int, body []byte) {
	if len(t.session.Alerts) < maxAlerts {
		t.session.Alerts = append(t.session.Alerts, Alert{From: side(dir), Text: capture.AlertName(body), Frame: a.frame.Number})
	}
}

func side(dir int) string {
	if dir == toServer {
		return "client"
	}
	return "server"
}

// messages reads whole handshake messages and returns what is left.
func (t *tlsTalk) messages(a *analyzer, f *flow, dir int, b []byte) []byte {
	for len(b) >= 4 {
		length := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if length > maxHandshake {
			t.half[dir].dark = true
			return nil
		}
		if len(b) < 4+length {
			return b
		}
		t.message(a, f, dir, b[0], b[4:4+length])
		b = b[4+length:]
	}
	return b
}

func (t *tlsTalk) message(a *analyzer, f *flow, dir int, kind byte, body []byte) {
	switch kind {
	case helloClient:
		t.clientHello(a, f, body)
	case helloServer:
		t.serverHello(body)
	case certificateList:
		t.half[dir].cert = true
		t.certificates(a, f, dir, body)
	}
}

func (t *tlsTalk) clientHello(a *analyzer, f *flow, body []byte) {
	h, _ := wire.ParseClientHello(body, t.dtls)
	t.offered, t.tickets = append([]byte(nil), h.SessionID...), h.Ticket || h.PreShared
	if t.hello {
		return // the same again, with a cookie or after a retry
	}
	t.hello = true
	s := t.session
	s.ServerName, s.JA3, s.JA4 = clean(h.ServerName), h.JA3(), h.JA4()
	versions := h.Versions
	if len(versions) == 0 {
		versions = []uint16{h.Version}
	}
	for _, v := range versions {
		if v&0x0f0f != 0x0a0a && len(s.Offered) < 16 {
			s.Offered = append(s.Offered, wire.TLSVersion(v))
		}
	}
	for _, name := range h.ALPN {
		s.ALPNOffered = append(s.ALPNOffered, clean(name))
	}
	if s.ServerName != "" {
		a.names.add(a, s.ServerName, f.ends[1].Addr(), "TLS SNI")
	}
}

func (t *tlsTalk) serverHello(body []byte) {
	h, ok := wire.ParseServerHello(body)
	if !ok || h.Retry {
		return
	}
	t.choice = h
	t.session.Version, t.session.ALPN = wire.TLSVersion(h.Version), clean(h.ALPN)
	t.session.CipherSuite = cipherName(h.Cipher)
	// In TLS 1.3 a key that was taken is a session resumed, or one agreed on outside: they look the same.
	if h.Version == 0x0304 || h.Version == 0xfefc {
		t.session.Resumed = h.PreShared
	}
}

// resumption tells, where the server changes the cipher at once, that a session goes on (RFC 5246,
// section 7.3; RFC 5077): with the same id, or by a ticket; a full handshake shows a certificate or a key first.
func (t *tlsTalk) resumption(dir int) {
	if dir != toClient || t.choice.Version == 0 || t.half[toServer].changed || t.half[toClient].cert {
		return
	}
	sameID := len(t.offered) > 0 && string(t.offered) == string(t.choice.SessionID)
	t.session.Resumed = sameID || t.tickets
}

func (t *tlsTalk) certificates(a *analyzer, f *flow, dir int, body []byte) {
	for i, der := range wire.Certificates(body) {
		c := a.certificate(der)
		c.From = side(dir)
		c.Valid = c.Error == "" && !a.frame.At.Before(c.NotBefore) && !a.frame.At.After(c.NotAfter)
		if i == 0 {
			for _, name := range c.Names {
				a.names.add(a, name, f.ends[dir].Addr(), "certificate")
			}
		}
		if len(t.session.Certificates) < maxChain {
			t.session.Certificates = append(t.session.Certificates, c)
		}
	}
}

// certificate reads one. A server shows the same again and again, so the last ones read are remembered.
func (a *analyzer) certificate(der []byte) Certificate {
	sum := sha256.Sum256(der)
	if c, ok := a.certified[sum]; ok {
		return c
	}
	c := Certificate{SHA256: hex.EncodeToString(sum[:])}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		c.Error = clean(err.Error())
	} else {
		c.Subject, c.Issuer = clean(parsed.Subject.String()), clean(parsed.Issuer.String())
		c.NotBefore, c.NotAfter = parsed.NotBefore.UTC(), parsed.NotAfter.UTC()
		for _, name := range parsed.DNSNames[:min(len(parsed.DNSNames), 8)] {
			c.Names = append(c.Names, clean(name))
		}
		if len(c.Names) == 0 && parsed.Subject.CommonName != "" {
			c.Names = []string{clean(parsed.Subject.CommonName)}
		}
	}
	if len(a.certified) >= maxCertified {
		clear(a.certified)
	}
	a.certified[sum] = c
	return c
}

const maxCertified = 256

// datagram reads the records of one DTLS datagram (RFC 6347, section 4.1).
func (t *tlsTalk) datagram(a *analyzer, f *flow, dir int, b []byte) {
	t.list(a, f)
	for len(b) >= 13 && b[0] >= recordChange && b[0] <= recordCID && b[1] == 0xfe {
		if b[0] == recordCID { // its head has a connection id of unknown length (RFC 9146)
			t.application(dir)
			return
		}
		epoch, length := binary.BigEndian.Uint16(b[3:]), int(binary.BigEndian.Uint16(b[11:]))
		if 13+length > len(b) {
			return
		}
		body := b[13 : 13+length]
		switch {
		case b[0] == recordData:
			t.application(dir)
		case epoch > 0:
		case b[0] == recordHandshake:
			t.fragment(a, f, dir, body)
		default:
			t.record(a, f, dir, b[0], body)
		}
		b = b[13+length:]
	}
}

// fragment puts handshake messages of DTLS together (section 4.2.3). Fragments out of order are given up:
// what is lost is that message's part of the story.
func (t *tlsTalk) fragment(a *analyzer, f *flow, dir int, b []byte) {
	h := &t.half[dir]
	for len(b) >= 12 {
		length := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		sequence := int(binary.BigEndian.Uint16(b[4:]))
		offset := int(b[6])<<16 | int(b[7])<<8 | int(b[8])
		size := int(b[9])<<16 | int(b[10])<<8 | int(b[11])
		if size > len(b)-12 || length > maxHandshake || offset+size > length {
			return
		}
		part := b[12 : 12+size]
		switch {
		case size == length:
			t.message(a, f, dir, b[0], part)
		case offset == 0:
			h.sequence = sequence
			t.keep(a, h, part)
		case sequence == h.sequence && offset == len(h.handshake):
			h.handshake = append(h.handshake, part...)
			a.held += len(part)
			if len(h.handshake) == length {
				t.message(a, f, dir, b[0], h.handshake)
				h.sequence = -1
				t.keep(a, h, nil)
			}
		}
		b = b[12+size:]
	}
}

func (t *tlsTalk) end(a *analyzer, _ *flow) {
	t.keep(a, &t.half[0], nil)
	t.keep(a, &t.half[1], nil)
}

// cipherName names a suite; those of small devices are not in Go's list.
func cipherName(id uint16) string {
	switch id {
	case 0x008c:
		return "TLS_PSK_WITH_AES_128_CBC_SHA"
	case 0x00a8:
		return "TLS_PSK_WITH_AES_128_GCM_SHA256"
	case 0x00ae:
		return "TLS_PSK_WITH_AES_128_CBC_SHA256"
	case 0xc037:
		return "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256"
	case 0xc0a4:
		return "TLS_PSK_WITH_AES_128_CCM"
	case 0xc0a8:
		return "TLS_PSK_WITH_AES_128_CCM_8"
	case 0xc0ac:
		return "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"
	case 0xc0ae:
		return "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"
	case 0x1304:
		return "TLS_AES_128_CCM_SHA256"
	case 0x1305:
		return "TLS_AES_128_CCM_8_SHA256"
	}
	if name, ok := suites[id]; ok {
		return name
	}
	return fmt.Sprintf("%#04x", id)
}

var suites = func() map[uint16]string {
	names := map[uint16]string{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		names[s.ID] = s.Name
	}
	return names
}()
