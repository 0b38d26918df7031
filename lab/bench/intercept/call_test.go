package intercept

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestClassify(t *testing.T) {
	for first, want := range map[string]string{
		"":                                 "",
		"\x10\x1a\x00\x04MQTT\x04\x02":     "mqtt",
		"\x10\x9a\x01\x00\x04MQTT\x05\xc2": "mqtt",
		"\x10\x80\x80\x80\x01\x00\x06MQI":  "unknown", // cut short
		"\x10\x12\x00\x06MQIsdp\x03":       "mqtt",
		"\x10":                             "unknown",
		"\x10\x80\x80\x80\x80\x80\x80":     "unknown",
		"\x20\x02\x00\x00":                 "unknown", // CONNACK: nothing that a client says
		"GET / HTTP/1.1\r\n":               "http",
		"POST /a HTTP/1.1":                 "http",
		"PRI * HTTP/2.0":                   "http",
		"GETTING":                          "unknown",
		"get /":                            "unknown",
		"\x40\x01\x12\x34":                 "coap",
		"\x48\x02\x12\x34abcdefgh":         "coap",
		"\x49\x01\x12\x34":                 "unknown", // a token of nine bytes
		"\x40\x45\x12\x34":                 "unknown", // an answer
		"\x80\x01\x12\x34":                 "unknown", // version 2
		"hello":                            "unknown",
	} {
		assert.Equal(t, want, classify([]byte(first)), "%q", first)
	}
}

func TestAlertInClear(t *testing.T) {
	for tail, want := range map[string]string{
		"\x15\x03\x03\x00\x02\x02\x30": "unknown certificate authority",
		"\x15\x03\x01\x00\x02\x02\x2a": "bad certificate",
		"\x17\x03\x03\x00\x02\x02\x30": "",
		"\x15\x03\x03\x00\x02\x03\x30": "",
		"\x15\x03\x03\x00\x02\x02":     "",
		"":                             "",
	} {
		assert.Equal(t, want, alertInClear([]byte(tail)), "%q", tail)
	}
}

// TestSaid: a first message that comes in pieces is told by all of them, and of a long one no more is kept than that takes.
func TestSaid(t *testing.T) {
	var c call
	for _, piece := range []string{"\x10", "\x1a\x00", "\x04MQ", "TT\x04" + strings.Repeat("x", 100)} {
		c.said([]byte(piece))
	}
	assert.Equal(t, "mqtt", c.Protocol)
	assert.EqualValues(t, 1+2+3+103, c.Bytes)
	assert.Len(t, c.first, firstBytes)
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("\x10\x1a\x00\x04MQTT\x04"))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Add([]byte("\x40\x01\x12\x34"))
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x30"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := classify(b)
		if (got == "") != (len(b) == 0) {
			t.Fatalf("%q is %q", b, got)
		}
		var c call
		for _, one := range b { // byte by byte it ends the same
			c.said([]byte{one})
		}
		if c.Protocol != classify(b[:min(len(b), firstBytes)]) || c.Bytes != int64(len(b)) {
			t.Fatalf("%q in pieces is %q", b, c.Protocol)
		}
		if text := alertInClear(b); text != "" && (len(b) != alertLength || len(text) > 60) {
			t.Fatalf("%q is %q", b, text)
		}
	})
}

func TestGREASE(t *testing.T) {
	var c call
	c.offer([]uint16{0x0a0a, 0x1301, 0xfafa, 0xc02b, 0x0a1a})
	assert.Equal(t, []uint16{0x1301, 0xc02b, 0x0a1a}, c.Ciphers)
	assert.Equal(t, []string{"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "0x0A1A"}, c.CipherNames)
}

// A client of OpenSSL 1.0 offers more than a hundred suites, RC4 and DES last. Whoever keeps the first of them only
// would call its offer sound.
func TestOffersMany(t *testing.T) {
	var c call
	many := []uint16{0x1301}
	for id := uint16(0xc020); id < 0xc020+120; id++ {
		many = append(many, id)
	}
	c.offer(append(many, 0x0005, 0x0009))
	assert.Contains(t, c.Ciphers, uint16(0x0005))
	assert.Contains(t, c.CipherNames, "TLS_RSA_WITH_RC4_128_SHA")
	assert.Len(t, c.Ciphers, len(many)+2)
	assert.Len(t, c.CipherNames, len(many)+2)

	// A hello has room for 32,767 numbers: what is no suite, or is told again, costs no more than a little.
	hostile := make([]uint16, 0, 1<<16)
	for n := range 1 << 16 {
		hostile = append(hostile, uint16(n), 0x0005)
	}
	c.offer(hostile)
	assert.Less(t, len(c.Ciphers), 2000)
	assert.Contains(t, c.Ciphers, uint16(0x0009))
}
