package esp32

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestOpenRefuses(t *testing.T) {
	good, old := made(t, func(*Spec) {}, "p256"), made(t, v1, "p256")
	img := opened(t, good)
	put := func(at int64, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	for _, tc := range []struct {
		name  string
		image []byte
		edit  func([]byte) []byte
		want  string
	}{
		{"empty", nil, func([]byte) []byte { return nil }, "header"},
		{"header cut", good, func(b []byte) []byte { return b[:23] }, "header"},
		{"magic", good, put(0, 0xe8), "image magic 0xe8"},
		{"no segments", good, put(1, 0), "0 segments"},
		{"17 segments", good, put(1, 17), "17 segments"},
		{"mark of the hash", good, put(23, 2), "mark of the appended hash is 2"},
		{"segment length wraps", good, put(28, 0xf0, 0xff, 0xff, 0xff), "segment 0 of 4294967280 bytes"},
		{"segment length odd", good, put(28, 0x01), "multiple of 4"},
		{"segment reaches behind the end", good, put(28, 0, 0, 1, 0), "reaches behind the"},
		{"one segment more than there are", good, put(1, 16), "segment"},
		{"no room for the checksum", old, func(b []byte) []byte { return b[:opened(t, old).sumAt] }, "checksum and hash end"},
		{"no room for the hash", old, func(b []byte) []byte { return b[:opened(t, old).end-1] }, "checksum and hash end"},
		{"signature sector cut", good, func(b []byte) []byte { return b[:len(b)-1] }, "is cut off after 4095 bytes"},
		{"signature sector one byte", good, func(b []byte) []byte { return b[:img.covered+1] }, "is cut off after 1 bytes"},
		{"bytes behind the sector", good, func(b []byte) []byte { return append(b, 0) }, "1 bytes behind the signature sector"},
		{"padding cut", good, func(b []byte) []byte { return b[:img.end+1] }, "neither padding"},
		{"a sector too far behind", good, func(b []byte) []byte {
			return append(append(bytes.Clone(b[:img.covered]), fill([]byte{0xff}, sectorSize)...), b[img.covered:]...)
		}, "bytes behind the signature sector"},
		{"v1 signature cut", old, func(b []byte) []byte { return b[:len(b)-1] }, "neither padding"},
		{"v1 signature of another version", old, put(int64(len(old)-v1Size), 1), "has version 1"},
		{"bytes behind a v1 signature", old, func(b []byte) []byte { return append(b, 0) }, "neither padding"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := OpenUnverified(format.FromBytes(tc.edit(bytes.Clone(tc.image))))
			require.ErrorIs(t, err, format.ErrMalformed)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestDetect(t *testing.T) {
	for _, g := range goodImages() {
		assert.True(t, detect(format.Input{Source: format.FromBytes(g.bytes(t))}), g.name)
	}
	good := made(t, func(*Spec) {}, "rsa")
	magic := bytes.Clone(good)
	magic[0] = 0xe8
	assert.True(t, detect(format.Input{Source: format.FromBytes(magic)}), "a signature sector tells what it was")
	for what, b := range map[string][]byte{
		"empty": nil, "header cut": good[:20], "magic alone": append([]byte{imageMagic}, make([]byte, 100)...),
		"ESP8266": {0xe9, 1, 2, 0x40, 0x10, 0, 0x10, 0x40, 0, 0, 0x10, 0x40, 0x50, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8},
		"other":   bytes.Repeat([]byte{0xe8}, 2*sectorSize),
	} {
		assert.False(t, detect(format.Input{Source: format.FromBytes(b)}), what)
	}
}

func TestDescriptionIsPrintable(t *testing.T) {
	img := opened(t, made(t, func(s *Spec) { s.Version, s.Project = "1.0\x1b[2J", "a\xffb\x00c" }, "p256"))
	assert.Equal(t, "1.0\ufffd[2J", img.Version())
	assert.Equal(t, "a\ufffdb", img.desc.project)
	// Elsewhere than at the head of the first segment it is none: ESP-IDF does not look there.
	spec := Spec{NoDescription: true, Payload: append([]byte("data"), fullSpec().description()...)}
	b, err := Build(spec)
	require.NoError(t, err)
	assert.Nil(t, opened(t, b).desc)
}

func TestBuildRefuses(t *testing.T) {
	key, other := signer(t, "p256"), signer(t, "p384")
	for want, build := range map[string]func() ([]byte, error){
		"4 keys are too many":  func() ([]byte, error) { return Build(fullSpec(), key, key, key, key) },
		"2 keys are too many":  func() ([]byte, error) { return Build(Spec{V1: true}, key, key) },
		"takes a key on P-256": func() ([]byte, error) { return Build(Spec{V1: true}, other) },
		"17 segments, at most": func() ([]byte, error) { return Build(Spec{Segments: make([]Segment, 16)}, key) },
	} {
		_, err := build()
		assert.ErrorContains(t, err, want)
	}
}

func TestChips(t *testing.T) {
	for text, want := range map[string]Chip{"5": ChipC3, "esp32-c3": ChipC3, "ESP32": ChipESP32, "77": 77} {
		c, err := parseChip(text)
		require.NoError(t, err)
		assert.Equal(t, want, c)
	}
	_, err := parseChip("65536")
	assert.Error(t, err)
	for text, want := range map[string]Revision{"1.1": 101, "v0.2": 2, "99.99": 9999} {
		r, err := parseRevision(text)
		require.NoError(t, err)
		assert.Equal(t, want, r)
	}
	for _, bad := range []string{"", "1", "1.100", "-1.0", "1.x", "600.0", "1.1.1"} {
		_, err := parseRevision(bad)
		assert.Error(t, err, bad)
	}
	assert.Equal(t, "v1.1", Revision(101).String())
	assert.Equal(t, "chip id 77", Chip(77).String())
}
