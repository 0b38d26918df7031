package detached

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"

	"assay/firmware/format"
)

func TestMinisignStructure(t *testing.T) {
	p := minisignPairs(t)[0]
	text := string(p.signature)
	lines := strings.SplitAfter(text, "\n")
	require.Len(t, lines, 5)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"as written":              {text, nil},
		"no line end at the end":  {strings.TrimSuffix(text, "\n"), nil},
		"line ends of Windows":    {strings.ReplaceAll(text, "\n", "\r\n"), nil},
		"other untrusted comment": {strings.Replace(text, "from a test", "from somebody else", 1), nil},
		"trusted comment":         {strings.Replace(text, "version:2.4.1", "version:2.4.9", 1), format.ErrBadSignature},
		"version twice":           {strings.Replace(text, "product:lamp", "version:3", 1), format.ErrMalformed},
		"a line more":             {text + "x\n", format.ErrTrailing},
		"an empty line more":      {text + "\n", format.ErrTrailing},
		"blank in base64":         {strings.Replace(text, lines[1], " "+lines[1], 1), format.ErrMalformed},
		"carriage return inside":  {lines[0] + lines[1][:20] + "\r" + lines[1][20:] + lines[2] + lines[3], format.ErrMalformed},
		"no global signature":     {lines[0] + lines[1] + lines[2], format.ErrMalformed},
		"only two lines":          {lines[0] + lines[1], format.ErrMalformed},
		"long comment":            {untrustedPrefix + strings.Repeat("x", 2000) + "\n" + lines[1] + lines[2] + lines[3], format.ErrMalformed},
	} {
		r, _, err := p.with([]byte(c.text), p.artifact).verify()
		require.ErrorIs(t, err, c.want, name)
		assert.Equal(t, c.want == nil, r.Verified, name)
	}
}

// TestStrippedMinisign is the signature whose trusted comment was cut off: of the old
// kind it is, byte for byte, a signature of signify, and may only pass under a key that was given as one.
func TestStrippedMinisign(t *testing.T) {
	for _, p := range minisignPairs(t) {
		two := bytes.Join(bytes.SplitAfter(p.signature, []byte("\n"))[:2], nil)
		_, _, err := p.with(two, p.artifact).verify()
		require.Error(t, err, p.name)
	}
}

func TestNumberedKeys(t *testing.T) {
	key := public(t, "ed25519")
	mini, sign := MarshalKey("minisign public key 0807060504030201", number, key), MarshalKey("maker public key", number, key)
	bare := bytes.SplitAfter(mini, []byte("\n"))[1]
	for name, c := range map[string]struct {
		b                 []byte
		minisign, signify bool
	}{
		"minisign":      {mini, true, false},
		"signify":       {sign, false, true},
		"bare":          {bare, true, false},
		"nothing":       {nil, false, false},
		"a signature":   {minisignPairs(t)[0].signature, false, false},
		"with a tail":   {append(bytes.Clone(sign), 'x'), false, false},
		"PEM":           {[]byte("-----BEGIN PUBLIC KEY-----\n"), false, false},
		"one line only": {[]byte("untrusted comment: minisign"), false, false},
	} {
		assert.Equal(t, c.minisign, anchorsMinisign(c.b), name)
		assert.Equal(t, c.signify, anchorsSignify(c.b), name)
	}
	assert.Equal(t, "0807060504030201", keyNumber(number))
	assert.Equal(t, "a?b?c??d", printable("a\x1bb\x7fc\u202e\xffd"))
}

func TestSignifyNamesTheFile(t *testing.T) {
	for _, p := range signifyPairs(t) {
		r, _, err := p.verify()
		require.NoError(t, err)
		if p.name == "signify-list" {
			assert.Contains(t, r.Image.Notes, "The list knows this file as fw.bin.")
			assert.Equal(t, "fw.bin", r.Chain[len(r.Chain)-1].Name)
		}
	}
	for text, want := range map[string]int{
		"SHA256 (a) = " + strings.Repeat("0", 64) + "\n": 1,
		"SHA256 (a) = 00\n": 0,
		"SHA256 (a) = " + strings.Repeat("0", 64) + "\nrm -rf\n": 0,
		"MD5 (a) = " + strings.Repeat("0", 32) + "\n":            0,
		"": 0,
	} {
		assert.Len(t, parseSums([]byte(text)), want, text)
	}
}

func TestCompareVersions(t *testing.T) {
	for pair, want := range map[[2]string]int{{"1.2", "1.10"}: -1, {"1.2.0", "1.2"}: 0, {"v2", "1.9"}: 1, {"2026.11", "2026.9"}: 1} {
		n, err := compareVersions(pair[0], pair[1])
		require.NoError(t, err)
		assert.Equal(t, want, n, pair)
	}
	for _, s := range []string{"", "1.", "1.a", "-1", strings.Repeat("1.", 20) + "1", "99999999999999999999"} {
		_, err := compareVersions(s, "1")
		require.Error(t, err, s)
		_, err = compareVersions("1", s)
		require.Error(t, err, s)
	}
}

// TestDigestAsFile: the algorithm's two letters are not signed, so that a signature of a file's
// digest becomes one of the old kind, and the digest the file.
func TestDigestAsFile(t *testing.T) {
	p := minisignPairs(t)[0]
	line, rest, err := parseSignatureLine(p.signature)
	require.NoError(t, err)
	line.algorithm = algorithmPure
	sum := blake2b.Sum512(p.artifact)
	p.signature, p.artifact = append(line.append(nil), rest...), sum[:]
	require.True(t, ed25519.Verify(public(t, "ed25519"), p.artifact, line.value[:]), "the signature itself fits")
	_, _, err = p.verify()
	require.ErrorIs(t, err, format.ErrNotBound)
}
