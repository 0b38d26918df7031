package suit

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestDeterministic(t *testing.T) {
	for _, tc := range []struct{ name, hex, want string }{
		{"number", "1818", ""},
		{"map in order", "a201020304", ""},
		{"keys by bytes, not by length", "a2186400 2000", ""},
		{"keys by length, not by bytes", "a2 2000 186400", ""},
		{"long number", "1817", "longer than needed"},
		{"long length", "580161", "longer than needed"},
		{"long length of eight bytes", "5b0000000000000001 61", "longer than needed"},
		{"indefinite map", "bf0102ff", "indefinite length"},
		{"indefinite string", "5f4161ff", "indefinite length"},
		{"reserved", "1c", "reserved head"},
		{"key twice", "a201020103", "map key 01 twice"},
		{"keys out of order", "a203040102", "stands behind"},
		{"bytes behind", "0101", "1 bytes behind"},
		{"nothing", "", "nothing where"},
		{"cut head", "19", "cut within a head"},
		{"cut string", "5a7fffffff00", "a string of 2147483647 bytes"},
		{"cut array", "9a7fffffff00", "nothing where"},
		{"deep", strings.Repeat("81", 20) + "00", "nested deeper"},
		{"float", "f93c00", ""},
		{"tag", "d86b00", ""},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(tc.hex, " ", ""))
		require.NoError(t, err)
		err = deterministic(b)
		if tc.want == "" {
			require.NoError(t, err, tc.name)
			continue
		}
		require.ErrorIs(t, err, format.ErrMalformed, tc.name)
		require.ErrorContains(t, err, tc.want, tc.name)
	}
	require.Equal(t, []byte{0x58, 0x71}, writeHead(majorBytes, 0x71))
}

// TestLibraryIsNotTrustedWithTypes: null, tags and floats are none of the types that the draft names.
func TestLibraryIsNotTrustedWithTypes(t *testing.T) {
	for _, text := range []string{"f6", "c100", "f90000", "fb0000000000000000", "c24100", "f5"} {
		b, err := hex.DecodeString(text)
		require.NoError(t, err)
		_, err = asUint(b)
		assert.ErrorIs(t, err, format.ErrMalformed, text)
		_, err = asInt(b)
		assert.ErrorIs(t, err, format.ErrMalformed, text)
		_, err = asBytes(b)
		assert.ErrorIs(t, err, format.ErrMalformed, text)
		_, err = asText(b)
		assert.ErrorIs(t, err, format.ErrMalformed, text)
		_, err = asList(b)
		assert.ErrorIs(t, err, format.ErrMalformed, text)
	}
	_, err := asText([]byte{0x62, 0xc3, 0x28})
	assert.ErrorIs(t, err, format.ErrMalformed, "not UTF-8")
	_, err = asUint([]byte{0x20})
	assert.ErrorIs(t, err, format.ErrMalformed, "negative")
}

