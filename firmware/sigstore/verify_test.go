package sigstore

import (
	"bytes"
	"crypto"
	"encoding/json"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// TestTrust asks good signatures under trust that lacks something.
func TestTrust(t *testing.T) {
	stranger, err := NewAuthority(noon)
	require.NoError(t, err)
	for _, tc := range []struct {
		of, name string
		change   func(*format.Trust)
		want     error
		says     string
	}{
		{"p256", "nobody", func(x *format.Trust) { *x = format.Trust{} }, format.ErrNoTrustedKey, "no key was given"},
		{"p256", "a log asked for", func(x *format.Trust) { x.NoLog = false }, format.ErrNotLogged, "no log entry"},
		{"p256 plain", "a log asked for", func(x *format.Trust) { x.NoLog = false }, format.ErrNotLogged, "no log entry"},
		{"p256 logged", "no trusted root", func(x *format.Trust) { x.Own = nil }, format.ErrNoTrustedKey, "no trusted_root.json"},
		{"p256 logged", "another log", func(x *format.Trust) { x.Own = anchors(t, stranger) }, format.ErrNotLogged, "not enough verified log entries"},
		{"p256 logged", "unreadable root", func(x *format.Trust) { x.Own[Name][0].Bytes = []byte("{}") }, format.ErrNoTrustedKey, "trusted root trusted_root.json"},
		{"keyless", "nobody", func(x *format.Trust) { *x = format.Trust{} }, format.ErrNoTrustedKey, "without an expected signer"},
		{"keyless", "any signer", func(x *format.Trust) { x.Signer = "" }, format.ErrNoTrustedKey, "without an expected signer"},
		{"keyless", "any issuer", func(x *format.Trust) { x.Issuer = "" }, format.ErrNoTrustedKey, "without an expected signer"},
		{"keyless", "another signer", func(x *format.Trust) { x.Signer = "https://else.example" }, format.ErrNoTrustedKey, "signed by"},
		{"keyless", "another issuer", func(x *format.Trust) { x.Issuer = "https://else.example" }, format.ErrNoTrustedKey, "vouches for the signer"},
		{"keyless", "another authority", func(x *format.Trust) { x.Own = anchors(t, stranger) }, format.ErrChain, "no trusted root knows"},
		{"keyless", "no log is no way round", func(x *format.Trust) { x.NoLog, x.Own = true, nil }, format.ErrNoTrustedKey, "no trusted_root.json"},
		{"keyless", "certificate log not trusted", func(x *format.Trust) { edit(t, x, "ctlogs", nil) }, format.ErrNotLogged, "certificate log"},
		{"keyless", "authority long gone", func(x *format.Trust) { editCA(t, x) }, format.ErrChain, "no trusted authority stood above"},
	} {
		t.Run(tc.of+"/"+tc.name, func(t *testing.T) {
			for _, g := range goods(t) {
				if g.name != tc.of {
					continue
				}
				tc.change(&g.trust)
				report, err := g.open(t).Verify(g.trust)
				require.ErrorIs(t, err, tc.want)
				require.ErrorContains(t, err, tc.says)
				require.False(t, report.Verified)
			}
		})
	}
}

func edit(t *testing.T, x *format.Trust, member string, value any) {
	var root object
	require.NoError(t, json.Unmarshal(x.Own[Name][0].Bytes, &root))
	root[member] = value
	b, err := json.Marshal(root)
	require.NoError(t, err)
	x.Own[Name][0].Bytes = b
}

func editCA(t *testing.T, x *format.Trust) {
	var root object
	require.NoError(t, json.Unmarshal(x.Own[Name][0].Bytes, &root))
	ca, _ := root["certificateAuthorities"].([]any)[0].(object)
	sub(ca, "validFor")["end"] = "2026-03-01T11:59:00Z"
	edit(t, x, "certificateAuthorities", []any{ca})
}

// TestHintIsAHint: the policy row of a bundle that names another key is told, not decided by it.
func TestHintIsAHint(t *testing.T) {
	for _, g := range goods(t) {
		if g.name != "p256" {
			continue
		}
		b := bytes.Replace(g.bundle, []byte(`"hint":"`), []byte(`"hint":"x`), 1)
		img, err := OpenUnverified(input(b, firmware))
		require.NoError(t, err)
		report, err := img.Verify(g.trust)
		require.NoError(t, err)
		require.True(t, report.Verified)
		keys, err := format.NewKeys(newKeys(t)["p256"].Public())
		require.NoError(t, err)
		var v object
		require.NoError(t, json.Unmarshal(g.bundle, &v))
		sub(v, "verificationMaterial", "publicKey")["hint"] = hintOf(keys.All()[0])
		b, err = json.Marshal(v)
		require.NoError(t, err)
		img, err = OpenUnverified(input(b, firmware))
		require.NoError(t, err)
		report, err = img.Verify(g.trust)
		require.NoError(t, err)
		require.Contains(t, report.Image.Notes[len(report.Image.Notes)-2], "names a key that was not given")
	}
}

func TestStatement(t *testing.T) {
	for name, tc := range map[string]struct{ payload, says string }{
		"no subject":     {`{"_type":"https://in-toto.io/Statement/v1","subject":[]}`, "0 subjects"},
		"another type":   {`{"_type":"https://else","subject":[{}]}`, "statement of type"},
		"subjects twice": {`{"_type":"https://in-toto.io/Statement/v1","subject":[],"Subject":[{}]}`, `"subject" and "Subject"`},
		"trailing":       {`{"_type":"https://in-toto.io/Statement/v1","subject":[{}]} 1`, "trailing"},
	} {
		_, err := parseStatement([]byte(tc.payload))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		require.ErrorContains(t, err, tc.says, name)
	}
	s, err := parseStatement([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":1,"A":2},
		"subject":[{"digest":{"sha256":"ff","sha512":"00"}},{"digest":{"sha1":"ff"}},{"name":"right","digest":{"sha256":"00"}}]}`))
	require.NoError(t, err)
	sums := map[crypto.Hash][]byte{crypto.SHA256: {0}, crypto.SHA512: {0}}
	found, ok := s.names(sums)
	require.True(t, ok)
	require.Equal(t, "right", found.Name, "one right digest beside a wrong one is not enough")
}

// zeros is an artifact of any size that lies nowhere.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func TestFlatMemory(t *testing.T) {
	const size = 64 << 20
	large := format.NewSource(zeros{}, size)
	all, err := io.ReadAll(large.Section(0, size))
	require.NoError(t, err)
	key := newKeys(t)["ed25519"]
	plain, err := BuildPlain(all, key)
	require.NoError(t, err)
	bundle, err := Build(Spec{Artifact: all, Signer: key})
	require.NoError(t, err)
	all = nil
	keys, err := format.NewKeys(key.Public())
	require.NoError(t, err)
	for _, signature := range [][]byte{plain, bundle} {
		img, err := OpenUnverified(format.Input{Source: format.FromBytes(signature), Artifact: &large})
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = img.Verify(format.Trust{Keys: keys, NoLog: true})
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
	}
}
