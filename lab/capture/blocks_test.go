package capture

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blockOf is a message with a block option (RFC 7959, section 2.2) of blocks of 16 bytes.
func blockOf(code byte, option, number int, token, payload string) []byte {
	b := append([]byte{0x40 | byte(len(token)), code, 0, byte(number)}, token...)
	b = append(b, 0xd0|3, byte(option-13)) // an extended delta, three bytes of value
	b = append(b, byte(number>>12), byte(number>>4), byte(number<<4)|8)
	return append(append(b, 0xff), payload...)
}

func TestBlocksAreJoined(t *testing.T) {
	const mark = "MARK-7f3a9c"
	body := strings.Repeat("x", 10) + mark + strings.Repeat("y", 27) // the mark lies over the first border
	part := func(n int) string { return body[n*16 : min(len(body), n*16+16)] }
	put := func(n int, token string) []byte { return udpFrame(t, 40000, 5683, blockOf(3, 27, n, token, part(n))) }
	content := func(n int, token string) []byte { return udpFrame(t, 5683, 40000, blockOf(69, 23, n, token, part(n))) }
	found := func(frames ...[]byte) bool {
		for _, p := range unpack(t, frames...) {
			if bytes.Contains(p, []byte(mark)) {
				return true
			}
		}
		return false
	}
	for name, c := range map[string]struct {
		frames [][]byte
		want   bool
	}{
		"a request":             {[][]byte{put(0, "a"), put(1, "a"), put(2, "a")}, true},
		"an answer":             {[][]byte{content(0, "a"), content(1, "a")}, true},
		"a token for each":      {[][]byte{put(0, "a"), put(1, "b"), put(2, "c")}, true},
		"sent again":            {[][]byte{put(0, "a"), put(0, "a"), put(1, "a"), put(1, "a")}, true},
		"out of order":          {[][]byte{put(1, "a"), put(0, "b")}, true},
		"two at once":           {[][]byte{put(0, "a"), udpFrame(t, 40000, 5683, blockOf(3, 27, 0, "b", "another body ...")), put(1, "a")}, true},
		"one is missing":        {[][]byte{put(0, "a"), put(2, "a")}, false},
		"of somebody else":      {[][]byte{put(0, "a"), udpFrame(t, 40001, 5683, blockOf(3, 27, 1, "a", part(1)))}, false},
		"request's other block": {[][]byte{udpFrame(t, 1, 2, blockOf(3, 23, 0, "a", part(0))), udpFrame(t, 1, 2, blockOf(3, 23, 1, "a", part(1)))}, false},
	} {
		assert.Equal(t, c.want, found(c.frames...), name)
	}
	// Over four blocks, and each block by itself as well.
	long := "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._"
	var frames [][]byte
	for n := range 4 {
		frames = append(frames, udpFrame(t, 1, 2, blockOf(2, 27, n, fmt.Sprint(n), long[n*16:n*16+16])))
	}
	all := text(unpack(t, frames...))
	assert.Contains(t, all, long)
}

func TestBlocksAreBounded(t *testing.T) {
	b := newBlocks(func([]byte) bool { return true })
	for n := range 4 * maxTransfers {
		token := fmt.Sprintf("%04d", n)
		for i := range 200 {
			b.put(transfer{token: token}, i*16, []byte("x"))
		}
		require.LessOrEqual(t, len(b.order), maxTransfers)
		require.LessOrEqual(t, b.held, maxBodies+maxBlock1024)
		require.Equal(t, len(b.order), len(b.known))
	}
	for _, o := range append([]transfer(nil), b.order...) {
		b.forget(o)
	}
	assert.Zero(t, b.held)
}
