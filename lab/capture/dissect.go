package capture

import (
	"assay/lab/capture/wire"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// contentType names a record of TLS or DTLS (RFC 8446, section 5.1; RFC 6520; RFC 9146).
func contentType(kind byte) string {
	names := [...]string{"change cipher spec", "alert", "handshake", "application data", "heartbeat", "tls12 cid"}
	if kind < 20 || int(kind)-20 >= len(names) {
		return ""
	}
	return names[kind-20]
}

// handshakeName names what is sent in clear (RFC 5246, section 7.4; RFC 6347, section 4.3.2).
func handshakeName(kind byte) string {
	switch kind {
	case 0:
		return "hello request"
	case 1:
		return "client hello"
	case 2:
		return "server hello"
	case 3:
		return "hello verify request"
	case 4:
		return "new session ticket"
	case 11:
		return "certificate"
	case 12:
		return "server key exchange"
	case 13:
		return "certificate request"
	case 14:
		return "server hello done"
	case 15:
		return "certificate verify"
	case 16:
		return "client key exchange"
	}
	return "encrypted handshake"
}

// AlertName is worth reading in a report: it says why a peer was refused (RFC 8446, section 6).
func AlertName(b []byte) string {
	if len(b) != 2 || b[0] != 1 && b[0] != 2 {
		return "encrypted alert"
	}
	names := map[byte]string{
		0: "close notify", 10: "unexpected message", 20: "bad record mac", 40: "handshake failure", 42: "bad certificate",
		43: "unsupported certificate", 44: "certificate revoked", 45: "certificate expired", 46: "certificate unknown",
		47: "illegal parameter", 48: "unknown ca", 49: "access denied", 50: "decode error", 51: "decrypt error",
		70: "protocol version", 71: "insufficient security", 80: "internal error", 90: "user canceled",
		109: "missing extension", 112: "unrecognized name", 115: "unknown psk identity", 116: "certificate required", 120: "no application protocol",
	}
	if name, ok := names[b[1]]; ok {
		return "alert: " + name
	}
	return fmt.Sprintf("alert: %d", b[1])
}

// tlsStory reads the records that begin in a segment; one that began earlier is just TCP.
func tlsStory(p *wire.Packet) (string, string) {
	b := p.Payload
	var parts []string
	for len(b) >= 5 && len(parts) < 4 {
		name, length := contentType(b[0]), int(binary.BigEndian.Uint16(b[3:]))
		if name == "" || b[0] > 24 || b[1] != 3 || b[2] > 4 || length > 1<<14+2048 {
			break
		}
		body := b[5:min(len(b), 5+length)]
		parts = append(parts, recordStory(b[0], name, body, length, 4))
		b = b[5+len(body):]
	}
	if len(parts) == 0 {
		return "", ""
	}
	return "TLS", strings.Join(parts, ", ")
}

func dtlsStory(p *wire.Packet) (string, string) {
	b := p.Payload
	var parts []string
	for len(b) >= 13 && len(parts) < 4 {
		name, length := contentType(b[0]), int(binary.BigEndian.Uint16(b[11:]))
		// DTLS 1.0 and 1.2 write their versions as complements: fe ff, fe fd (RFC 6347, section 4.1).
		if name == "" || b[1] != 0xfe || b[2] < 0xfc || b[0] != 25 && 13+length > len(b) {
			break
		}
		body := b[13:min(len(b), 13+length)]
		if epoch := binary.BigEndian.Uint16(b[3:]); epoch > 0 && b[0] != 23 {
			parts = append(parts, "encrypted "+name)
		} else {
			parts = append(parts, recordStory(b[0], name, body, length, 12))
		}
		b = b[13+len(body):]
	}
	if len(parts) == 0 {
		return "", ""
	}
	return "DTLS", strings.Join(parts, ", ")
}

func recordStory(kind byte, name string, body []byte, length, header int) string {
	switch {
	case kind == 21:
		return AlertName(body)
	case kind == 22 && len(body) >= header:
		// A handshake message in clear says its own length; an encrypted one almost never fits.
		if size := int(body[1])<<16 | int(body[2])<<8 | int(body[3]); size > 1<<17 {
			return "encrypted handshake"
		}
		if host := serverName(body[header:]); body[0] == 1 && header == 4 && host != "" {
			return "client hello for " + Printable(host, maxText)
		}
		return handshakeName(body[0])
	case kind == 23:
		return fmt.Sprintf("%s, %d bytes", name, length)
	}
	return name
}

// serverName finds the host in a client hello (RFC 6066, section 3).
func serverName(body []byte) string {
	h, _ := wire.ParseClientHello(body, false)
	return h.ServerName
}

// httpStory shows the first line, without the query: that is where secrets travel.
func httpStory(p *wire.Packet) (string, string) {
	line, _, found := bytes.Cut(p.Payload[:min(len(p.Payload), 2048)], []byte("\r\n"))
	if !found {
		return "", ""
	}
	words := strings.SplitN(string(line), " ", 3)
	if len(words) < 2 {
		return "", ""
	}
	if words[0] == "HTTP/1.1" || words[0] == "HTTP/1.0" {
		return "HTTP", Printable(strings.Join(words[1:], " "), maxText)
	}
	switch words[0] {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "M-SEARCH", "NOTIFY", "SUBSCRIBE":
	default:
		return "", ""
	}
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return "", ""
	}
	target, _, query := strings.Cut(words[1], "?")
	if query {
		target += "?..."
	}
	return "HTTP", words[0] + " " + Printable(target, maxText)
}
