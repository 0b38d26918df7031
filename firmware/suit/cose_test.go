package suit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestHeaders(t *testing.T) {
	signing := key(t, "p256")
	sign := func(m []byte) ([]byte, error) { return signMessage(m, algES256, signing) }
	img, err := OpenUnverified(input(made(t, spec(), "p256")))
	require.NoError(t, err)
	for _, tc := range []struct {
		name            string
		protected, open map[int64]any
		want            error
	}{
		{"plain", map[int64]any{1: algES256}, nil, nil},
		{"more headers", map[int64]any{1: algES256, 3: 0, 9: []byte{1}}, map[int64]any{5: []byte{1}, 33: []byte{2}}, nil},
		{"known crit", map[int64]any{1: algES256, 2: []int{4}, 4: []byte("kid")}, nil, nil},
		{"unknown crit", map[int64]any{1: algES256, 2: []int{9}, 9: 1}, nil, format.ErrAlgorithm},
		{"crit as text", map[int64]any{1: algES256, 2: []string{"x"}}, nil, format.ErrAlgorithm},
		{"crit that is not there", map[int64]any{1: algES256, 2: []int{4}}, nil, format.ErrMalformed},
		{"empty crit", map[int64]any{1: algES256, 2: []int{}}, nil, format.ErrMalformed},
		{"crit unprotected", map[int64]any{1: algES256}, map[int64]any{2: []int{1}}, format.ErrMalformed},
		{"algorithm twice", map[int64]any{1: algES256}, map[int64]any{1: algES256}, format.ErrAlgorithm},
		{"algorithm as text", map[int64]any{1: "ES256"}, nil, format.ErrAlgorithm},
		{"algorithm of another curve", map[int64]any{1: algES384}, nil, format.ErrAlgorithm},
		{"algorithm of a MAC", map[int64]any{1: algHMAC256}, nil, format.ErrAlgorithm},
		{"RSA with SHA-1", map[int64]any{1: -65535}, nil, format.ErrWeak},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := img.draft()
			require.NoError(t, err)
			blk, err := coseBlock(tagSign1, tc.protected, tc.open, sign, d.digest)
			require.NoError(t, err)
			d.blocks = [][]byte{blk}
			_, err = Open(input(d.bytes()), trust(t, "p256"))
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

// TestBlocks: one trusted block among several is enough; COSE_Sign counts, COSE_Mac does not.
func TestBlocks(t *testing.T) {
	img, err := OpenUnverified(input(made(t, spec(), "p256")))
	require.NoError(t, err)
	d, err := img.draft()
	require.NoError(t, err)
	good := d.blocks[0]
	stranger, err := signBlock(d.digest, key(t, "other"), nil, false)
	require.NoError(t, err)
	tail := []any{[]byte{}, map[int64]any{}, nil}
	message := encode([]any{"Signature", []byte{}, encode(map[int64]any{1: algES256}), []byte{}, d.digest})
	sig, err := signMessage(message, algES256, key(t, "p256"))
	require.NoError(t, err)
	several := encode(cbor.Tag{Number: tagSign, Content: append(tail, []any{[]any{encode(map[int64]any{1: algES256}), map[int64]any{}, sig}})})
	mac := encode(cbor.Tag{Number: tagMac, Content: append(tail, []byte{1}, []any{})})
	for _, tc := range []struct {
		name   string
		blocks [][]byte
		want   error
	}{
		{"stranger first", [][]byte{stranger, good}, nil},
		{"stranger last", [][]byte{good, stranger}, nil},
		{"strangers", [][]byte{stranger, stranger}, format.ErrBadSignature},
		{"COSE_Sign", [][]byte{several}, nil},
		{"COSE_Mac for nobody", [][]byte{mac}, format.ErrMalformed},
		{"garbage beside it", [][]byte{good, {0xd2, 0x80}}, format.ErrMalformed},
		{"no tag", [][]byte{good[1:]}, format.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := d.clone()
			e.blocks = tc.blocks
			img, err := Open(input(e.bytes()), trust(t, "p256"))
			if tc.want != nil {
				require.ErrorIs(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			if len(tc.blocks) > 1 {
				require.Contains(t, strings.Join(img.Describe().Notes, "\n"), "2 authentication blocks")
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	b := made(t, spec(), "mac")
	for _, tc := range []struct {
		name   string
		secret []byte
		want   error
	}{
		{"the secret", secret, nil},
		{"another", bytes.Repeat([]byte{1}, 32), format.ErrBadSignature},
		{"short", secret[:8], format.ErrWeak},
		{"a public key in PEM", []byte("-----BEGIN PUBLIC KEY-----"), format.ErrWeak},
	} {
		_, err := Open(input(b), format.Trust{Secrets: []format.Anchor{{From: "x", Bytes: tc.secret}}})
		require.ErrorIs(t, err, tc.want, tc.name)
	}
	known, err := BuildMAC(spec(), exampleSecret())
	require.NoError(t, err)
	img, err := OpenUnverified(input(known))
	require.NoError(t, err)
	report, err := img.Verify(format.Trust{Secrets: []format.Anchor{{Bytes: exampleSecret()}}})
	require.NoError(t, err)
	require.Len(t, report.Findings, 1)
	require.Equal(t, "known-key", report.Findings[0].ID)

	// Somebody puts the public key among the secrets.
	keys := trust(t, "p256")
	d := mustDraft(t, made(t, spec(), "p256"))
	spki := keys.Keys.All()[0].SPKI
	for _, confused := range [][]byte{spki, spki[len(spki)-65:]} {
		d.blocks = [][]byte{macBlock(d.digest, confused)}
		keys.Secrets = []format.Anchor{{From: "key", Bytes: confused}}
		_, err := Open(input(d.bytes()), keys)
		require.ErrorIs(t, err, format.ErrWeak)
	}
}

func mustDraft(t testing.TB, b []byte) *draft {
	img, err := OpenUnverified(input(b))
	require.NoError(t, err)
	d, err := img.draft()
	require.NoError(t, err)
	return d
}
