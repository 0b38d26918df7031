package firmware_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
	"assay/firmware/carrier"
	"assay/firmware/format"
	"assay/firmware/mcuboot"
)

func TestFrontDoor(t *testing.T) {
	key := signers(t)["p256"]
	keys, err := firmware.ParseTrust(firmware.Anchor{From: "maker.pem", Bytes: publicPEM(t, key.Public())})
	require.NoError(t, err)
	b, err := mcuboot.Build(mcuboot.Spec{Version: mcuboot.Version{Major: 1, Minor: 1}, SecurityCounter: 2, Payload: []byte("program")}, key)
	require.NoError(t, err)
	genuine := firmware.FromBytes(b)

	img, err := firmware.Open(genuine, keys)
	require.NoError(t, err)
	assert.Equal(t, "1.1.0", img.Describe().Version)

	report, err := firmware.Verify(genuine, keys)
	require.NoError(t, err)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"verified":true,"signature":"ecdsa-p256-sha256","key":{"from":"maker.pem","algorithm":"ecdsa-p256","fingerprint":"`)

	for variant, want := range map[string]error{
		firmware.Tampered:       firmware.ErrBadSignature,
		firmware.TamperedPlain:  firmware.ErrBadHash,
		firmware.Unsigned:       firmware.ErrUnsigned,
		firmware.WrongKey:       firmware.ErrNoTrustedKey,
		firmware.WrongKeyForged: firmware.ErrBadSignature,
	} {
		require.True(t, slices.Contains(firmware.Variants(), variant))
		made, err := firmware.Tamper(genuine, variant, firmware.Means{})
		require.NoError(t, err)
		assert.Equal(t, variant, made.Manifest.Variant)
		bad := firmware.FromBytes(made.Bytes)
		_, err = firmware.Open(bad, keys)
		require.ErrorIs(t, err, want)
		report, err := firmware.Verify(bad, keys)
		require.ErrorIs(t, err, want)
		assert.Equal(t, "1.1.0", report.Image.Version, "the report tells what it saw")
	}
	_, err = firmware.Tamper(genuine, "no such", firmware.Means{})
	require.ErrorIs(t, err, firmware.ErrUnknownVariant)

	for _, content := range [][]byte{nil, {1, 2, 3}, []byte("not an image, whatever its name")} {
		b := firmware.FromBytes(content)
		_, err = firmware.OpenUnverified(b)
		require.ErrorIs(t, err, firmware.ErrUnknownFormat)
		_, err = firmware.Open(b, keys)
		require.ErrorIs(t, err, firmware.ErrUnknownFormat)
		_, err = firmware.Verify(b, keys)
		require.ErrorIs(t, err, firmware.ErrUnknownFormat)
		_, err = firmware.Tamper(b, firmware.Tampered, firmware.Means{})
		require.ErrorIs(t, err, firmware.ErrUnknownFormat)
	}
	_, err = firmware.Open(genuine, firmware.Trust{})
	require.ErrorIs(t, err, firmware.ErrNoTrustedKey)
	img, err = firmware.OpenUnverified(firmware.FromBytes(b[:40]))
	require.ErrorIs(t, err, firmware.ErrMalformed)
	require.True(t, img == nil)
}

func TestCompare(t *testing.T) {
	older, newer := firmware.Facts{Format: "mcuboot", Version: "1.9.0"}, firmware.Facts{Format: "mcuboot", Version: "1.10.0"}
	n, err := firmware.Compare(older, newer)
	require.NoError(t, err)
	assert.Equal(t, -1, n)
	for _, c := range []struct {
		format, a, b string
		want         int
	}{
		{"mcuboot", "v1.9.0", "1.9.0", 0}, {"mcuboot", "1.9.0", "V1.10.0", -1}, {"mcuboot", "1.9.0+0", "v1.9.0", 0},
		{"cms", "v1.9", "1.10", -1}, {"cms", "1.9", "v1.9", 0}, {"cms", "v1.9", "v1.10", -1}, {"cms", "vega", "1.9", 1},
	} {
		n, err := firmware.Compare(firmware.Facts{Format: c.format, Version: c.a}, firmware.Facts{Format: c.format, Version: c.b})
		require.NoError(t, err)
		assert.Equal(t, c.want, n, "%v", c)
	}
	_, err = firmware.Compare(older, firmware.Facts{Format: "other", Version: "1"})
	require.ErrorIs(t, err, firmware.ErrUnknownFormat)
}

func TestFormatsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range firmware.Formats() {
		assert.NotEmpty(t, f.Name)
		assert.False(t, seen[f.Name], "format %s twice", f.Name)
		seen[f.Name] = true
		for _, missing := range []bool{f.Detect == nil, f.OpenUnverified == nil, len(f.Variants) == 0} {
			assert.False(t, missing, "format %s", f.Name)
		}
		for _, v := range f.Variants {
			assert.Contains(t, firmware.Variants(), v, "format %s", f.Name)
		}
		img, err := f.OpenUnverified(firmware.FromBytes(nil))
		require.ErrorIs(t, err, format.ErrMalformed)
		require.True(t, img == nil, "format %s returns an image with an error", f.Name)
	}
}

