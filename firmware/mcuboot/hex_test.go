package mcuboot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func hexLine(kind byte, at uint16, data []byte) string {
	raw := append([]byte{byte(len(data)), byte(at >> 8), byte(at), kind}, data...)
	var sum byte
	for _, c := range raw {
		sum -= c
	}
	return fmt.Sprintf(":%X%02X\r\n", raw, sum)
}

// inHex writes b as imgtool does, from address base.
func inHex(b []byte, base uint32) string {
	var out strings.Builder
	for i := 0; i < len(b); i += 16 {
		at := base + uint32(i)
		if i == 0 || at&0xffff == 0 {
			out.WriteString(hexLine(hexLinear, 0, []byte{byte(at >> 24), byte(at >> 16)}))
		}
		out.WriteString(hexLine(hexData, uint16(at), b[i:min(i+16, len(b))]))
	}
	return out.String() + ":00000001FF\r\n"
}

func TestIntelHex(t *testing.T) {
	b := made(t, fullSpec(), "p256")
	text := inHex(b, 0x0800fff0) // crosses a segment
	require.True(t, detect([]byte(text)))
	img, err := Open([]byte(text), trust(t, "p256"))
	require.NoError(t, err)
	assert.Equal(t, b, img.raw)
	assert.Contains(t, strings.Join(img.Describe().Notes, "\n"), "Intel HEX")
	_, err = img.Tamper(format.Tampered, format.Means{})
	require.ErrorIs(t, err, format.ErrNotApplicable)

	lines := strings.SplitAfter(text, "\n")
	without := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	for name, bad := range map[string]string{
		"gap":                     without(5),
		"no end":                  strings.TrimSuffix(text, ":00000001FF\r\n"),
		"record behind the end":   text + lines[1],
		"wrong checksum":          strings.Replace(text, ":00000001FF", ":00000001FE", 1),
		"wrong length":            strings.Replace(text, ":00000001FF", ":01000001FF", 1),
		"no hex":                  strings.Replace(text, ":00000001FF", ":0000000zFF", 1),
		"unknown record":          hexLine(9, 0, nil) + text,
		"short segment":           hexLine(hexLinear, 0, []byte{1}) + text,
		"empty line":              "\n" + text,
		"one line without an end": ":" + strings.Repeat("00", 100000),
	} {
		_, err := OpenUnverified([]byte(bad))
		assert.ErrorIs(t, err, format.ErrMalformed, name)
	}
	assert.False(t, detect([]byte(":00000001FF\r\n")), "a HEX file of something else")
	assert.False(t, detect([]byte(inHex([]byte("something else, long enough"), 0))))
}
