package cms

import (
	"bytes"
	"encoding/asn1"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

// indefinite writes DER with indefinite lengths down to a depth, and octet strings beneath it in pieces.
func indefinite(t testing.TB, der []byte, depth int) []byte {
	in := cryptobyte.String(der)
	var out []byte
	for !in.Empty() {
		var one, body cryptobyte.String
		var tag casn1.Tag
		require.True(t, in.ReadAnyASN1Element(&one, &tag))
		whole := one
		require.True(t, one.ReadAnyASN1(&body, &tag))
		switch {
		case tag&0x20 != 0 && depth > 0:
			out = append(append(append(out, byte(tag), 0x80), indefinite(t, body, depth-1)...), 0, 0)
		case tag == casn1.OCTET_STRING && depth > 0 && len(body) < 200 && len(body) > 1:
			first, second := body[:1], body[1:]
			out = append(out, 0x24, 0x80, 4, 1, first[0], 4)
			if len(second) > 127 {
				out = append(out, 0x81)
			}
			out = append(append(append(out, byte(len(second))), second...), 0, 0)
		default:
			out = append(out, whole...)
		}
	}
	return out
}

func TestBER(t *testing.T) {
	p := newPKI(t, PKIOptions{Intermediate: true})
	der, err := Sign(bytes.NewReader(content), SignOptions{Signers: []Identity{p.Signer}, Detached: true, SigningTime: p.At})
	require.NoError(t, err)
	for depth := 1; depth < 7; depth++ {
		ber := indefinite(t, der, depth)
		back, was, err := FromBER(ber)
		require.NoError(t, err, depth)
		require.True(t, was)
		require.Equal(t, der, back, depth)
		for n := range ber {
			_, _, err := FromBER(ber[:n])
			require.True(t, err != nil || n < 2, "cut at %d", n)
		}
		_, _, err = FromBER(append(bytes.Clone(ber), 0))
		require.ErrorIs(t, err, format.ErrTrailing)
	}
	same, was, err := FromBER(der)
	require.NoError(t, err)
	require.False(t, was)
	require.Equal(t, der, same)
	for says, b := range map[string][]byte{
		"primitive element": {0x30, 0x80, 4, 0x80, 0, 0},
		"nested deeper":     bytes.Repeat([]byte{0x30, 0x80}, 40),
		"is none":           {0x30, 0x80, 0x24, 3, 2, 1, 0, 0, 0},
		"a tag that CMS":    {0x30, 0x80, 0x3f, 1, 0, 0, 0},
		"as short as":       {0x30, 0x80, 4, 0x81, 1, 0, 0, 0},
	} {
		_, _, err := FromBER(b)
		require.ErrorIs(t, err, format.ErrMalformed)
		require.ErrorContains(t, err, says)
	}
}

// TestBERInterop: OpenSSL takes what the test writes, and what OpenSSL streams is read.
func TestBERInterop(t *testing.T) {
	o := newOpenSSL(t, "ecdsa-p256")
	der, err := Sign(bytes.NewReader(content), SignOptions{Signers: []Identity{o.p.Signer}, Certificates: o.p.Chain(), Detached: true})
	require.NoError(t, err)
	out, err := o.accepts(indefinite(t, der, 4), true)
	require.NoError(t, err, out)
	out, err = o.cms("-sign", "-binary", "-stream", "-nodetach", "-in", "content", "-signer", "signer.pem", "-inkey", "signer.key",
		"-certfile", "intermediate.pem", "-outform", "DER", "-out", "streamed")
	require.NoError(t, err, out)
	streamed, err := os.ReadFile(filepath.Join(o.dir, "streamed"))
	require.NoError(t, err)
	back, was, err := FromBER(streamed)
	require.NoError(t, err)
	require.True(t, was)
	m, err := Parse(back)
	require.NoError(t, err)
	_, err = m.VerifyAttached(o.p.trust(), Policy{})
	require.NoError(t, err)
}

func FuzzFromBER(f *testing.F) {
	p := newPKI(f, PKIOptions{})
	der, err := Sign(bytes.NewReader(content), SignOptions{Signers: []Identity{p.Signer}})
	require.NoError(f, err)
	f.Add(indefinite(f, der, 1))
	f.Add(indefinite(f, der, 6))
	f.Fuzz(func(t *testing.T, b []byte) {
		der, was, err := FromBER(b)
		if err != nil || !was {
			return
		}
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(der, &raw)
		require.NoError(t, err)
		require.Empty(t, rest)
		again, was, err := FromBER(der)
		require.NoError(t, err)
		require.False(t, was)
		require.Equal(t, der, again)
	})
}
