package suit

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// TestMacExamples: two of the COSE working group's examples (HMac-01 and wrap-128-03).
func TestMacExamples(t *testing.T) {
	for _, tc := range []struct{ block, secret, key, message string }{
		{"D8618543A10105A054546869732069732074686520636F6E74656E742E58202BDCC89F058216B8A208DDC6D8B54AA91F48BD63484986565105C9AD5A6682F6818340A20125044A6F75722D73656372657440",
			"849B57219DAE48DE646D07DBB533566E976686457C1491BE3A76DCEA6C427188", "849B57219DAE48DE646D07DBB533566E976686457C1491BE3A76DCEA6C427188",
			"84634D414343A101054054546869732069732074686520636F6E74656E742E"},
		{"D8618543A10107A054546869732069732074686520636F6E74656E742E58400021C21B2A7FADB677DAB64389B3FDA4AAC892D5C81B786A459E4182104A1501462FFD471422AF4D48BEEB864951D5947A55E3155E670DFC4A96017B0FD0E725" +
			"818340A20122044A6F75722D7365637265745848792C46CE0BC689747133FA0DB1F5E2BC4DAAE22F906E93DFCA2DF44F0DF6C2CEF16EA8FC91D52AD662C4B49DD0D689E1086EC754347957F80F95C92C887521641B8F637D91C6E258",
			"849B57219DAE48DE646D07DBB533566E", "DDDC08972DF9BE62855291A17A1B4CF767C2DC762CB551911893BF7754988B0A286127BFF5D60C4CBC877CAC4BF3BA02C07AD544C951C3CA2FC46B70219BC3DC",
			"84634D414343A101074054546869732069732074686520636F6E74656E742E"},
	} {
		blk, err := parseBlock(unhex(t, tc.block))
		require.NoError(t, err)
		payload := []byte("This is the content.")
		require.Equal(t, unhex(t, tc.message), blk.toBeSigned(blk.signers[0], payload))
		require.Equal(t, [][]byte{unhex(t, tc.key)}, blk.keys(unhex(t, tc.secret)))
		trust := format.Trust{Secrets: []format.Anchor{{From: "our-secret", Bytes: unhex(t, tc.secret)}}}
		_, err = blk.check(trust, payload)
		require.ErrorIs(t, err, format.ErrNotBound, "its payload is attached")
		blk.attached = false
		v, err := blk.check(trust, payload)
		require.NoError(t, err)
		require.Equal(t, "our-secret", v.from())
		_, err = blk.check(trust, []byte("This is other content."))
		require.ErrorIs(t, err, format.ErrBadSignature)
		trust.Secrets[0].Bytes[0] ^= 1
		_, err = blk.check(trust, payload)
		require.ErrorIs(t, err, format.ErrBadSignature)
	}
}

// TestMac: envelopes with a COSE_Mac, for one recipient and for several, and what is none.
func TestMac(t *testing.T) {
	type headers = map[int64]any
	d := mustDraft(t, made(t, spec(), "mac"))
	mine := unhex(t, "000102030405060708090A0B0C0D0E0F")
	wrapped := unhex(t, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5")
	key := unhex(t, "00112233445566778899AABBCCDDEEFF")
	direct := []any{[]byte{}, headers{1: recipientDirect}, []byte{}}
	kw := []any{[]byte{}, headers{1: recipientA128KW, 4: []byte("me")}, wrapped}
	agreement := []any{encode(headers{1: -29}), headers{}, wrapped}
	for name, tc := range map[string]struct {
		context    string
		key        []byte
		secret     []byte
		recipients []any
		want       error
	}{
		"the key itself":           {"MAC", secret, secret, []any{direct}, nil},
		"wrapped":                  {"MAC", key, mine, []any{kw}, nil},
		"one of several":           {"MAC", key, mine, []any{agreement, kw}, nil},
		"only another's":           {"MAC", key, mine, []any{agreement}, format.ErrBadSignature},
		"as a COSE_Mac0":           {"MAC0", secret, secret, []any{direct}, format.ErrBadSignature},
		"by the wrapping secret":   {"MAC", mine, mine, []any{kw}, format.ErrBadSignature},
		"another secret":           {"MAC", key, secret[:16], []any{kw}, format.ErrBadSignature},
		"secret of another size":   {"MAC", key, secret, []any{kw}, format.ErrBadSignature},
		"direct beside others":     {"MAC", secret, secret, []any{direct, kw}, format.ErrMalformed},
		"nobody":                   {"MAC", secret, secret, []any{}, format.ErrMalformed},
		"direct, and wrapped":      {"MAC", secret, secret, []any{[]any{[]byte{}, headers{1: recipientDirect}, wrapped}}, format.ErrMalformed},
		"protected headers":        {"MAC", key, mine, []any{[]any{encode(headers{1: recipientA128KW}), headers{}, wrapped}}, format.ErrMalformed},
		"no algorithm":             {"MAC", secret, secret, []any{[]any{[]byte{}, headers{}, []byte{}}}, format.ErrMalformed},
		"recipients of recipients": {"MAC", secret, secret, []any{slices.Concat(direct, []any{[]any{}})}, format.ErrMalformed},
		"more than there may be":   {"MAC", key, mine, slices.Repeat([]any{kw}, maxRecipients+1), format.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := schemeOf(algHMAC256)
			require.True(t, ok)
			protected := encode(headers{1: algHMAC256})
			tag := s.tag(tc.key, encode([]any{tc.context, protected, []byte{}, d.digest}))
			e := d.clone()
			e.blocks = [][]byte{encode(cbor.Tag{Number: tagMac, Content: []any{protected, headers{}, nil, tag, tc.recipients}})}
			_, err := Open(input(e.bytes()), format.Trust{Secrets: []format.Anchor{{From: "secret", Bytes: tc.secret}}})
			require.ErrorIs(t, err, tc.want)
		})
	}
}

// FuzzBlock reads authentication blocks alone: a MAC that anybody made up is nobody's.
func FuzzBlock(f *testing.F) {
	f.Add(unhex(f, "D8618543A10105A0F658202BDCC89F058216B8A208DDC6D8B54AA91F48BD63484986565105C9AD5A6682F6818340A20125044A6F75722D73656372657440"))
	f.Add(unhex(f, "D8618543A10107A0F640818340A201225818"+"1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"))
	f.Fuzz(func(t *testing.T, b []byte) {
		blk, err := parseBlock(b)
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		_, err = blk.check(format.Trust{Secrets: []format.Anchor{{Bytes: secret}}}, []byte("digest"))
		require.Error(t, err)
	})
}
