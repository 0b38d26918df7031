package scan

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"assay/probes"
)

// furtherQuestions are for UDP ports that cameras, routers, plugs and lamps were seen to answer at, undeclared. Each is
// the protocol's own question who is there, which changes nothing; asked are the ports that need no other question.
func furtherQuestions(asked []question) []question {
	var out []question
	for _, q := range []question{
		{port: 7, words: [][]byte{[]byte("assay\r\n")}},                                                                           // echo (RFC 862)
		{port: 13, words: [][]byte{[]byte("\r\n")}},                                                                               // daytime (RFC 867)
		{port: 19, words: [][]byte{[]byte("\r\n")}},                                                                               // character generator (RFC 864)
		{port: 111, words: [][]byte{octets("0000a55a 00000000 00000002 000186a0 00000002 00000000" + zeros(16))}},                 // port mapper, NULL (RFC 1833, RFC 5531)
		{port: 137, words: [][]byte{octets("a55a 0000 0001 0000 0000 0000 20 434b" + strings.Repeat("41", 30) + "00 0021 0001")}}, // NetBIOS node status of "*" (RFC 1002, 4.2.17)
		{port: 3478, words: [][]byte{octets("0001 0000 2112a442" + zeros(12))}},                                                   // STUN binding (RFC 8489, 5)
		{port: 3671, words: [][]byte{octets("0610 0203 000e 0801 00000000 0000")}},                                                // KNXnet/IP description
		{port: 3702, words: [][]byte{[]byte(wsDiscovery)}},                                                                        // WS-Discovery: ONVIF cameras, printers
		{port: 5060, words: [][]byte{[]byte(sipOptions)}},                                                                         // SIP (RFC 3261, 11)
		{port: 5351, words: [][]byte{octets("0000")}},                                                                             // NAT-PMP, external address (RFC 6886, 3.2)
		{port: 9999, words: [][]byte{autokey(`{"system":{"get_sysinfo":{}}}`)}},                                                   // TP-Link's plugs
		{port: 10001, words: [][]byte{octets("01000000")}},                                                                        // Ubiquiti's discovery
		{port: 38899, words: [][]byte{[]byte(`{"method":"getSystemConfig","params":{}}`)}},                                        // WiZ lamps
		{port: 47808, words: [][]byte{octets("810a 0008 0100 1008")}},                                                             // BACnet/IP Who-Is
		{port: 56700, words: [][]byte{octets("2400 0034 00a55a00" + zeros(24) + "0200 0000")}},                                    // LIFX lamps, get service
	} {
		if !slices.ContainsFunc(asked, func(a question) bool { return a.port == q.port }) {
			q.speaks = probes.SpeaksUnknown
			out = append(out, q)
		}
	}
	return out
}

// furtherTries is how often these are asked: a datagram may be lost, and two seldom are.
const furtherTries = 2

// askFurther takes an answer from any port of the device, as discovery gives it. That a port is closed tells nothing here.
func (k *knocker) askFurther(ctx context.Context, q question) (probes.Port, error) {
	port := probes.Port{Number: q.port, State: probes.PortSilent, Speaks: q.speaks}
	for i, patience := range k.patience.UDP[:min(furtherTries, len(k.patience.UDP))] {
		state, err := k.elsewhere(ctx, q.port, q.words[i%len(q.words)], patience)
		if err != nil {
			return port, err
		}
		if state == probes.PortOpen {
			port.State = state
			break
		}
	}
	return port, nil
}

const wsDiscovery = `<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" ` +
	`xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><e:Header>` +
	`<w:MessageID>urn:uuid:6f2a41a5-5a5a-4a5a-8a5a-a55aa55aa55a</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>` +
	`<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header><e:Body><d:Probe/></e:Body></e:Envelope>`

const sipOptions = "OPTIONS sip:assay@scan.invalid SIP/2.0\r\nVia: SIP/2.0/UDP scan.invalid;branch=z9hG4bKa55a;rport\r\nMax-Forwards: 70\r\n" +
	"From: <sip:assay@scan.invalid>;tag=a55a\r\nTo: <sip:assay@scan.invalid>\r\nCall-ID: a55a@scan.invalid\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"

// octets reads hex digits that are written in groups.
func octets(digits string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic("octets: " + digits) // a constant of this file
	}
	return b
}

func zeros(n int) string { return strings.Repeat("00", n) }

// autokey hides a text as these plugs do: each byte is combined with the one before, the first with 171.
func autokey(text string) []byte {
	out, key := []byte(text), byte(171)
	for i := range out {
		out[i] ^= key
		key = out[i]
	}
	return out
}
