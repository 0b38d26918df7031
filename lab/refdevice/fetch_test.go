package refdevice

import (
	"encoding/binary"
	"net"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	"github.com/stretchr/testify/require"
)

// hostile answers every CoAP request as reply says, by the number of the block asked for.
func hostile(t *testing.T, reply func(number uint32) (block uint32, etag string, size int)) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			ask := pool.NewMessage(t.Context())
			if _, err := ask.UnmarshalWithDecoder(coder.DefaultCoder, b[:n]); err != nil {
				continue
			}
			want, err := ask.GetOptionUint32(message.Block2)
			if err != nil {
				continue
			}
			block, etag, size := reply(want >> 4)
			// RFC 7252 section 3: an acknowledgement 2.05 with the token; options ETag (4), Block2 (23).
			out := []byte{0x60 | byte(len(ask.Token())), byte(codes.Content), 0, 0}
			binary.BigEndian.PutUint16(out[2:], uint16(ask.MessageID()))
			out = append(out, ask.Token()...)
			out = append(append(out, 0x40|byte(len(etag))), etag...)
			out = append(out, 0xD3, 19-13, byte(block>>16), byte(block>>8), byte(block), 0xFF)
			_, _ = pc.WriteTo(append(out, make([]byte, size)...), from)
		}
	}()
	return pc.LocalAddr().String()
}

func TestHostileBlocks(t *testing.T) {
	const more, kib = 8, 6 // the M bit and SZX 6, 1024 bytes (RFC 7959 section 2.2)
	for name, c := range map[string]struct {
		reply func(uint32) (uint32, string, int)
		want  string
	}{
		"without end":        {func(n uint32) (uint32, string, int) { return n<<4 | more | kib, "a", 1024 }, "more than a slot"},
		"another block":      {func(uint32) (uint32, string, int) { return 5<<4 | more | kib, "a", 1024 }, "do not fit together"},
		"short block":        {func(n uint32) (uint32, string, int) { return n<<4 | more | kib, "a", 10 }, "do not fit together"},
		"changed on the way": {func(n uint32) (uint32, string, int) { return n<<4 | more | kib, string(rune('a' + n)), 1024 }, "do not fit together"},
		"growing blocks": {func(n uint32) (uint32, string, int) {
			if n == 0 {
				return more | 2, "a", 64
			}
			return n<<4 | more | kib, "a", 1024
		}, "do not fit together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.coap = hostile(t, c.reply)
			u := w.boot()
			version, refusal := u.update(viaCoAP, nil)
			require.Equal(t, InstalledVersion, version)
			require.Contains(t, refusal, c.want)
		})
	}
}
