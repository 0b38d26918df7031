package scan

import (
	"encoding/binary"

	"assay/probes"
)

// words are the questions of a protocol, harmless ones that every implementation answers.
func words(s probes.Speech) (asked [][]byte, elsewhere bool) {
	switch s {
	case probes.SpeaksCoAP:
		return [][]byte{coapGet()}, false
	case probes.SpeaksDTLS:
		return [][]byte{clientHello(true)}, false
	case probes.SpeaksDNS:
		return [][]byte{dnsQuery(0x0100, "assay", "invalid")}, false
	case probes.SpeaksMDNS: // a one-shot query is answered to its asker (RFC 6762, 6.7)
		return [][]byte{dnsQuery(0, "_services", "_dns-sd", "_udp", "local")}, true
	case probes.SpeaksNTP: // version 4, a client (RFC 5905, 7.3)
		return [][]byte{append([]byte{0x23}, make([]byte, 47)...)}, false
	case probes.SpeaksSNMP: // discovery needs no community; older agents know only their community
		return [][]byte{snmpDiscovery(), snmpPublic()}, false
	case probes.SpeaksSSDP:
		return [][]byte{[]byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n")}, true
	case probes.SpeaksTFTP: // a read request for a file that nobody has (RFC 1350, 5)
		return [][]byte{[]byte("\x00\x01assay-scan\x00octet\x00")}, true
	}
	return [][]byte{[]byte("\r\n\r\n"), {}, coapGet()}, false
}

// coapGet is a confirmable GET of /.well-known/core (RFC 7252, 3; RFC 6690).
func coapGet() []byte {
	b := []byte{0x41, 0x01, 0xa5, 0x5a, 0x01, 0xbb} // token of one byte; Uri-Path, 11 bytes
	b = append(b, ".well-known"...)
	return append(append(b, 0x04), "core"...)
}

// dnsQuery asks for the pointers of a name (RFC 1035, 4.1).
func dnsQuery(flags uint16, labels ...string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0xa5, 0x5a}, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0, 0, 12, 0, 1)
}

// snmpDiscovery asks for the engine's name (RFC 3414, 4).
func snmpDiscovery() []byte {
	return []byte{
		0x30, 0x3a, 0x02, 0x01, 0x03, // version 3
		0x30, 0x0f, 0x02, 0x02, 0x4a, 0x69, 0x02, 0x03, 0x00, 0xff, 0xe3, 0x04, 0x01, 0x04, 0x02, 0x01, 0x03, // reportable, user-based
		0x04, 0x10, 0x30, 0x0e, 0x04, 0x00, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00, 0x04, 0x00, // nobody
		0x30, 0x12, 0x04, 0x00, 0x04, 0x00, 0xa0, 0x0c, 0x02, 0x02, 0x37, 0xf0, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x00, // get nothing
	}
}

// snmpPublic asks an agent of version 2c what it is (RFC 3416, sysDescr.0), in the community that everybody may know.
func snmpPublic() []byte {
	return []byte{
		0x30, 0x29, 0x02, 0x01, 0x01, 0x04, 0x06, 'p', 'u', 'b', 'l', 'i', 'c',
		0xa0, 0x1c, 0x02, 0x04, 0x00, 0x00, 0xa5, 0x5a, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00,
		0x30, 0x0e, 0x30, 0x0c, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x02, 0x01, 0x01, 0x01, 0x00, 0x05, 0x00,
	}
}

// clientHello is the first flight of TLS 1.2 or DTLS 1.2 with suites of every usual kind of key
// (RFC 5246, 7.4.1.2; RFC 6347, 4.2.2). Whoever speaks the protocol answers it, be it with an alert.
func clientHello(datagram bool) []byte {
	version, recordVersion := []byte{3, 3}, []byte{3, 1}
	if datagram {
		version, recordVersion = []byte{0xfe, 0xfd}, []byte{0xfe, 0xff}
	}
	random := make([]byte, 32)
	for i := range random {
		random[i] = byte(i * 7)
	}
	hello := append(append(version[:2:2], random...), 0) // no session
	if datagram {
		hello = append(hello, 0) // no cookie yet
	}
	suites := []uint16{
		0xc0a8, 0x00a8, 0xc037, 0x00ae, 0xcca8, // PSK: CCM_8, GCM, ECDHE with CBC, CBC; ECDHE with ChaCha20
		0xc0ae, 0xc0ac, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc009, 0xc013, 0x009c, 0x002f,
	}
	hello = binary.BigEndian.AppendUint16(hello, uint16(2*len(suites)))
	for _, s := range suites {
		hello = binary.BigEndian.AppendUint16(hello, s)
	}
	hello = append(hello, 1, 0) // no compression
	extensions := []byte{
		0, 10, 0, 6, 0, 4, 0, 29, 0, 23, // groups: X25519, P-256
		0, 11, 0, 2, 1, 0, // points: uncompressed
		0, 13, 0, 8, 0, 6, 4, 3, 4, 1, 8, 4, // signatures: ECDSA, RSA, RSA-PSS, each with SHA-256
		0, 23, 0, 0, // extended master secret
		0xff, 1, 0, 1, 0, // no renegotiation
	}
	hello = binary.BigEndian.AppendUint16(hello, uint16(len(extensions)))
	hello = append(hello, extensions...)

	length := []byte{0, byte(len(hello) >> 8), byte(len(hello))}
	message := append([]byte{1}, length...)
	if datagram { // message 0, in one fragment
		message = append(append(message, 0, 0, 0, 0, 0), length...)
	}
	message = append(message, hello...)
	record := append([]byte{0x16}, recordVersion...)
	if datagram { // epoch and sequence 0
		record = append(record, make([]byte, 8)...)
	}
	return append(binary.BigEndian.AppendUint16(record, uint16(len(message))), message...)
}
