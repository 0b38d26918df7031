package wire

import (
	"encoding/binary"
	"fmt"
)

// The options that are read (RFC 7252, section 12.2; RFC 7641; RFC 7959).
const (
	optURIHost       = 3
	optObserve       = 6
	optURIPath       = 11
	optContentFormat = 12
	optURIQuery      = 15
	optBlock2        = 23
	optBlock1        = 27

	maxPath   = 1024
	maxLength = 1 << 30 // of a message: longer ones are as long as this
)

// A Block is the value of a block option (RFC 7959, section 2.2).
type Block struct {
	Set  bool
	Num  int
	More bool
	Size int
	BERT bool // the payload is several blocks of 1024 bytes, over TCP only (RFC 8323, section 6)
}

// Count is how many blocks a payload of so many bytes is.
func (b Block) Count(bytes int) int {
	if !b.BERT {
		return 1
	}
	return max(1, (bytes+b.Size-1)/b.Size)
}

// A CoAP is one message. Token, host and payload alias the message.
type CoAP struct {
	Type           byte // 0 con, 1 non, 2 ack, 3 rst; of no meaning over TCP
	Code           byte
	ID             uint16
	Token, Host    []byte
	Path, Query    string
	Observe        int // -1: none
	ContentFormat  int // -1: none
	Block1, Block2 Block
	Payload        []byte
}

// CoAPMethod names a request's code (RFC 7252, section 12.1.1; RFC 8132); "" is no request.
func CoAPMethod(code byte) string {
	if code > 7 {
		return ""
	}
	return [...]string{"", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"}[code]
}

// CoAPCode writes a code as the RFC does: 2.05.
func CoAPCode(code byte) string { return fmt.Sprintf("%d.%02d", code>>5, code&31) }

// ParseCoAP reads a message over UDP (RFC 7252, section 3). Its head is four bytes of little order, so a
// port has to hint before it.
func ParseCoAP(b []byte) (m CoAP, ok bool) {
	m.Observe, m.ContentFormat = -1, -1
	if len(b) < 4 || b[0]>>6 != 1 || b[0]&15 > 8 || len(b) < 4+int(b[0]&15) {
		return m, false
	}
	token := int(b[0] & 15)
	m.Type, m.Code, m.ID, m.Token = b[0]>>4&3, b[1], binary.BigEndian.Uint16(b[2:]), b[4:4+token]
	class := m.Code >> 5
	if m.Code > 7 && class < 2 || class > 5 && class != 7 {
		return m, false
	}
	return m, m.options(b[4+token:])
}

// CoAPFrame tells how long a message over TCP is (RFC 8323, section 3.2): its head and, after it, options and
// payload. more says that too few bytes are there.
func CoAPFrame(b []byte) (head, body int, more bool) {
	if len(b) == 0 {
		return 0, 0, true
	}
	length, size := int(b[0]>>4), 1
	switch length {
	case 13:
		size = 2
	case 14:
		size = 3
	case 15:
		size = 5
	}
	if len(b) < size {
		return 0, 0, true
	}
	switch length {
	case 13:
		length = int(b[1]) + 13
	case 14:
		length = int(binary.BigEndian.Uint16(b[1:])) + 269
	case 15:
		length = int(min(uint64(binary.BigEndian.Uint32(b[1:]))+65805, maxLength))
	}
	return size + 1 + int(b[0]&15), length, false
}

// ParseCoAPTCP reads a message over TCP, or the beginning of one with all its options: its payload is then as far as
// it is there. Without a token, not even nil, its head is no message's.
func ParseCoAPTCP(b []byte) (m CoAP, ok bool) {
	m.Observe, m.ContentFormat = -1, -1
	head, body, more := CoAPFrame(b)
	if more || b[0]&15 > 8 || head > len(b) {
		return m, false
	}
	token := int(b[0] & 15)
	m.Code, m.Token = b[head-token-1], b[head-token:head]
	if class := m.Code >> 5; m.Code > 7 && class < 2 || class == 6 {
		return m, false
	}
	return m, m.options(b[head:min(len(b), head+body)])
}

// IsCoAPSettings tells whether a stream begins with the capabilities and settings that each end of CoAP over TCP has to
// send first (7.01: RFC 8323, section 5.3). Those without an option are too short to tell.
func IsCoAPSettings(b []byte) bool {
	head, body, more := CoAPFrame(b)
	if more || b[0]&15 != 0 || body == 0 || len(b) < head+body || b[head-1] != 0xe1 {
		return false
	}
	// The largest message and that blocks are understood (sections 5.3.1 and 5.3.2); the longest token (RFC 8974).
	number := 0
	for rest := b[head : head+body]; len(rest) > 0; {
		length := int(rest[0] & 15)
		if number += int(rest[0] >> 4); number != 2 && number != 4 && number != 6 || length > 4 || length >= len(rest) {
			return false
		}
		rest = rest[1+length:]
	}
	return true
}

// options reads options and payload. False is a message that breaks its own form.
func (m *CoAP) options(b []byte) bool {
	number := 0
	for len(b) > 0 {
		if b[0] == 0xff {
			m.Payload = b[1:]
			return len(m.Payload) > 0 // a marker without payload is an error (RFC 7252, section 3)
		}
		delta, length := int(b[0]>>4), int(b[0]&15)
		b = b[1:]
		var ok bool
		if delta, b, ok = coapExtended(delta, b); !ok {
			return false
		}
		if length, b, ok = coapExtended(length, b); !ok || length > len(b) {
			return false
		}
		number += delta
		m.option(number, b[:length])
		b = b[length:]
	}
	return true
}

func (m *CoAP) option(number int, value []byte) {
	switch number {
	case optURIHost:
		m.Host = value
	case optURIPath:
		if len(m.Path) < maxPath {
			m.Path += "/" + string(value)
		}
	case optURIQuery:
		if len(m.Query) < maxPath {
			if m.Query != "" {
				m.Query += "&"
			}
			m.Query += string(value)
		}
	case optObserve:
		m.Observe = coapUint(value)
	case optContentFormat:
		m.ContentFormat = coapUint(value)
	case optBlock1:
		m.Block1 = block(value)
	case optBlock2:
		m.Block2 = block(value)
	}
}

func block(value []byte) Block {
	if len(value) > 3 {
		return Block{}
	}
	n := coapUint(value)
	return Block{Set: true, Num: n >> 4, More: n&8 != 0, Size: 1 << (min(n&7, 6) + 4), BERT: n&7 == 7}
}

func coapUint(value []byte) (n int) {
	for _, c := range value[:min(4, len(value))] {
		n = n<<8 | int(c)
	}
	return n
}

// coapExtended reads the bytes that 13 and 14 announce (RFC 7252, section 3.1).
func coapExtended(n int, b []byte) (int, []byte, bool) {
	switch {
	case n == 13 && len(b) >= 1:
		return int(b[0]) + 13, b[1:], true
	case n == 14 && len(b) >= 2:
		return int(binary.BigEndian.Uint16(b)) + 269, b[2:], true
	}
	return n, b, n < 13
}
