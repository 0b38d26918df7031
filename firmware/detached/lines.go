package detached

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"assay/firmware/format"
)

// minisign and signify share their first two lines: a comment that nobody signed, and
// base64 of algorithm[2], key number[8], signature[64] (or public key[32]). See signify.c
// of OpenBSD and https://jedisct1.github.io/minisign/.
const (
	untrustedPrefix = "untrusted comment: "
	trustedPrefix   = "trusted comment: "

	algorithmPure    = "Ed" // over the file itself
	algorithmPrehash = "ED" // over its BLAKE2b-512; minisign only

	// Limits of signify.c and of minisign.h.
	maxComment        = 1024
	maxTrustedComment = 8192
)

// A signatureLine is the second line.
type signatureLine struct {
	comment   string
	algorithm string
	number    [8]byte
	value     [ed25519.SignatureSize]byte
}

// cutLine takes one line off b. A line may end in CR LF, as files that crossed Windows do.
func cutLine(b []byte, limit int) (line string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		i, rest = len(b), nil
	} else {
		rest = b[i+1:]
	}
	if i == 0 || i > limit+2 {
		return "", nil, false
	}
	return strings.TrimSuffix(string(b[:i]), "\r"), rest, true
}

// parseSignatureLine reads the first two lines of b.
func parseSignatureLine(b []byte) (s signatureLine, rest []byte, err error) {
	comment, raw, rest, err := parseHead(b, 2+8+ed25519.SignatureSize)
	if err != nil {
		return s, nil, err
	}
	s.comment, s.algorithm = comment, string(raw[:2])
	copy(s.number[:], raw[2:])
	copy(s.value[:], raw[10:])
	return s, rest, nil
}

func parseHead(b []byte, size int) (comment string, raw, rest []byte, err error) {
	line, rest, ok := cutLine(b, len(untrustedPrefix)+maxComment)
	comment, has := strings.CutPrefix(line, untrustedPrefix)
	if !ok || !has {
		return "", nil, nil, format.Malformed("the first line is no %q", strings.TrimSpace(untrustedPrefix))
	}
	line, rest, ok = cutLine(rest, base64.StdEncoding.EncodedLen(size))
	if !ok {
		return "", nil, nil, format.Malformed("the second line is missing or too long")
	}
	if raw, err = decode64(line, size); err != nil {
		return "", nil, nil, format.Malformed("second line: %v", err)
	}
	return comment, raw, rest, nil
}

type lineError string

func (e lineError) Error() string { return string(e) }

// decode64 takes exactly one spelling of size bytes: the library's decoder would skip line ends.
func decode64(line string, size int) ([]byte, error) {
	if len(line) != base64.StdEncoding.EncodedLen(size) || strings.ContainsAny(line, "\r\n") {
		return nil, lineError("not of the length of a signature")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil {
		return nil, err
	}
	if len(raw) != size {
		return nil, lineError("not of the length of a signature")
	}
	return raw, nil
}

func (s signatureLine) append(b []byte) []byte {
	raw := slices.Concat([]byte(s.algorithm), s.number[:], s.value[:])
	return append(b, untrustedPrefix+s.comment+"\n"+base64.StdEncoding.EncodeToString(raw)+"\n"...)
}

// A numberedKey is a public key of either tool, with the number that its signatures name.
type numberedKey struct {
	number [8]byte
	public ed25519.PublicKey
	from   string
}

// parseNumberedKey reads a .pub file, or its second line alone, as minisign -P takes it.
func parseNumberedKey(b []byte) (k numberedKey, comment string, err error) {
	const size = 2 + 8 + ed25519.PublicKeySize
	var raw []byte
	if bytes.HasPrefix(b, []byte(untrustedPrefix)) {
		var rest []byte
		if comment, raw, rest, err = parseHead(b, size); err != nil {
			return k, "", err
		}
		if len(rest) > 0 {
			return k, "", format.Malformed("%d bytes behind the key", len(rest))
		}
	} else if raw, err = decode64(strings.TrimSpace(string(b[:min(len(b), 128)])), size); err != nil {
		return k, "", format.Malformed("public key: %v", err)
	}
	if string(raw[:2]) != algorithmPure {
		return k, "", format.Malformed("public key of algorithm %q", raw[:2])
	}
	copy(k.number[:], raw[2:])
	k.public = ed25519.PublicKey(raw[10:])
	return k, comment, nil
}

// MarshalKey writes a .pub file of minisign or signify, which differ in what the comment should say.
func MarshalKey(comment string, number [8]byte, public ed25519.PublicKey) []byte {
	raw := slices.Concat([]byte(algorithmPure), number[:], public)
	return []byte(untrustedPrefix + comment + "\n" + base64.StdEncoding.EncodeToString(raw) + "\n")
}

// numbered picks the key that the signature names. Two keys of one number are both tried.
func numbered(anchors []format.Anchor, number [8]byte) ([]numberedKey, error) {
	var found []numberedKey
	for _, a := range anchors {
		k, _, err := parseNumberedKey(a.Bytes)
		if err != nil {
			return nil, format.Wrap(format.ErrNoTrustedKey, "trust file %s: %v", a.From, err)
		}
		if k.number == number {
			k.from = a.From
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil, format.Wrap(format.ErrNoTrustedKey, "the signature names key %s, which is none of the %d given", keyNumber(number), len(anchors))
	}
	return found, nil
}

// keyNumber writes it as minisign prints it: the last byte first.
func keyNumber(n [8]byte) string {
	slices.Reverse(n[:])
	return strings.ToUpper(hex.EncodeToString(n[:]))
}

// printable keeps what a terminal may be shown: a comment is a stranger's text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\ufffd' || r == '\u202e' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
