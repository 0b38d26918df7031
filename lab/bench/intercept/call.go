package intercept

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/alert"

	"assay/probes"
)

// The protocols that a first message is told apart by.
const (
	speaksMQTT    = "mqtt"
	speaksHTTP    = "http"
	speaksCoAP    = "coap"
	speaksUnknown = "unknown"
)

// A call is what is written down of one connection. The interceptor's lock guards it.
type call struct {
	probes.Call
	hello bool
	first []byte // of what it said, as much as classifying needs
}

// firstBytes is how much of a first message is looked at.
const firstBytes = 16

// Extensions of a ClientHello (RFC 8446 section 4.2, RFC 5077 section 3.2).
const (
	extensionTicket       = 35
	extensionPreSharedKey = 41
	extensionVersions     = 43
	extensionPSKModes     = 45
)

// versionSSL3 is the oldest version that a hello can name.
const versionSSL3 = 0x0300

// hear notes a ClientHello.
func (c *call) hear(h *tls.ClientHelloInfo) {
	c.hello = true
	c.SNI = shorten(h.ServerName)
	known := slices.DeleteFunc(slices.Clone(h.SupportedVersions), func(v uint16) bool { return v < versionSSL3 || v > tls.VersionTLS13 })
	if len(known) > 0 {
		c.Highest = tls.VersionName(slices.Max(known))
		if slices.Contains(h.Extensions, extensionVersions) {
			c.Lowest = tls.VersionName(slices.Min(known)) // without the extension a client names its highest only
		}
	}
	c.offer(h.CipherSuites)
	c.Tickets = slices.Contains(h.Extensions, extensionTicket) || slices.Contains(h.Extensions, extensionPSKModes)
	c.Resumes = slices.Contains(h.Extensions, extensionPreSharedKey)
}

// hearDTLS notes a ClientHello of DTLS, of which the library tells less.
func (c *call) hearDTLS(h *dtls.ClientHelloInfo) {
	c.hello = true
	c.SNI, c.Highest = shorten(h.ServerName), dtls12
	ids := make([]uint16, len(h.CipherSuites))
	for n, id := range h.CipherSuites {
		ids[n] = uint16(id)
	}
	c.offer(ids)
}

// offer notes the suites, each once. OpenSSL 1.0 offers about a hundred, the weakest last: every number that may
// be a suite's is kept, and of others a few.
func (c *call) offer(ids []uint16) {
	c.Ciphers, c.CipherNames = nil, nil
	seen := make(map[uint16]bool, len(ids))
	for _, id := range ids {
		if isGREASE(id) || seen[id] || len(c.Ciphers) >= maxNames && !isRegistered(id) {
			continue
		}
		seen[id] = true
		c.Ciphers = append(c.Ciphers, id)
		c.CipherNames = append(c.CipherNames, tls.CipherSuiteName(id))
	}
}

// isRegistered tells the blocks of 256 in which IANA has given numbers to suites.
func isRegistered(id uint16) bool {
	return slices.Contains([]uint16{0x00, 0x13, 0x56, 0xc0, 0xc1, 0xcc, 0xd0}, id>>8)
}

// isGREASE tells values that clients send to keep servers tolerant (RFC 8701).
func isGREASE(id uint16) bool { return id&0x0f0f == 0x0a0a && id>>8 == id&0xff }

// said notes application data.
func (c *call) said(p []byte) {
	c.Bytes += int64(len(p))
	if room := firstBytes - len(c.first); room > 0 {
		c.first = append(c.first, p[:min(room, len(p))]...)
		c.Protocol = classify(c.first)
	}
}

// ended notes how the device ended it; an alert that came earlier stays.
func (c *call) ended(err error) {
	c.Ended = true
	if a := alertOf(err); a != "" && c.Alert == "" {
		c.Alert = a
	}
}

// alertOf finds the other side's alert in an error.
func alertOf(err error) string {
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" {
		return strings.TrimPrefix(remote.Err.Error(), "tls: ")
	}
	if err != nil {
		// The DTLS library shows it in words only: "handshake error: alert: Alert Fatal: UnknownCA".
		if _, name, found := strings.Cut(err.Error(), "alert: Alert Fatal: "); found {
			for d := range 256 {
				if alert.Description(d).String() == name { //nolint:gosec // below 256
					return alertName(byte(d)) //nolint:gosec // below 256
				}
			}
		}
	}
	return ""
}

// alertName is an alert in the words of the TLS library.
func alertName(description byte) string {
	return strings.TrimPrefix(tls.AlertError(description).Error(), "tls: ")
}

// alertLength is how long an alert in clear is, with its record's header (RFC 8446 sections 5.1 and 6).
const alertLength = 7

// alertInClear reads an alert at the end of what came in. OpenSSL sends it so even in TLS 1.3, where it should be
// encrypted and the library here sees nothing but a broken record.
func alertInClear(tail []byte) string {
	if len(tail) != alertLength || tail[0] != 21 || tail[1] != 3 || tail[3] != 0 || tail[4] != 2 || tail[5] < 1 || tail[5] > 2 {
		return ""
	}
	return alertName(tail[6])
}

// classify tells by the first bytes which protocol a message belongs to.
func classify(b []byte) string {
	switch {
	case len(b) == 0:
		return ""
	case isConnect(b):
		return speaksMQTT
	case isRequest(b):
		return speaksHTTP
	case isCoAP(b):
		return speaksCoAP
	}
	return speaksUnknown
}

// isConnect tells an MQTT CONNECT (MQTT 3.1.1 section 3.1; 3.1 has another name).
func isConnect(b []byte) bool {
	if b[0] != 0x10 {
		return false
	}
	at := 1
	for at < len(b) && at <= 4 && b[at] >= 0x80 { // remaining length
		at++
	}
	if at+1 > len(b) {
		return false
	}
	rest := b[at+1:]
	return bytes.HasPrefix(rest, []byte("\x00\x04MQTT")) || bytes.HasPrefix(rest, []byte("\x00\x06MQIsdp"))
}

// isRequest tells a request of HTTP/1 or the preface of HTTP/2.
func isRequest(b []byte) bool {
	method, _, found := bytes.Cut(b, []byte(" "))
	return found && slices.Contains([]string{
		"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "PRI",
	}, string(method))
}

// isCoAP tells a request or ping of CoAP (RFC 7252 section 3): version 1, a token of at most eight bytes, code 0.00 to 0.31.
func isCoAP(b []byte) bool {
	return len(b) >= 4 && b[0]>>6 == 1 && b[0]&0x0f <= 8 && b[1] < 32
}

// shorten bounds a device's own words.
func shorten(s string) string {
	if len(s) > 253 {
		s = s[:253]
	}
	return strings.ToValidUTF8(s, "?")
}
