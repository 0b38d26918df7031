package suit

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func isRefusal(err error) bool {
	return errors.Is(err, format.ErrMalformed) || errors.Is(err, format.ErrNotVerified) || errors.Is(err, format.ErrNotForDevice)
}

func TestVerify(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			img, err := OpenUnverified(input(g.bytes(t)))
			require.NoError(t, err)
			require.True(t, detect(input(g.bytes(t))))
			report, err := img.Verify(trust(t, g.key))
			require.NoError(t, err)
			require.True(t, report.Verified)
			assert.Equal(t, img.digest.String(), report.Digest)
			assert.Equal(t, report.Image.Signature, report.Signature)
			assert.Equal(t, "12", report.Image.Version)
			assert.EqualValues(t, 12, *report.Image.SecurityCounter)
			assert.Contains(t, report.Image.Targets, "vendor-id="+strings.Repeat("aa", 16))
			require.NotEmpty(t, report.Chain)
			assert.NotEmpty(t, report.Chain[0].From)
			assert.NotZero(t, report.Chain[0].Strength)
			assert.Equal(t, g.key == "rsa2048", len(report.Findings) > 0)
			assert.Equal(t, g.key != "mac", report.Key != nil)

			_, err = img.Verify(trust(t, "other"))
			require.ErrorIs(t, err, format.ErrNotVerified)
			_, err = img.Verify(format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
		})
	}
}

// signed is an envelope of a manifest written by hand.
func signed(t testing.TB, m entry, members ...part) []byte {
	d := &draft{tagged: true, alg: SHA256, manifest: encode(m), members: members}
	require.NoError(t, d.redigest())
	blk, err := signBlock(d.digest, key(t, "p256"), nil, false)
	require.NoError(t, err)
	d.blocks = [][]byte{blk}
	return d.bytes()
}

func byHand(shared, install []any) entry {
	return entry{
		keyVersion: 1, keySequence: 1, keyInstall: encode(install),
		keyCommon: encode(entry{keyCommonComponents: [][][]byte{{{0}}, {{1}}}, keyCommonShared: encode(shared)}),
	}
}

func sum256(t testing.TB, b []byte) []byte {
	d, err := digestOf(SHA256, b)
	require.NoError(t, err)
	return d.encode()
}

