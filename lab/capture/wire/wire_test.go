package wire

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFingerprints takes the examples of the fingerprints' own descriptions (FoxIO's JA4.md; salesforce/ja3).
func TestFingerprints(t *testing.T) {
	chrome := ClientHello{
		Version:    0x0303,
		Versions:   []uint16{0x7a7a, 0x0304, 0x0303},
		Ciphers:    []uint16{0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		Extensions: []uint16{0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015},
		Signatures: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		ALPN:       []string{"h2", "http/1.1"},
	}
	assert.Equal(t, "t13d1516h2_8daaf6152771_e5627efa2ab1", chrome.JA4())
	old := ClientHello{
		Version: 769, Ciphers: []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4}, Extensions: []uint16{0, 10, 11},
		Groups: []uint16{23, 24, 25}, PointFormats: []byte{0},
	}
	assert.Equal(t, "ada70206e40642a3e4461f35503241d5", old.JA3())
	bare := ClientHello{Version: 769, Ciphers: []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}}
	assert.Equal(t, "de350869b8c85de67a350c8d186f11e6", bare.JA3())
	assert.Equal(t, "t10i110000_"+short(hexes([]uint16{3, 4, 5, 6, 9, 10, 18, 19, 98, 99, 100}))+"_000000000000", bare.JA4())
	for want, h := range map[string]ClientHello{
		"00": {}, "hh": {ALPN: []string{"h"}}, "6d": {ALPN: []string{"k\xad"}}, "2f": {ALPN: []string{"\x20/\x1f"}},
	} {
		assert.Equal(t, want, h.ja4ALPN())
	}
	assert.Equal(t, "dd2i000000_000000000000_000000000000", (&ClientHello{DTLS: true, Version: 0xfefd}).JA4())
}

func TestMQTTForms(t *testing.T) {
	for name, c := range map[string]struct {
		b          []byte
		head, body int
		ok         bool
	}{
		"nothing": {nil, 0, MQTTMore, true}, "one byte": {[]byte{0x30}, 0, MQTTMore, true}, "short": {[]byte{0xc0, 0}, 2, 0, true},
		"two bytes of length": {[]byte{0x30, 0x80, 1}, 3, 128, true}, "length goes on": {[]byte{0x30, 0x80}, 0, MQTTMore, true},
		"most": {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 5, 268435455, true}, "too long": {[]byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}, 0, 0, false},
	} {
		head, body, ok := MQTTPacket(c.b)
		assert.Equal(t, []any{c.head, c.body, c.ok}, []any{head, body, ok}, name)
	}
	// MQTT 5: a user property and a subscription identifier before the alias.
	properties := []byte{0x26, 0, 1, 'k', 0, 1, 'v', 0x0b, 0x81, 1, 0x23, 0, 7}
	assert.EqualValues(t, 7, TopicAlias(properties))
	assert.Zero(t, TopicAlias(properties[:len(properties)-1]))
	p, ok := ParseMQTTPublish(0x33, append([]byte{0, 1, 't', 0, 9, byte(len(properties))}, append(properties, "payload"...)...), 5)
	require.True(t, ok)
	assert.Equal(t, MQTTPublish{Topic: []byte("t"), QoS: 1, Retain: true, Alias: 7, Overhead: 6 + len(properties)}, p)
	_, ok = ParseMQTTPublish(0x36, []byte{0, 1, 't'}, 4)
	assert.False(t, ok, "there is no QoS 3")
}

func TestCoAPForms(t *testing.T) {
	b := []byte{0x42, 2, 0x12, 0x34, 7, 8, 0x39, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 0x30, 0x53, 'a', 'b', 'c', 0x01, 'd', 0x11, 50, 0xd1, 27 - 12 - 13, 0x1a, 0xff, 'x'}
	m, ok := ParseCoAP(b)
	require.True(t, ok)
	assert.Equal(t, []any{"/abc/d", 50, 0, Block{Set: true, Num: 1, More: true, Size: 64}, "x"}, []any{m.Path, m.ContentFormat, m.Observe, m.Block1, string(m.Payload)})
	assert.Equal(t, "POST", CoAPMethod(m.Code))
	_, ok = ParseCoAP(append(b[:len(b)-1:len(b)-1], []byte{}...))
	assert.False(t, ok, "a marker without payload")
	for _, length := range []int{0, 12, 13, 268, 269, 70000} {
		body := make([]byte, length)
		if length > 0 {
			body[0] = 0xff
		}
		frame := coapTCP(body)
		head, size, more := CoAPFrame(frame)
		assert.False(t, more)
		assert.Equal(t, len(frame), head+size, length)
		m, ok := ParseCoAPTCP(frame)
		assert.Equal(t, length != 1, ok, length)
		assert.Equal(t, "2.05", CoAPCode(m.Code))
		assert.Equal(t, []byte{9}, m.Token)
	}
}

