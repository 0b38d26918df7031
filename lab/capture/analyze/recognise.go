package analyze

import (
	"bytes"
	"encoding/binary"
	"strings"

	"assay/lab/capture/wire"
)

// known tells the ports of services that devices offer or use.
func known(port uint16, tcp bool) bool {
	switch port {
	case 53, 123, 161, 162, 5353, 5355, 5683, 5684, 443, 8883, 853:
		return true
	case 67, 547, 1900, 514, 69, 500, 4500:
		return !tcp
	case 20, 21, 22, 23, 25, 80, 110, 143, 554, 587, 993, 995, 502, 1883, 8080, 8443, 2323, 7547:
		return tcp
	}
	return false
}

// recognise finds the talker of a TCP flow by what is said first. False asks for more bytes.
func (a *analyzer) recognise(f *flow, dir int, b []byte) bool {
	port := f.ends[1].Port()
	switch {
	case b[0] == 22 || b[0] == 21 || b[0] == 23:
		if len(b) < 3 {
			return false
		}
		if b[1] == 3 && b[2] <= 4 {
			return f.speaks("TLS", true, newTLSTalk(f, false))
		}
	case b[0] == 0x10 && (port == 1883 || len(b) < 10):
		if head, body, ok := wire.MQTTPacket(b); ok && (body == wire.MQTTMore || len(b) < min(head+body, head+8)) {
			return false
		}
	}
	if head, body, ok := wire.MQTTPacket(b); ok && body >= 0 && len(b) >= head && wire.IsMQTTConnect(b[0], b[head:min(len(b), head+body)]) {
		return f.speaks("MQTT", false, newMQTTTalk())
	}
	switch {
	case port == 1883 && plausibleMQTT(b[0]):
		return f.speaks("MQTT", false, newMQTTTalk()) // its beginning is not in the capture
	case port == 53:
		return f.speaks("DNS", false, &dnsTalk{})
	case isHTTP(b):
		return f.speaks("HTTP", false, &httpTalk{})
	case maybeHTTP(b):
		return false
	case port == 5683 || wire.IsCoAPSettings(b):
		return f.speaks("CoAP", false, &coapStream{})
	case bytes.HasPrefix(b, []byte("SSH-")):
		return f.speaks("SSH", true, nil)
	case port == 21 || bytes.HasPrefix(b, []byte("220 ")) && bytes.Contains(bytes.ToUpper(b[:min(len(b), 200)]), []byte("FTP")):
		return f.speaks("FTP", false, &lineTalk{protocol: "FTP"})
	case port == 110 || port == 143:
		return f.speaks(map[uint16]string{110: "POP3", 143: "IMAP"}[port], false, &lineTalk{protocol: "POP3"})
	case port == 25 || port == 587 || bytes.HasPrefix(b, []byte("220 ")) && bytes.Contains(b[:min(len(b), 200)], []byte("SMTP")):
		return f.speaks("SMTP", false, nil)
	case port == 23 || port == 2323 || len(b) >= 3 && b[0] == 0xff && b[1] >= 0xfb:
		return f.speaks("Telnet", false, &telnetTalk{})
	case port == 502 && len(b) >= 8 && b[2] == 0 && b[3] == 0:
		return f.speaks("Modbus", false, nil)
	case readable(b):
		return f.speaks("text over TCP", false, nil)
	}
	return f.speaks("TCP", false, nil)
}

// speaks settles what a flow is.
func (f *flow) speaks(protocol string, encrypted bool, t talker) bool {
	f.protocol, f.encrypted, f.talker, f.settled = protocol, encrypted, t, true
	return true
}

func plausibleMQTT(first byte) bool {
	switch kind := first >> 4; kind {
	case 0:
		return false
	case 3:
		return first&6 != 6
	case 6, 8, 10:
		return first&15 == 2
	default:
		return first&15 == 0
	}
}

var methods = []string{"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT ", "TRACE ", "HTTP/1."}

func isHTTP(b []byte) bool {
	for _, m := range methods {
		if len(b) >= len(m) && string(b[:len(m)]) == m {
			return true
		}
	}
	return false
}

func maybeHTTP(b []byte) bool {
	for _, m := range methods {
		if len(b) < len(m) && strings.HasPrefix(m, string(b)) {
			return true
		}
	}
	return false
}

// readable tells text from the rest by its first bytes.
func readable(b []byte) bool {
	b = b[:min(len(b), 128)]
	if len(b) < 4 {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// datagram reads one UDP payload.
func (a *analyzer) datagram(f *flow, dir int, p *wire.Packet) {
	b, cut := p.Payload, p.Cut
	if f.talker != nil {
		f.talker.take(a, f, dir, b)
		return
	}
	switch {
	case p.On(53, 5353, 5355):
		f.protocol = map[bool]string{true: "DNS"}[p.On(53)]
		if p.On(5353) {
			f.protocol = "mDNS"
		} else if p.On(5355) {
			f.protocol = "LLMNR"
		}
		if !cut {
			a.dnsMessage(f, dir, b, f.protocol)
		}
	case p.On(67, 68) && isDHCP(b):
		f.protocol = "DHCP"
		a.dhcpMessage(b)
	case p.On(546, 547):
		f.protocol = "DHCPv6"
		a.count6(f, dir, b)
	case p.On(123) && len(b) >= 48:
		f.protocol = "NTP"
		a.ntp(f, dir, b)
	case isDTLS(b):
		f.speaks("DTLS", true, newTLSTalk(f, true))
		f.talker.take(a, f, dir, b)
	case p.On(5683):
		f.protocol = "CoAP"
		if !cut {
			a.coapDatagram(f, dir, b)
		}
	case p.On(161, 162):
		f.protocol = "SNMP"
		a.snmp(f, dir, b)
	case p.On(1900) && (isHTTP(b) || bytes.HasPrefix(b, []byte("M-SEARCH ")) || bytes.HasPrefix(b, []byte("NOTIFY "))):
		f.protocol = "SSDP"
		a.ssdp(f, dir, b)
	case p.On(443) && len(b) > 5 && b[0]&0xc0 == 0xc0 && binary.BigEndian.Uint32(b[1:]) == 1:
		f.speaks("QUIC", true, nil)
	case p.On(500, 4500):
		f.speaks("IKE/ESP", true, nil)
	case f.protocol == "" && readable(b):
		f.protocol = "text over UDP"
	}
}

// guess names a flow that nothing recognised.
func guess(f *flow) string {
	if f.tcp {
		return "TCP"
	}
	return "UDP"
}
