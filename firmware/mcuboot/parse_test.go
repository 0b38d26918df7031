package mcuboot

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestOpenRefuses(t *testing.T) {
	good := made(t, fullSpec(), "p256")
	img, err := OpenUnverified(good)
	require.NoError(t, err)
	protectedAt, covered, end := img.protectedAt, img.covered, img.end
	le := binary.LittleEndian
	put16 := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint16(b[at:], v); return b }
	}
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint32(b[at:], v); return b }
	}
	unprotected := func(edit func([]TLV) []TLV) func([]byte) []byte {
		return func(b []byte) []byte { return rebuilt(t, b, edit) }
	}
	for _, tc := range []struct {
		name string
		edit func([]byte) []byte
		want string
	}{
		{"empty", func([]byte) []byte { return nil }, "0 bytes are no header"},
		{"header cut", func(b []byte) []byte { return b[:31] }, "31 bytes are no header"},
		{"version 1", put32(0, headerMagicV1), "version 1"},
		{"another magic", put32(0, 0x12345678), "header magic 0x12345678"},
		{"header size zero", put16(8, 0), "header size 0"},
		{"header size 31", put16(8, 31), "header size 31"},
		{"image size wraps", put32(12, 0xffffffff), "exceed 32 bits"},
		{"image size behind the end", put32(12, 1<<20), "reach behind"},
		{"two ciphers", put32(16, FlagAES128|FlagAES256), "two ciphers"},
		{"protected size zero", put16(10, 0), "unprotected area begins with 0x6908"},
		{"protected size too small", put16(10, uint16(covered-protectedAt-1)), "header says"},
		{"protected magic", put16(protectedAt, 0x6907), "protected area begins with 0x6907"},
		{"protected total below its head", put16(protectedAt+2, 3), "protected area says 3 bytes"},
		{"protected total huge", put16(protectedAt+2, 0xffff), "protected area says 65535 bytes"},
		{"protected TLV too long", put16(protectedAt+6, 0xffff), "reaches behind the protected area"},
		{"unprotected magic", put16(covered, 0x6908), "unprotected area begins with 0x6908"},
		{"unprotected total huge", put16(covered+2, 0xffff), "unprotected area says 65535 bytes"},
		{"unprotected total cuts a TLV", put16(covered+2, uint16(end-covered-1)), "reaches behind the unprotected area"},
		{"unprotected total cuts a head", func(b []byte) []byte { return put16(covered+2, 6)(b) }, "ends inside a TLV head"},
		{"cut in the payload", func(b []byte) []byte { return b[:200] }, "reach behind"},
		{"cut before the unprotected area", func(b []byte) []byte { return b[:covered+2] }, "unprotected area is cut off"},
		{"cut in the signature", func(b []byte) []byte { return b[:end-1] }, "unprotected area says"},
		{"unprotected counter", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypeSecurityCount, make([]byte, 4)}) }), "SEC_CNT in the wrong area"},
		{"unprotected boot record", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypeBootRecord, nil}) }), "BOOT_RECORD in the wrong area"},
		{"unprotected unknown", unprotected(func(x []TLV) []TLV { return append(x, TLV{0x7f, nil}) }), "TLV 0x007f in the wrong area"},
		{"second hash", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypeSHA256, make([]byte, 32)}) }), "SHA256 twice"},
		{"second kind of hash", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypeSHA512, make([]byte, 64)}) }), "2 hashes"},
		{"second kind of signature", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypeEd25519, make([]byte, 64)}) }), "2 signatures"},
		{"short hash", unprotected(func(x []TLV) []TLV { return replace(x, TypeSHA256, make([]byte, 31)) }), "SHA256 of 31 bytes"},
		{"pure zero", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypePure, []byte{0}}) }), "SIG_PURE is 0"},
		{"key of a cipher in clear", unprotected(func(x []TLV) []TLV { return append(x, TLV{TypeEncEC256, nil}) }), "payload is in clear"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := OpenUnverified(tc.edit(bytes.Clone(good)))
			require.ErrorIs(t, err, format.ErrMalformed)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestOpenRefusesProtectedTLVs(t *testing.T) {
	for name, tlvs := range map[string][]TLV{
		"counter twice":    {{TypeSecurityCount, make([]byte, 4)}},
		"counter too long": {{TypeVendorUUID, make([]byte, 16)}, {TypeClassUUID, make([]byte, 15)}},
		"hash":             {{TypeSHA256, make([]byte, 32)}},
		"signature":        {{TypeECDSA, []byte{1}}},
		"key hash":         {{TypeKeyHash, make([]byte, 32)}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Build(Spec{SecurityCounter: 1, Payload: []byte{1}, Protected: tlvs}, signer(t, "p256"))
			require.ErrorIs(t, err, format.ErrMalformed, "the writer refuses what the reader refuses")
		})
	}
}

func TestTail(t *testing.T) {
	good := made(t, fullSpec(), "p256")
	fill := func(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }
	confirmed := fill(64)
	confirmed[64-8] = 1
	aligned := append(fill(80), "\x20\x00"+swapMagicTail...)
	aligned[96-2*32] = 1 // the magic is alone in the last 32 bytes
	zeros := append(make([]byte, 64), swapMagic...)
	zeros[64-8] = 1
	for _, tc := range []struct {
		name    string
		tail    []byte
		ok      bool
		trailer bool
	}{
		{"nothing", nil, true, false},
		{"erased", fill(100), true, false},
		{"marked for swapping", append(fill(64), swapMagic...), true, true},
		{"marked and confirmed", append(bytes.Clone(confirmed), swapMagic...), true, true},
		{"marked, alignment 32", aligned, true, true},
		{"confirmed, of zeros", zeros, true, true},
		{"zeros and ones before the mark", append(append(fill(8), make([]byte, 8)...), swapMagic...), false, false},
		{"only the mark", []byte(swapMagic), true, true},
		{"a zero", []byte{0}, false, false},
		{"text behind the fill", append(fill(64), "evil"...), false, false},
		{"text before the mark", append([]byte("evil"+string(fill(60))), swapMagic...), false, false},
		{"image_ok of another value", append(append(fill(56), 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), swapMagic...), false, false},
		{"mark of an unknown alignment", append(fill(64), "\x21\x00"+swapMagicTail...), false, false},
		{"confirmed without mark", confirmed, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img, err := OpenUnverified(append(bytes.Clone(good), tc.tail...))
			if !tc.ok {
				require.ErrorIs(t, err, format.ErrTrailing)
				require.ErrorIs(t, err, format.ErrMalformed)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.trailer, img.swapTrailer)
			report, err := img.Verify(trust(t, "p256"))
			require.NoError(t, err)
			assert.Equal(t, len(tc.tail) > 0, len(report.Image.Notes) > 0, "what is not covered is told")
		})
	}
}