func TestManifestRefuses(t *testing.T) {
	common := entry{keyCommonComponents: [][][]byte{{{0}}}}
	with := func(key uint64, value any) entry {
		m := entry{keyVersion: 1, keySequence: 1, keyCommon: encode(common)}
		if value == nil {
			delete(m, key)
		} else {
			m[key] = value
		}
		return m
	}
	inCommon := func(key uint64, value any) entry {
		c := entry{keyCommonComponents: [][][]byte{{{0}}}}
		c[key] = value
		return with(keyCommon, encode(c))
	}
	install := func(seq ...any) entry { return with(keyInstall, encode(seq)) }
	var many [][][]byte
	for i := range maxComponents + 1 {
		many = append(many, [][]byte{{byte(i)}})
	}
	for _, tc := range []struct {
		name string
		m    entry
		want string
	}{
		{"good", with(keyReference, "https://example.com"), ""},
		{"no version", with(keyVersion, nil), "no element 1"},
		{"no sequence number", with(keySequence, nil), "no element 2"},
		{"no common", with(keyCommon, nil), "no element 3"},
		{"version 2", with(keyVersion, 2), "manifest version 2"},
		{"version as text", with(keyVersion, "1"), "version: no unsigned number"},
		{"negative sequence number", with(keySequence, -1), "sequence number: no unsigned number"},
		{"common not wrapped", with(keyCommon, common), "common: no byte string"},
		{"common with more", inCommon(9, 1), "unknown element 9"},
		{"no components", inCommon(keyCommonComponents, [][][]byte{}), "0 components"},
		{"many components", inCommon(keyCommonComponents, many), "65 components"},
		{"component twice", inCommon(keyCommonComponents, [][][]byte{{{0}}, {{0}}}), "component 00 twice"},
		{"component as text", inCommon(keyCommonComponents, []string{"x"}), "no array"},
		{"dependency index", inCommon(keyCommonDependencies, entry{999: entry{}}), "component index 999"},
		{"reference as bytes", with(keyReference, []byte("x")), "no text"},
		{"digest with more", with(keyText, []any{-16, []byte{1}, 2}), "a digest of 3 parts"},
		{"digest as text", with(keyText, []any{-16, "x"}), "no byte string"},
		{"sequence not wrapped", with(keyValidate, 1), "validate: no byte string"},
		{"severed validate", with(keyValidate, []any{SHA256, make([]byte, 32)}), "validate: no byte string"},
		{"odd sequence", install(condImage), "1 items"},
		{"command as text", install("fetch", 2), "no number"},
		{"component index", install(dirIndex, 7), "component index 7 of 1"},
		{"component index false", install(dirIndex, false), "neither number, list nor true"},
		{"no component indexes", install(dirIndex, []int{}), "empty list"},
		{"nothing to try", install(dirTryEach, []any{}), "nothing to try"},
		{"nil in the middle", install(dirTryEach, []any{nil, encode([]any{condAbort, 0})}), "no byte string"},
		{"nothing overridden", install(dirOverride, entry{}), "no parameters"},
		{"short vendor", install(dirOverride, entry{paramVendor: []byte{1}}), "UUID of 1 bytes"},
		{"size as text", install(dirOverride, entry{paramSize: "1"}), "no unsigned number"},
		{"digest not wrapped", install(dirOverride, entry{paramDigest: []any{-16, []byte{1}}}), "no byte string"},
		{"source", install(dirOverride, entry{paramSource: 4}), "component index 4 of 1"},
		{"soft failure", install(dirOverride, entry{paramSoft: 1}), "neither true nor false"},
		{"override many", install(dirOverrideMany, entry{7: entry{paramSize: 1}}), "component index 7"},
		{"copy parameters", install(dirCopyParameters, entry{7: []int{1}}), "component index 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := OpenUnverified(input(signed(t, tc.m)))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, format.ErrMalformed)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	good := made(t, spec(), "p256")
	d := mustDraft(t, good)
	late := append([]byte{0xd8, tagEnvelope, 0xa2}, encode(keyManifest)...)
	late = append(append(append(late, encode(d.manifest)...), encode(keyWrapper)...), encode(encode([][]byte{d.digest}))...)
	twice := d.clone()
	twice.members = append(twice.members, twice.members...)
	inline := mustDraft(t, good)
	inline.members = append([]part{{encode(keyInstall), encode([]any{dirIndex, 0})}}, inline.members...)
	number := bytes.Clone(good)
	number[2] = 0x83
	for name, b := range map[string][]byte{
		"wrapper behind the manifest":        late,
		"member twice":                       twice.bytes(),
		"install in the manifest and beside": inline.bytes(),
		"an array":                           number,
		"a delegation":                       append([]byte{0xd8, tagEnvelope, 0xa2, 0x01, 0x41, 0x80}, good[bytes.Index(good, encode(d.manifest))-1:]...),
		"another tag":                        append([]byte{0xd8, 0x6c}, good[2:]...),
		"no manifest":                        {0xd8, tagEnvelope, 0xa1, 0x02, 0x41, 0x80},
		"many members":                       {0xd8, tagEnvelope, 0xb9, 0xff, 0xff},
		"empty":                              {},
		"negative key":                       {0xd8, tagEnvelope, 0xa1, 0x20, 0x40},
		"member of numbers":                  {0xd8, tagEnvelope, 0xa1, 0x03, 0x01},
		"name that is no UTF-8":              {0xd8, tagEnvelope, 0xa1, 0x62, 0xc3, 0x28, 0x40},
	} {
		_, err := OpenUnverified(input(b))
		require.ErrorIs(t, err, format.ErrMalformed, name)
	}
	_, err := OpenUnverified(input(append(bytes.Clone(good), 0)))
	require.ErrorIs(t, err, format.ErrTrailing)
}

// TestBareManifest: tag 1070 is SUIT, and nobody's.
func TestBareManifest(t *testing.T) {
	d := mustDraft(t, made(t, spec(), "p256"))
	b := append(writeHead(majorTag, tagManifest), d.manifest...)
	require.True(t, detect(input(b)))
	img, err := OpenUnverified(input(b))
	require.NoError(t, err)
	require.Equal(t, "12", img.Describe().Version)
	require.Empty(t, img.Describe().Covered)
	_, err = img.Verify(trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrUnsigned)
	_, err = OpenUnverified(input(append(b, 0)))
	require.ErrorIs(t, err, format.ErrTrailing)
}

func TestDetect(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": {}, "text": []byte("hello"), "a map": {0xa1, 0x01, 0x02}, "a map of two": {0xa1, 0x02, 0x02},
		"a tag": {0xc1, 0x00}, "an array": {0x82, 0x02, 0x41, 0x80}, "wrapped text": {0xa1, 0x02, 0x42, 0x61, 0x61},
	} {
		require.False(t, detect(input(b)), name)
	}
}

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"1", "2", -1}, {"10", "9", 1}, {"18446744073709551615", "18446744073709551615", 0}} {
		got, err := compare(tc.a, tc.b)
		require.NoError(t, err)
		require.Equal(t, tc.want, got)
	}
	_, err := compare("1.0", "2")
	require.Error(t, err)
	_, err = compare("1", "")
	require.Error(t, err)
}
