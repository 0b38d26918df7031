package capture

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// mqttStory reads MQTT 3.1.1 and 5.0 control packets (section 2.2 of both). Only CONNECT can be told
// on any port; for the others a port has to hint.
func mqttStory(p *parcel) (string, string) {
	b := p.payload
	var parts []string
	for len(b) >= 2 && len(parts) < 4 {
		body, rest, ok := mqttPacket(b)
		if !ok {
			break
		}
		if len(parts) == 0 && !p.on(1883) && !isConnect(b[0], body) {
			return "", ""
		}
		text := mqttText(b[0], body)
		if text == "" {
			break
		}
		parts, b = append(parts, text), rest
	}
	if len(parts) == 0 {
		return "", ""
	}
	return "MQTT", strings.Join(parts, ", ")
}

// mqttPacket splits the first control packet off; its body may be cut by the segment's end.
func mqttPacket(b []byte) (body, rest []byte, ok bool) {
	length, at := 0, 1
	for shift := 0; ; shift += 7 {
		if at >= len(b) || shift > 21 {
			return nil, nil, false
		}
		c := b[at]
		at++
		length |= int(c&0x7f) << shift
		if c&0x80 == 0 {
			break
		}
	}
	end := min(len(b), at+length)
	return b[at:end], b[end:], true
}

func isConnect(first byte, body []byte) bool {
	name, _, ok := field16(body)
	return first == 0x10 && ok && (string(name) == "MQTT" || string(name) == "MQIsdp")
}

// mqttText names a packet; topics and client ids are shown, user names, passwords and payloads never.
func mqttText(first byte, body []byte) string {
	names := [...]string{"", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp",
		"subscribe", "suback", "unsubscribe", "unsuback", "ping request", "ping response", "disconnect", "auth"}
	kind := first >> 4
	name, flags := names[kind], first&15
	switch kind {
	case 1:
		return connectText(first, body)
	case 2:
		if len(body) >= 2 {
			return fmt.Sprintf("connack, code %d", body[1])
		}
	case 3:
		topic, rest, ok := field16(body)
		if !ok || flags&6 == 6 {
			return ""
		}
		if flags&6 != 0 {
			rest = rest[min(2, len(rest)):] // the packet identifier
		}
		text := fmt.Sprintf("publish %s, %d bytes", printable(string(topic), maxText), len(rest))
		if flags&1 != 0 {
			text += ", retained"
		}
		return text
	case 8:
		if len(body) < 2 || flags != 2 {
			return ""
		}
		// With 5.0 properties come first; those of most clients are one zero byte.
		filters := body[2:]
		if len(filters) > 2 && filters[0] == 0 && filters[1] == 0 {
			filters = filters[1:]
		}
		if topic, _, ok := field16(filters); ok {
			name += " " + printable(string(topic), maxText)
		}
	}
	return name
}

func connectText(first byte, body []byte) string {
	if !isConnect(first, body) {
		return ""
	}
	_, rest, _ := field16(body)
	if len(rest) < 4 {
		return "connect"
	}
	version := rest[0]
	rest = rest[4:] // version, flags, keep alive
	if version == 5 {
		if len(rest) == 0 || int(rest[0]) >= 0x80 || int(rest[0]) >= len(rest) {
			return "connect, version 5"
		}
		rest = rest[1+int(rest[0]):]
	}
	id, _, ok := field16(rest)
	if !ok {
		return fmt.Sprintf("connect, version %d", version)
	}
	return fmt.Sprintf("connect as %q, version %d", printable(string(id), maxText), version)
}

// field16 splits off a field whose length is in its first two bytes.
func field16(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// coapStory reads CoAP over UDP (RFC 7252, section 3). A port has to hint: the header is four bytes of little order.
func coapStory(p *parcel) (string, string) {
	b := p.payload
	if len(b) < 4 || b[0]>>6 != 1 || b[0]&15 > 8 || !p.on(5683) || len(b) < 4+int(b[0]&15) {
		return "", ""
	}
	kind := [...]string{"con", "non", "ack", "rst"}[b[0]>>4&3]
	code := b[1]
	text := fmt.Sprintf("%s %d.%02d", kind, code>>5, code&31)
	switch {
	case code == 0:
		return "CoAP", kind + " empty"
	case code <= 7: // 5 to 7: RFC 8132
		text = kind + " " + [...]string{"", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"}[code]
	case code>>5 == 0 || code>>5 == 1 || code>>5 > 5:
		return "", ""
	}
	path, block := coapOptions(b[4+int(b[0]&15):])
	if path != "" {
		text += " " + printable(path, maxText)
	}
	return "CoAP", text + block
}

// The options shown (RFC 7252, section 12.2; RFC 7959).
const (
	coapPath   = 11
	coapBlock2 = 23
	coapBlock1 = 27
)

// coapOptions gathers the path and the block number; the query is left out as for HTTP.
func coapOptions(b []byte) (path, block string) {
	number := 0
	for len(b) > 0 && b[0] != 0xff {
		delta, length := int(b[0]>>4), int(b[0]&15)
		b = b[1:]
		var ok bool
		if delta, b, ok = coapExtended(delta, b); !ok {
			return path, block
		}
		if length, b, ok = coapExtended(length, b); !ok || length > len(b) {
			return path, block
		}
		number += delta
		value := b[:length]
		b = b[length:]
		switch {
		case number == coapPath && len(path) < maxText:
			path += "/" + string(value)
		case (number == coapBlock1 || number == coapBlock2) && length <= 3:
			n := 0
			for _, c := range value {
				n = n<<8 | int(c)
			}
			block = fmt.Sprintf(", block %d", n>>4)
		}
	}
	return path, block
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
