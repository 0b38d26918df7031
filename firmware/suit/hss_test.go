package suit

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// readHex reads names with lines of hexadecimal below them.
func readHex(t testing.TB, file string) map[string][]byte {
	text, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	all, name := map[string][]byte{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.Trim(line, "0123456789abcdef") != "" {
			name = line
			continue
		}
		all[name] = append(all[name], unhex(t, line)...)
	}
	return all
}

// TestHSS: test case 1 of RFC 8554 (two trees), and every byte of it changed.
func TestHSS(t *testing.T) {
	v := readHex(t, "hss-rfc8554.txt")
	k, ok := parseHSSKey(v["key"])
	require.True(t, ok)
	require.True(t, k.verify(v["message"], v["signature"]))
	require.False(t, k.verify(v["message"][1:], v["signature"]))
	require.False(t, k.verify(v["message"], append(bytes.Clone(v["signature"]), 0)))
	for i := range v["signature"] {
		if i > 80 && i%7 != 0 && i < len(v["signature"])-80 {
			continue // a byte of a chain is like the next
		}
		bad := bytes.Clone(v["signature"])
		bad[i] ^= 0x04
		require.False(t, k.verify(v["message"], bad), "byte %d", i)
		require.False(t, k.verify(v["message"], bad[:i]), "%d bytes", i)
	}
	for i := range v["key"] {
		bad := bytes.Clone(v["key"])
		bad[i] ^= 0x02
		if k, ok := parseHSSKey(bad); ok {
			require.False(t, k.verify(v["message"], v["signature"]), "byte %d of the key", i)
		}
	}
}

// TestHSSBlock: the COSE working group's example of a COSE_Sign1 by one tree of height 10.
func TestHSSBlock(t *testing.T) {
	v := readHex(t, "hss-cose.txt")
	blk, err := parseBlock(v["block"])
	require.NoError(t, err)
	payload := []byte("This is the content.")
	require.Equal(t, v["message"], blk.toBeSigned(blk.signers[0], payload))
	trust := format.Trust{Own: map[string][]format.Anchor{Name: {{From: "author.pub", Bytes: v["key"]}}}}
	_, err = blk.check(trust, payload)
	require.ErrorIs(t, err, format.ErrNotBound, "its payload is attached")
	blk.attached = false
	who, err := blk.check(trust, payload)
	require.NoError(t, err)
	require.Equal(t, "hss-lms-sha256", who.algorithm)
	require.Equal(t, "author.pub", who.from())
	require.Contains(t, who.name(), "hash-based key")
	require.Zero(t, who.strength())
	require.Empty(t, who.findings())
	_, err = blk.check(trust, []byte("This is other content."))
	require.ErrorIs(t, err, format.ErrBadSignature)
	_, err = blk.check(format.Trust{}, payload)
	require.ErrorIs(t, err, format.ErrAlgorithm)
	_, err = blk.check(format.Trust{Own: map[string][]format.Anchor{Name: {{Bytes: readHex(t, "hss-rfc8554.txt")["key"]}}}}, payload)
	require.ErrorIs(t, err, format.ErrBadSignature)

	// The example's signature is of no envelope: under the same key it vouches for none.
	d := mustDraft(t, made(t, spec(), "p256"))
	d.blocks = [][]byte{encode(cbor.Tag{Number: tagSign1, Content: []any{encode(map[int64]any{1: algHSSLMS}), map[int64]any{}, nil, blk.signers[0].value}})}
	_, err = Open(input(d.bytes()), trust)
	require.ErrorIs(t, err, format.ErrBadSignature)
}

func TestHSSKey(t *testing.T) {
	key := readHex(t, "hss-rfc8554.txt")["key"]
	type algorithm struct{ ID asn1.ObjectIdentifier }
	spki := func(oid asn1.ObjectIdentifier, bits []byte) []byte {
		der, err := asn1.Marshal(struct {
			A algorithm
			B asn1.BitString
		}{algorithm{oid}, asn1.BitString{Bytes: bits, BitLength: 8 * len(bits)}})
		require.NoError(t, err)
		return der
	}
	inPEM := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}) }
	levels := func(n uint32) []byte { return append(binary.BigEndian.AppendUint32(nil, n), key[4:]...) }
	for name, tc := range map[string]struct {
		b    []byte
		want bool
	}{
		"alone":            {key, true},
		"DER":              {spki(hssKeyOID, key), true},
		"PEM":              {inPEM(spki(hssKeyOID, key)), true},
		"as in RFC 8708":   {inPEM(spki(hssKeyOID, append([]byte{4, 60}, key...))), true},
		"another key":      {inPEM(spki(asn1.ObjectIdentifier{1, 3, 101, 112}, key)), false},
		"two keys":         {bytes.Repeat(inPEM(spki(hssKeyOID, key)), 2), false},
		"cut":              {key[:59], false},
		"no level":         {levels(0), false},
		"nine levels":      {levels(9), false},
		"unknown tree":     {append(append(bytes.Clone(key[:4]), 0, 0, 0, 4), key[8:]...), false},
		"unknown one-time": {append(append(bytes.Clone(key[:8]), 0, 0, 0, 5), key[12:]...), false},
		"nothing":          {nil, false},
	} {
		require.Equal(t, tc.want, isHSSKey(tc.b), name)
	}
}

// FuzzHSS: no signature but the genuine one is the key's.
func FuzzHSS(f *testing.F) {
	v := readHex(f, "hss-rfc8554.txt")
	k, ok := parseHSSKey(v["key"])
	require.True(f, ok)
	f.Add(v["key"], v["signature"])
	f.Fuzz(func(t *testing.T, key, signature []byte) {
		require.Equal(t, bytes.Equal(signature, v["signature"]), k.verify(v["message"], signature))
		if other, ok := parseHSSKey(key); ok {
			other.verify(v["message"], signature)
		}
	})
}
