package capture

import (
	"assay/lab/capture/wire"
	"fmt"
	"strings"
)

// mqttStory reads MQTT 3.1.1 and 5.0 control packets (section 2.2 of both). Only CONNECT can be told
// on any port; for the others a port has to hint.
func mqttStory(p *wire.Packet) (string, string) {
	b := p.Payload
	var parts []string
	for len(b) >= 2 && len(parts) < 4 {
		body, rest, ok := mqttPacket(b)
		if !ok {
			break
		}
		if len(parts) == 0 && !p.On(1883) && !wire.IsMQTTConnect(b[0], body) {
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
	head, length, ok := wire.MQTTPacket(b)
	if !ok || length == wire.MQTTMore {
		return nil, nil, false
	}
	end := min(len(b), head+length)
	return b[head:end], b[end:], true
}

// mqttText names a packet; topics and client ids are shown, user names, passwords and payloads never.
func mqttText(first byte, body []byte) string {
	kind, name, flags := first>>4, wire.MQTTName(first), first&15
	switch kind {
	case 1:
		return connectText(first, body)
	case 2:
		if len(body) >= 2 {
			return fmt.Sprintf("connack, code %d", body[1])
		}
	case 3:
		topic, rest, ok := wire.Field16(body)
		if !ok || flags&6 == 6 {
			return ""
		}
		if flags&6 != 0 {
			rest = rest[min(2, len(rest)):] // the packet identifier
		}
		text := fmt.Sprintf("publish %s, %d bytes", Printable(string(topic), maxText), len(rest))
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
		if topic, _, ok := wire.Field16(filters); ok {
			name += " " + Printable(string(topic), maxText)
		}
	}
	return name
}

func connectText(first byte, body []byte) string {
	if !wire.IsMQTTConnect(first, body) {
		return ""
	}
	c, _ := wire.ParseMQTTConnect(body)
	switch {
	case c.Version == 0:
		return "connect"
	case c.ClientID == nil:
		return fmt.Sprintf("connect, version %d", c.Version)
	}
	return fmt.Sprintf("connect as %q, version %d", Printable(string(c.ClientID), maxText), c.Version)
}

// coapStory reads CoAP over UDP (RFC 7252, section 3). A port has to hint: the header is four bytes of little order.
func coapStory(p *wire.Packet) (string, string) {
	if !p.On(coapPort) {
		return "", ""
	}
	// A message whose end is missing or malformed is still told as far as it was read.
	m, ok := wire.ParseCoAP(p.Payload)
	if !ok && m.Token == nil {
		return "", ""
	}
	text := coapText(&m)
	if text == "" || m.Code>>5 == 7 {
		return "", ""
	}
	return "CoAP", [...]string{"con", "non", "ack", "rst"}[m.Type] + " " + text
}

// coapStreamStory reads the messages of CoAP over TCP that begin in a segment (RFC 8323).
func coapStreamStory(p *wire.Packet) (string, string) {
	b := p.Payload
	if !p.On(coapPort) && !wire.IsCoAPSettings(b) {
		return "", ""
	}
	var parts []string
	for len(b) > 0 && len(parts) < 4 {
		head, body, more := wire.CoAPFrame(b)
		if more {
			break
		}
		// One whose end is in the next segment is told as far as it was read.
		m, ok := wire.ParseCoAPTCP(b)
		text := coapText(&m)
		if text == "" || m.Token == nil || !ok && len(b) >= head+body {
			break
		}
		parts, b = append(parts, text), b[min(len(b), head+body):]
	}
	if len(parts) == 0 {
		return "", ""
	}
	return "CoAP", strings.Join(parts, ", ")
}

// coapText tells code, path and blocks; "" is no code of CoAP.
func coapText(m *wire.CoAP) string {
	text := wire.CoAPCode(m.Code)
	switch class := m.Code >> 5; {
	case m.Code == 0:
		return "empty"
	case wire.CoAPMethod(m.Code) != "": // 5 to 7: RFC 8132
		text = wire.CoAPMethod(m.Code)
	case class == 7: // signals of the transport (RFC 8323, section 5)
		if names := [...]string{1: "csm", 2: "ping", 3: "pong", 4: "release", 5: "abort"}; int(m.Code&31) < len(names) {
			return text + " " + names[m.Code&31]
		}
		return text
	case class < 2 || class > 5:
		return ""
	}
	if m.Path != "" { // the query is left out as for HTTP
		text += " " + Printable(m.Path, maxText)
	}
	for _, b := range []wire.Block{m.Block1, m.Block2} {
		if b.Set {
			text += fmt.Sprintf(", block %d", b.Num)
		}
	}
	return text
}
