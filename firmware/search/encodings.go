package search

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An Encoding is how a secret was written where it was found.
type Encoding string

const (
	Plain     Encoding = "plain"     // byte for byte
	Hex       Encoding = "hex"       // lower case
	HexUpper  Encoding = "hex-upper" // upper case
	Base64    Encoding = "base64"    // RFC 4648 section 4, anywhere inside a longer text
	Base64URL Encoding = "base64url" // RFC 4648 section 5
	UTF16LE   Encoding = "utf-16le"  // little endian
	UTF16BE   Encoding = "utf-16be"  // big endian
	URL       Encoding = "url"       // percent-encoded
	JSON      Encoding = "json"      // with the escapes of a JSON string
	Reversed  Encoding = "reversed"  // the bytes backwards
)

type pattern struct {
	name     string
	encoding Encoding
	bytes    []byte
}

// patternsOf writes one secret in all encodings; those that look alike are listed
// once, under the first.
func patternsOf(name, value string) []pattern {
	var all []pattern
	add := func(e Encoding, text string) {
		b := []byte(text)
		same := func(p pattern) bool { return string(p.bytes) == text }
		if !slices.ContainsFunc(all, same) {
			all = append(all, pattern{name, e, b})
		}
	}
	add(Plain, value)
	lower := hex.EncodeToString([]byte(value))
	add(Hex, lower)
	add(HexUpper, strings.ToUpper(lower))
	for align := range 3 {
		add(Base64, insideBase64(base64.RawStdEncoding, value, align))
		add(Base64URL, insideBase64(base64.RawURLEncoding, value, align))
	}
	add(UTF16LE, inUTF16(value, binary.LittleEndian))
	add(UTF16BE, inUTF16(value, binary.BigEndian))
	for _, escaped := range []string{url.QueryEscape(value), url.PathEscape(value)} {
		add(URL, escaped)
		add(URL, lowerEscapes(escaped))
	}
	for _, quoted := range inJSON(value) {
		add(JSON, quoted)
	}
	add(Reversed, reversed(value))
	return all
}

// insideBase64 returns the characters that value alone decides when it stands at
// align (modulo 3) of the encoded text: those it shares with its neighbours, and the
// padding, are left out.
func insideBase64(e *base64.Encoding, value string, align int) string {
	text := e.EncodeToString(append(make([]byte, align), value...))
	from := (align*8 + 5) / 6
	to := (align + len(value)) * 8 / 6
	return text[from:to]
}

// inUTF16 takes what is no UTF-8 as Latin-1.
func inUTF16(value string, order binary.AppendByteOrder) string {
	var units []uint16
	if utf8.ValidString(value) {
		units = utf16.Encode([]rune(value))
	} else {
		for _, c := range []byte(value) {
			units = append(units, uint16(c))
		}
	}
	var b []byte
	for _, u := range units {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// lowerEscapes turns %2F into %2f; RFC 3986 section 2.1 takes both.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(s[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// inJSON writes value with the fewest escapes, and with those for HTML that Go and
// others add. Bytes that are no UTF-8 have no such form.
func inJSON(value string) []string {
	if !utf8.ValidString(value) {
		return nil
	}
	var forms []string
	for _, html := range []bool{false, true} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(html)
		if err := enc.Encode(value); err != nil {
			continue
		}
		quoted := strings.TrimSuffix(b.String(), "\n")
		forms = append(forms, quoted[1:len(quoted)-1])
	}
	return forms
}

func reversed(value string) string {
	b := []byte(value)
	slices.Reverse(b)
	return string(b)
}