// TestCarriedImages: what carries an image is opened as the image, under the same trust.
func TestCarriedImages(t *testing.T) {
	key := signers(t)["p256"]
	trust, err := firmware.ParseTrust(firmware.Anchor{From: "maker.pem", Bytes: publicPEM(t, key.Public())})
	require.NoError(t, err)
	b, err := mcuboot.Build(mcuboot.Spec{Version: mcuboot.Version{Major: 1, Minor: 1}, SecurityCounter: 2, Payload: []byte("program")}, key)
	require.NoError(t, err)
	gz, err := carrier.Gzip(b)
	require.NoError(t, err)
	for name, carried := range map[string][]byte{
		"hex": carrier.HEX(0x0800fff0, b), "srec": carrier.SRecord(0x8000, b), "ti-txt": carrier.TI(0, b), "uf2": carrier.UF2(0x2000, 1, b), "gzip": gz,
	} {
		r, err := firmware.Verify(firmware.FromBytes(carried), trust)
		require.NoError(t, err, name)
		assert.True(t, r.Verified)
		assert.Equal(t, "mcuboot", r.Image.Format)
		assert.Equal(t, "1.1.0", r.Image.Version)
		_, err = firmware.Verify(firmware.FromBytes(carried), firmware.Trust{})
		require.ErrorIs(t, err, firmware.ErrNoTrustedKey, name)
	}
}

// TestSlotInHex: imgtool writes a slot that is marked for swapping as its image and its trailer,
// with a hole between them. A hole in the image itself is another thing.
func TestSlotInHex(t *testing.T) {
	key := signers(t)["p256"]
	trust, err := firmware.ParseTrust(firmware.Anchor{From: "maker.pem", Bytes: publicPEM(t, key.Public())})
	require.NoError(t, err)
	payload := bytes.Repeat([]byte{0xff}, 512)
	b, err := mcuboot.Build(mcuboot.Spec{Version: mcuboot.Version{Major: 1}, Payload: payload}, key)
	require.NoError(t, err)
	hexOf := func(parts map[uint32][]byte) []byte {
		var all string
		for at, part := range parts {
			all += strings.Replace(string(carrier.HEX(at, part)), ":00000001FF\r\n", "", 1)
		}
		return []byte(all + ":00000001FF\r\n")
	}
	trailer := []byte("\x01\xff\xff\xff\xff\xff\xff\xff\x77\xc2\x95\xf3\x60\xd2\xef\x7f\x35\x52\x50\x0f\x2c\xb6\x79\x80")
	r, err := firmware.Verify(firmware.FromBytes(hexOf(map[uint32][]byte{0x8000: b, 0x10000 - 24: trailer})), trust)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(r.Image.Notes, " "), "erased flash")

	_, err = firmware.Verify(firmware.FromBytes(hexOf(map[uint32][]byte{0x8000: b[:64], 0x8100: b[256:]})), trust)
	require.ErrorIs(t, err, firmware.ErrUnsigned, "erased bytes of the program are left out")
	_, err = firmware.Verify(firmware.FromBytes(hexOf(map[uint32][]byte{0x8000: b, 0x10000: []byte("a boot loader")})), trust)
	require.ErrorIs(t, err, firmware.ErrUnsigned)
}

// TestFilledUF2: uf2conv fills the last block with zeros, which are none of the image's.
func TestFilledUF2(t *testing.T) {
	key := signers(t)["ed25519"]
	trust, err := firmware.ParseTrust(firmware.Anchor{From: "maker.pem", Bytes: publicPEM(t, key.Public())})
	require.NoError(t, err)
	for size := range 40 {
		b, err := mcuboot.Build(mcuboot.Spec{Version: mcuboot.Version{Major: 1}, Payload: make([]byte, 300+size)}, key)
		require.NoError(t, err)
		if len(b)%256 == 0 {
			continue // nothing to fill
		}
		filled := append(b, make([]byte, -len(b)&255)...)
		r, err := firmware.Verify(firmware.FromBytes(carrier.UF2(0x2000, 1, filled)), trust)
		require.NoError(t, err, size)
		assert.Contains(t, strings.Join(r.Image.Notes, " "), "filling of the last block")

		_, err = firmware.Verify(firmware.FromBytes(carrier.UF2(0x2000, 1, append(filled, make([]byte, 256)...))), trust)
		require.ErrorIs(t, err, firmware.ErrTrailing, "a whole block more")
		_, err = firmware.Verify(firmware.FromBytes(carrier.HEX(0x2000, filled)), trust)
		require.ErrorIs(t, err, firmware.ErrTrailing, "another carrier has no blocks to fill")
	}
}