// TestPayloadsAreBound: a payload counts only if every way through the sequences compares it.
func TestPayloadsAreBound(t *testing.T) {
	one, two := []byte("image one"), []byte("image two, longer")
	a, b := part{encode("#a"), one}, part{encode("#b"), two}
	set := func(p entry) []any { return []any{dirOverride, p} }
	join := func(parts ...[]any) (out []any) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	fetch := func(uri string) []any { return join(set(entry{paramURI: uri}), []any{dirFetch, 2}) }
	match, index := []any{condImage, 15}, func(i any) []any { return []any{dirIndex, i} }
	digest := func(p []byte) []any { return set(entry{paramDigest: sum256(t, p), paramSize: len(p)}) }
	try := func(branches ...[]any) []any {
		var list []any
		for _, s := range branches {
			if s == nil {
				list = append(list, nil)
			} else {
				list = append(list, encode(s))
			}
		}
		return []any{dirTryEach, list}
	}
	slotIs := func(n int) []any { return join(set(entry{paramSlot: n}), []any{condSlot, 5}) }
	for _, tc := range []struct {
		name            string
		shared, install []any
		members         []part
		want            error
	}{
		{"compared", digest(one), join(fetch("#a"), match), []part{a}, nil},
		{"never compared", digest(one), fetch("#a"), []part{a}, format.ErrNotBound},
		{"compared before it is fetched", digest(one), join(match, fetch("#a")), []part{a}, format.ErrNotBound},
		{"another component is compared", digest(one), join(index(1), fetch("#a"), index(0), match), []part{a}, format.ErrNotBound},
		{"no digest", set(entry{paramSize: 9}), join(fetch("#a"), match), []part{a}, format.ErrNotBound},
		{"digest of another", digest(two), join(fetch("#a"), match), []part{a}, format.ErrBadHash},
		{"size of another", set(entry{paramDigest: sum256(t, one), paramSize: 8}), join(fetch("#a"), match), []part{a}, format.ErrBadHash},
		{"weak digest", set(entry{paramDigest: Digest{-15, []byte("12345678")}.encode()}), join(fetch("#a"), match), []part{a}, format.ErrWeak},
		{"not there", digest(one), join(fetch("#b"), match), []part{a}, format.ErrNotBound},
		{"nobody speaks of it", digest(one), join(fetch("#a"), match), []part{a, b}, format.ErrNotBound},
		{"copied, then compared", digest(two), join(index(1), fetch("#b"), index(0), set(entry{paramSource: 1}), []any{dirCopy, 2}, match), []part{b}, nil},
		{"both components", join(index([]int{0, 1}), digest(one)), join(index(true), fetch("#a"), match), []part{a}, nil},
		{"slots, each with its image",
			try(join(slotIs(0), digest(one)), join(slotIs(1), digest(two))),
			join(try(join(slotIs(0), set(entry{paramURI: "#a"})), join(slotIs(1), set(entry{paramURI: "#b"}))), []any{dirFetch, 2}, match), []part{a, b}, nil},
		{"slots, a default for the other",
			try(join(slotIs(0), digest(one)), digest(two)),
			join(try(join(slotIs(0), set(entry{paramURI: "#a"})), set(entry{paramURI: "#b"})), []any{dirFetch, 2}, match), []part{a, b}, nil},
		{"slots, one with the other's image",
			try(join(slotIs(0), digest(one)), join(slotIs(1), digest(two))),
			join(try(join(slotIs(0), set(entry{paramURI: "#b"})), join(slotIs(1), set(entry{paramURI: "#a"}))), []any{dirFetch, 2}, match), []part{a, b}, format.ErrBadHash},
		{"one slot compares nothing", digest(one),
			join(try(slotIs(0), slotIs(1)), fetch("#a"), try(join(slotIs(0), match), []any{condSlot, 5})), []part{a}, format.ErrNotBound},
		{"the first digest of two that fits", set(entry{paramSize: 9}),
			join(fetch("#a"), try(join(set(entry{paramDigest: sum256(t, two)}), match), join(set(entry{paramDigest: sum256(t, one)}), match))), []part{a}, nil},
		{"a comparison that may be skipped", digest(two), join(fetch("#a"), try(match, nil)), []part{a}, format.ErrNotBound},
		{"a hard failure ends it", digest(two), join(fetch("#a"), try(join(set(entry{paramSoft: false}), match), nil)), []part{a}, format.ErrBadHash},
		{"within a run sequence", digest(one), join(fetch("#a"), []any{dirRun, encode(match)}), []part{a}, nil},
		{"a soft run sequence", digest(two), join(fetch("#a"), []any{dirRun, encode(join(set(entry{paramSoft: true}), match))}), []part{a}, format.ErrNotBound},
		{"check content", set(entry{paramContent: one}), join(fetch("#a"), []any{condContent, 15}), []part{a}, nil},
		{"check other content", set(entry{paramContent: two}), join(fetch("#a"), []any{condContent, 15}), []part{a}, format.ErrBadHash},
		{"written and compared", digest(one), join(set(entry{paramContent: one}), []any{dirWrite, 15}, match), nil, nil},
		{"written and another compared", digest(one), join(set(entry{paramContent: two}), []any{dirWrite, 15}, match), nil, format.ErrBadHash},
		{"encrypted", digest(one), join(set(entry{paramEncryption: []byte{0xd8}}), fetch("#a"), match), []part{a}, format.ErrEncrypted},
		{"override many", digest(one), join([]any{dirOverrideMany, map[int]entry{0: {paramURI: "#a"}}}, []any{dirFetch, 2}, match), []part{a}, nil},
		{"copied parameters", digest(one), join([]any{dirIndex, 1, dirCopyParameters, map[int][]int{0: {paramDigest}}}, fetch("#a"), match), []part{a}, nil},
		{"always aborts", digest(one), join([]any{condAbort, 15}, fetch("#a"), match), []part{b}, format.ErrNotBound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Open(input(signed(t, byHand(tc.shared, tc.install), tc.members...)), trust(t, "p256"))
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

// TestWorkIsBounded: ways and commands are counted, not followed for ever.
func TestWorkIsBounded(t *testing.T) {
	branch := encode([]any{condSlot, 5})
	var many []any
	for i := range 40 {
		many = append(many, dirOverride, entry{paramSlot: i}, dirTryEach, []any{branch, branch, nil}, 27, 0, dirTryEach, []any{encode([]any{27, 0}), nil})
	}
	deep := []any{condSlot, 5}
	for range 12 {
		deep = []any{dirRun, encode(deep)}
	}
	for name, shared := range map[string][]any{"ways": many, "depth": deep} {
		began := time.Now()
		_, err := Open(input(signed(t, byHand(shared, []any{dirIndex, 0}))), trust(t, "p256"))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.Less(t, time.Since(began), 10*time.Second, name)
	}
}

func TestSeverable(t *testing.T) {
	s := goodImages()[1].spec(t)
	b := made(t, s, "p256")
	img, err := OpenUnverified(input(b))
	require.NoError(t, err)
	d, err := img.draft()
	require.NoError(t, err)

	text := d.clone()
	text.members = append(text.members[:1:1], text.members[2:]...)
	_, err = Open(input(text.bytes()), trust(t, "p256"))
	require.NoError(t, err, "text may be severed")

	install := d.clone()
	install.members = install.members[1:]
	_, err = Open(input(install.bytes()), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound)
	installed := trust(t, "p256")
	installed.Installed = true
	_, err = Open(input(install.bytes()), installed)
	require.NoError(t, err, "it has been installed")

	flipped := d.clone()
	value := bytes.Clone(flipped.members[1].value)
	value[len(value)-1] ^= 1
	flipped.members[1].value = value
	_, err = Open(input(flipped.bytes()), installed)
	require.ErrorIs(t, err, format.ErrBadHash, "text is covered")

	extra := d.clone()
	extra.members = append([]part{{encode(keyFetch), encode([]any{dirIndex, 0})}}, extra.members...)
	_, err = Open(input(extra.bytes()), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound, "the manifest does not know it")
}

func TestArtifact(t *testing.T) {
	s := spec()
	s.URI = "coap://update.example/fw.bin"
	in := input(made(t, s, "p256"))
	img, err := Open(in, trust(t, "p256"))
	require.NoError(t, err)
	report, err := img.Verify(trust(t, "p256"))
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Image.Notes, "\n"), "was not checked here")

	payload := format.FromBytes(s.Payload)
	in.Artifact = &payload
	img, err = Open(in, trust(t, "p256"))
	require.NoError(t, err)
	report, err = img.Verify(trust(t, "p256"))
	require.NoError(t, err)
	require.Equal(t, "payload of coap://update.example/fw.bin", report.Chain[len(report.Chain)-1].Name)

	for _, bad := range [][]byte{nil, s.Payload[1:], append(bytes.Clone(s.Payload[1:]), 'x')} {
		payload := format.FromBytes(bad)
		in.Artifact = &payload
		_, err = Open(in, trust(t, "p256"))
		require.ErrorIs(t, err, format.ErrBadHash)
	}
	in = input(made(t, spec(), "p256"))
	in.Artifact = &payload
	_, err = Open(in, trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound, "the manifest does not ask for it")
}

// TestDependency: the digest in the manifest says which dependency, a trusted key that it is genuine.
func TestDependency(t *testing.T) {
	with := func(dependency []byte) []byte {
		s := spec()
		s.Dependency = dependency
		return made(t, s, "p256")
	}
	sub := spec()
	sub.Sequence, sub.ID = 3, []byte("radio")
	good := made(t, sub, "p256")
	_, err := Open(input(with(good)), trust(t, "p256"))
	require.NoError(t, err)

	_, err = Open(input(with(made(t, sub, "other"))), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrBadSignature, "a stranger's dependency")
	_, err = Open(input(with(made(t, sub, "other"))), trust(t, "p256", "other"))
	require.NoError(t, err, "another author who is trusted")

	// A genuine dependency of another release in its place.
	img, err := OpenUnverified(input(with(good)))
	require.NoError(t, err)
	d, err := img.draft()
	require.NoError(t, err)
	sub.Sequence = 2
	for i, m := range d.members {
		if bytes.Equal(m.key, encode("#dependency")) {
			d.members[i].value = made(t, sub, "p256")
		}
	}
	_, err = Open(input(d.bytes()), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrBadHash)

	// A device that has a newer one refuses the older.
	img, err = Open(input(with(good)), trust(t, "p256"))
	require.NoError(t, err)
	require.NoError(t, img.Check(format.Device{Has: map[string]string{"726164696f": "3"}}))
	require.ErrorIs(t, img.Check(format.Device{Has: map[string]string{"726164696f": "4"}}), format.ErrRollback)

	nested := good
	for range maxDepth + 1 {
		s := spec()
		s.Dependency = nested
		nested = made(t, s, "p256")
	}
	_, err = Open(input(nested), trust(t, "p256"))
	require.ErrorIs(t, err, format.ErrMalformed, "too deep")
}

// TestLargePayloadIsStreamed verifies 64 MB without holding them.
func TestLargePayloadIsStreamed(t *testing.T) {
	f := large(t, 64<<20)
	info, err := f.Stat()
	require.NoError(t, err)
	in := format.Input{Source: format.NewSource(f, info.Size())}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Open(in, trust(t, "p256"))
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

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
		{"COSE_Mac", [][]byte{mac}, format.ErrAlgorithm},
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
