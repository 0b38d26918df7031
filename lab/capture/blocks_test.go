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

// streamBlock is a message over TCP (RFC 8323) with a block option of 16 bytes, or BERT.
func streamBlock(code byte, option, number, size int, token, payload string) []byte {
	body := append([]byte{0xd0 | 3, byte(option - 13)}, byte(number>>12), byte(number>>4), byte(number<<4)|8|byte(size))
	body = append(append(body, 0xff), payload...)
	head := []byte{0xe0 | byte(len(token)), byte((len(body) - 269) >> 8), byte(len(body) - 269)}
	if len(body) < 269 {
		head = []byte{0xd0 | byte(len(token)), byte(len(body) - 13)}
	}
	return append(append(append(head, code), token...), body...)
}

func TestBlocksAreJoinedOverTCP(t *testing.T) {
	const mark, settings, bert = "MARK-7f3a9c", "\x30\xe1\x22\x10\x00", 7
	small := strings.Repeat("x", 10) + mark + strings.Repeat("y", 27)
	large := strings.Repeat("x", 3*1024-5) + mark + strings.Repeat("y", 2*1024-6)
	put := func(n int) string { return string(streamBlock(3, 27, n, 0, fmt.Sprint(n), small[n*16:n*16+16])) }
	content := string(streamBlock(69, 23, 0, bert, "a", large[:3*1024])) + string(streamBlock(69, 23, 3, bert, "b", large[3*1024:]))
	long := string(streamBlock(3, 27, 0, 0, "a", "")) // its payload is missing
	for name, c := range map[string]struct {
		port   uint16
		stream string
		want   bool
	}{
		"a request":                 {5683, put(0) + put(1), true},
		"after settings":            {5683, settings + put(0) + put(1), true},
		"on another port":           {7000, settings + put(0) + put(1), true},
		"no CoAP":                   {7000, put(0) + put(1), false},
		"several blocks in one":     {5683, content, true},
		"one is missing":            {5683, put(0) + put(2), false},
		"no message between":        {5683, put(0) + "\x0f\x00" + put(1), false},
		"no message before":         {5683, long + put(0) + put(1), false},
		"a message that is skipped": {5683, "\xf0\x00\x08\x00\x00\x03" + strings.Repeat("\xff", 8<<16+65805) + put(0) + put(1), true},
	} {
		for _, size := range []int{1, 7, 1460} {
			if size < 100 && len(c.stream) > 1<<14 {
				continue
			}
			var frames [][]byte
			for at := 0; at < len(c.stream); at += size {
				frames = append(frames, tcpFrame(t, 40000, c.port, uint32(at+1), false, []byte(c.stream[at:min(len(c.stream), at+size)])))
			}
			if len(frames) > 1 && len(frames) < 100 {
				frames[0], frames[1] = frames[1], frames[0] // the second overtakes the first
			}
			if size == 1 && c.port != 5683 {
				continue // what it is is told by the first segment
			}
			found := false
			for _, p := range unpack(t, frames...) {
				found = found || bytes.Contains(p, []byte(mark))
			}
			assert.Equal(t, c.want, found, "%s, segments of %d bytes", name, size)
		}
	}
}