func TestCoAPOverTCP(t *testing.T) {
	for text, want := range map[string]bool{
		"\x40\xe1\x23\x10\x00\x00": true, "\x50\xe1\x23\x10\x00\x00\x20...": true, "\x20\xe1\x21\x10": true, "\x10\xe1\x40": true,
		"": false, "\x40": false, "\x00\xe1": false, "\x41\xe1\x01\x23\x10\x00\x00": false, "\x40\xe2\x23\x10\x00\x00": false, "\x40\xe1\x23\x10\x00": false,
		"\x40\xe1\x33\x10\x00\x00": false, "\x40\xe1\x25\x10\x00\x00": false, "\x20\xe1\x22\x10": false, "\x20\xe1\xff\x10": false,
	} {
		assert.Equal(t, want, IsCoAPSettings([]byte(text)), "%x", text)
	}
	m, ok := ParseCoAPTCP([]byte("\xd0\x00\x45\xd1\x0a\x3f\xff..........")) // block 3 of BERT, and more
	require.True(t, ok)
	assert.Equal(t, Block{Set: true, Num: 3, More: true, Size: 1024, BERT: true}, m.Block2)
	assert.Equal(t, []int{1, 1, 1, 2, 4}, []int{m.Block2.Count(0), m.Block2.Count(1), m.Block2.Count(1024), m.Block2.Count(1025), m.Block2.Count(4096)})
	_, body, _ := CoAPFrame([]byte{0xf0, 0xff, 0xff, 0xff, 0xff, 1})
	assert.Equal(t, maxLength, body)
	for _, text := range []string{"\x00", "\x09\x01", "\x00\x21", "\x00\xc1", "\x08\x01abc"} {
		_, ok := ParseCoAPTCP([]byte(text))
		assert.False(t, ok, "%x", text)
	}
}

func coapTCP(body []byte) []byte {
	n, token := len(body), byte(1)
	var b []byte
	switch {
	case n < 13:
		b = []byte{byte(n)<<4 | token}
	case n < 269:
		b = []byte{13<<4 | token, byte(n - 13)}
	case n < 65805:
		b = binary.BigEndian.AppendUint16([]byte{14<<4 | token}, uint16(n-269))
	default:
		b = binary.BigEndian.AppendUint32([]byte{15<<4 | token}, uint32(n-65805))
	}
	return append(append(b, 0x45, 9), body...)
}

func TestVersionsHaveNames(t *testing.T) {
	for v, want := range map[uint16]string{0x0300: "SSL 3.0", 0x0304: "TLS 1.3", 0xfefd: "DTLS 1.2", 0x1234: "0x1234"} {
		assert.Equal(t, want, TLSVersion(v))
	}
}

// FuzzWire gives bytes to every reader: none may panic, and none may claim what is not there.
func FuzzWire(f *testing.F) {
	f.Add([]byte{0x42, 2, 0x12, 0x34, 7, 8, 0x39, 'e'})
	f.Add(append([]byte{3, 3}, make([]byte, 80)...))
	f.Add([]byte{0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 5, 0xff, 0, 9, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, link := range []int{LinkNull, LinkEthernet, LinkRaw, LinkLoop, LinkSLL, LinkSLL2, LinkIPv4, 195} {
			var p Packet
			if p.Parse(link, b); len(p.Payload) > len(b) {
				t.Fatalf("link %d: %d bytes of payload in %d", link, len(p.Payload), len(b))
			}
		}
		for _, dtls := range []bool{false, true} {
			h, _ := ParseClientHello(b, dtls)
			h.JA3()
			h.JA4()
		}
		ParseServerHello(b)
		Certificates(b)
		ParseCoAP(b)
		if _, body, _ := CoAPFrame(b); IsCoAPSettings(b) && body > len(b) {
			t.Fatal("settings that are not there")
		}
		if len(b) > 0 {
			ParseCoAPTCP(b)
			ParseMQTTPublish(b[0], b[1:], b[0]&7)
			head, body, ok := MQTTPacket(b)
			if ok && body != MQTTMore && head > len(b) {
				t.Fatal("a head longer than what is there")
			}
		}
		ParseMQTTConnect(b)
		TopicAlias(b)
		ARPAddresses(b)
	})
}
