package wire

import (
	"encoding/binary"
	"fmt"
)

// The extensions of TLS that are read (IANA, TLS ExtensionType Values).
const (
	extServerName   = 0
	extGroups       = 10
	extPointFormats = 11
	extSignatures   = 13
	extALPN         = 16
	extPreShared    = 41
	extVersions     = 43
	extTicket       = 35
)

// A ClientHello is what a client offers in clear. Its slices of bytes alias the message.
type ClientHello struct {
	DTLS         bool
	Version      uint16 // legacy_version
	SessionID    []byte
	Ciphers      []uint16
	Extensions   []uint16
	ServerName   string
	ALPN         []string
	Groups       []uint16
	PointFormats []byte
	Signatures   []uint16
	Versions     []uint16 // supported_versions
	Ticket       bool     // it carries a session ticket
	PreShared    bool     // it offers a pre-shared key, of an earlier session or an external one
}

// A ServerHello is what a server chose.
type ServerHello struct {
	Version   uint16 // the negotiated one
	SessionID []byte
	Cipher    uint16
	ALPN      string
	PreShared bool // TLS 1.3: it takes the key offered
	Retry     bool // a HelloRetryRequest
}

// cursor reads fields one after another and remembers that one was missing.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.bad = true
		return nil
	}
	field := c.b[:n]
	c.b = c.b[n:]
	return field
}

func (c *cursor) u8() int {
	if f := c.take(1); f != nil {
		return int(f[0])
	}
	return 0
}

func (c *cursor) u16() int {
	if f := c.take(2); f != nil {
		return int(binary.BigEndian.Uint16(f))
	}
	return 0
}

func (c *cursor) numbers(b []byte) []uint16 {
	list := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		list = append(list, binary.BigEndian.Uint16(b))
	}
	return list
}

// list16 reads numbers that a length of two bytes announces.
func (c *cursor) list16() []uint16 { return c.numbers(c.take(c.u16())) }

// ParseClientHello reads the body of a client hello (RFC 8446, section 4.1.2; RFC 6347, section 4.2.1). What
// was read is set even where ok is false.
func ParseClientHello(body []byte, dtls bool) (h ClientHello, ok bool) {
	c := cursor{b: body}
	h.DTLS, h.Version = dtls, uint16(c.u16())
	c.take(32)
	h.SessionID = c.take(c.u8())
	if dtls {
		c.take(c.u8()) // the cookie
	}
	h.Ciphers = c.list16()
	c.take(c.u8()) // compression
	if c.bad {
		return h, false
	}
	if len(c.b) == 0 {
		return h, true // before extensions were known
	}
	// A list that is cut, as in a segment of its own, is read as far as it goes.
	length := c.u16()
	c.b = c.b[:min(len(c.b), length)]
	for len(c.b) > 0 && !c.bad {
		kind := uint16(c.u16())
		value := c.take(c.u16())
		if c.bad {
			return h, false
		}
		h.Extensions = append(h.Extensions, kind)
		h.extension(kind, value)
	}
	return h, !c.bad
}

func (h *ClientHello) extension(kind uint16, value []byte) {
	c := cursor{b: value}
	switch kind {
	case extServerName:
		c.u16()
		if c.u8() == 0 {
			h.ServerName = string(c.take(c.u16()))
		}
	case extGroups:
		h.Groups = c.list16()
	case extPointFormats:
		h.PointFormats = c.take(c.u8())
	case extSignatures:
		h.Signatures = c.list16()
	case extALPN:
		h.ALPN = alpn(value)
	case extVersions:
		h.Versions = c.numbers(c.take(c.u8()))
	case extTicket:
		h.Ticket = len(value) > 0
	case extPreShared:
		h.PreShared = true
	}
}

func alpn(value []byte) (names []string) {
	c := cursor{b: value}
	c = cursor{b: c.take(c.u16())}
	for len(c.b) > 0 && !c.bad && len(names) < 16 {
		if name := c.take(c.u8()); len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names
}

// retryRandom is the random of a HelloRetryRequest (RFC 8446, section 4.1.3).
const retryRandom = "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"

// ParseServerHello reads the body of a server hello.
func ParseServerHello(body []byte) (h ServerHello, ok bool) {
	c := cursor{b: body}
	h.Version = uint16(c.u16())
	h.Retry = string(c.take(32)) == retryRandom
	h.SessionID = c.take(c.u8())
	h.Cipher = uint16(c.u16())
	c.u8()
	if c.bad {
		return h, false
	}
	if len(c.b) == 0 {
		return h, true
	}
	c = cursor{b: c.take(c.u16())}
	for len(c.b) > 0 && !c.bad {
		kind := c.u16()
		value := c.take(c.u16())
		switch {
		case kind == extVersions && len(value) == 2:
			h.Version = binary.BigEndian.Uint16(value)
		case kind == extALPN:
			if names := alpn(value); len(names) > 0 {
				h.ALPN = names[0]
			}
		case kind == extPreShared:
			h.PreShared = true
		}
	}
	return h, !c.bad
}

// Certificates splits the list of a certificate message up to TLS 1.2 (RFC 5246, section 7.4.2); at most eight.
func Certificates(body []byte) (list [][]byte) {
	c := cursor{b: body}
	length := func() int { return c.u8()<<16 | c.u16() }
	c = cursor{b: c.take(length())}
	for len(c.b) > 0 && len(list) < 8 {
		der := c.take(length())
		if c.bad {
			break
		}
		list = append(list, der)
	}
	return list
}

// TLSVersion names a version as both protocols write it on the wire.
func TLSVersion(v uint16) string {
	switch v {
	case 0x0002:
		return "SSL 2.0"
	case 0x0300:
		return "SSL 3.0"
	case 0x0301:
		return "TLS 1.0"
	case 0x0302:
		return "TLS 1.1"
	case 0x0303:
		return "TLS 1.2"
	case 0x0304:
		return "TLS 1.3"
	case 0xfeff:
		return "DTLS 1.0"
	case 0xfefd:
		return "DTLS 1.2"
	case 0xfefc:
		return "DTLS 1.3"
	}
	return fmt.Sprintf("%#04x", v)
}
