package analyze

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCoAPOverTCP reads what goes there only: several blocks in a message, messages that nobody could hold, another port.
func TestCoAPOverTCP(t *testing.T) {
	digest := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	upload, sent := coapBERT(3, 2048, 1024, 4096, 700)
	again := slices.Insert(slices.Clone(upload), 4, upload[2], upload[3])
	holed := slices.Delete(slices.Clone(upload), 4, 6)
	uneven, _ := coapBERT(3, 2000, 1024)
	huge := bytes.Repeat([]byte("firmware"), 200<<10/8)
	path := coapOption(11, []byte("fw"))
	long := []turn{{toServer, coapStreamMessage(3, []byte{1}, path, huge)}, {toClient, coapStreamMessage(0x44, []byte{1}, nil, nil)},
		{toServer, coapStreamMessage(1, []byte{2}, path, nil)}, {toClient, coapStreamMessage(0x45, []byte{2}, nil, huge)}}
	whole := Body{Bytes: Count(len(sent)), Blocks: 8, Whole: true, SHA256: digest(sent)}
	inOne := Body{Bytes: Count(len(huge)), Whole: true, SHA256: digest(huge)}
	for name, c := range map[string]struct {
		port      uint16
		turns     []turn
		sent, got []Body
		malformed Count
	}{
		"an upload":            {5683, upload, []Body{whole}, []Body{{}}, 0},
		"on another port":      {7000, upload, []Body{whole}, []Body{{}}, 0},
		"sent again":           {5683, again, []Body{whole}, []Body{{}}, 0},
		"one is missing":       {5683, holed, []Body{{Bytes: 2048, Blocks: 2}}, []Body{{}}, 0},
		"no multiple of 1024":  {5683, uneven, []Body{{}}, []Body{{}}, 0},
		"longer than is held":  {5683, long, []Body{inOne, {}}, []Body{{}, inOne}, 0},
		"a long token":         {5683, []turn{{toServer, []byte{0x0f, 1}}}, nil, nil, 1},
		"options without end":  {5683, []turn{{toServer, coapStreamMessage(1, nil, bytes.Repeat([]byte{0}, 100<<10), nil)}}, nil, nil, 1},
		"no code of a message": {5683, []turn{{toServer, []byte{0x00, 0x21}}}, nil, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := analyzed(t, Options{}, func(w *world) { w.tcp(ends(c.port), c.turns) })
			require.Len(t, a.CoAP, len(c.sent))
			for i, e := range a.CoAP {
				assert.Equal(t, []any{"tcp", "/fw", c.sent[i], c.got[i]}, []any{e.Transport, e.Path, e.Sent, e.Received})
			}
			assert.Equal(t, c.malformed, a.Totals["coap malformed"])
			assert.Equal(t, "CoAP", a.Flows[0].Protocol)
		})
	}
	// What a lost frame took is no part of a payload that is whole.
	a := analyzed(t, Options{}, func(w *world) {
		w.lose = 30
		w.tcp(ends(5683), long[:2])
	})
	require.Len(t, a.CoAP, 1)
	assert.False(t, a.CoAP[0].Sent.Whole)
	assert.Empty(t, a.CoAP[0].Sent.SHA256)
}

// coapStreamMessage writes a message as it goes over TCP (RFC 8323, section 3.2).
func coapStreamMessage(code byte, token, options, payload []byte) []byte {
	body := options
	if len(payload) > 0 {
		body = append(append(body[:len(body):len(body)], 0xff), payload...)
	}
	n, size := len(body), byte(len(token))
	var head []byte
	switch {
	case n < 13:
		head = []byte{byte(n)<<4 | size}
	case n < 269:
		head = []byte{13<<4 | size, byte(n - 13)}
	case n < 65805:
		head = binary.BigEndian.AppendUint16([]byte{14<<4 | size}, uint16(n-269))
	default:
		head = binary.BigEndian.AppendUint32([]byte{15<<4 | size}, uint32(n-65805))
	}
	return append(append(append(head, code), token...), body...)
}

// coapSettings are those of an end that understands blocks (RFC 8323, section 5.3).
func coapSettings() []byte {
	return coapStreamMessage(0xe1, nil, []byte{0x23, 0x01, 0x00, 0x00, 0x20}, nil)
}

// coapBERT is an upload under one path over TCP, in messages of several blocks (RFC 8323, section 6): of so many bytes each.
func coapBERT(token byte, sizes ...int) (turns []turn, payload []byte) {
	turns = []turn{{toServer, coapSettings()}, {toClient, coapSettings()}}
	for i, size := range sizes {
		more, code := byte(8), byte(0x5f)
		if i == len(sizes)-1 {
			more, code = 0, 0x44
		}
		v := len(payload)/1024<<4 | 7
		part := make([]byte, size)
		for j := range part {
			part[j] = byte(i + j>>8)
		}
		payload = append(payload, part...)
		option := []byte{byte(v >> 8), byte(v) | more}
		turns = append(turns,
			turn{toServer, coapStreamMessage(3, []byte{token, byte(i)}, append(append(coapOption(11, []byte("fw")), 0xd2, 27-11-13), option...), part)},
			turn{toClient, coapStreamMessage(code, []byte{token, byte(i)}, append([]byte{0xd2, 27 - 13}, option...), nil)})
	}
	return turns, payload
}
