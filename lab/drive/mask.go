package drive

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// A mask takes secrets out of what people will read. It knows them as they are and in the
// spellings that protocols give them.
type mask struct {
	words []string // longest first, so that no secret survives in part within another
}

func newMask(secrets ...string) *mask {
	m := &mask{}
	for _, s := range secrets {
		m.add(s)
	}
	return m
}

func (m *mask) add(secret string) {
	if secret == "" {
		return
	}
	quoted, _ := json.Marshal(secret)
	words := []string{
		secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	if key, isHex := strings.CutPrefix(secret, "hex:"); isHex && key != "" {
		words = append(words, key, strings.ToLower(key), strings.ToUpper(key))
	}
	for _, w := range words {
		if w != "" && !slices.Contains(m.words, w) {
			m.words = append(m.words, w)
		}
	}
	slices.SortStableFunc(m.words, func(a, b string) int { return len(b) - len(a) })
}

// clean replaces every secret.
func (m *mask) clean(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		i, n := m.next(s)
		b.WriteString(s[:i])
		if n == 0 {
			break
		}
		b.WriteString("***")
		s = s[i+n:]
	}
	return b.String()
}

// next finds the first secret in s: where it begins and how long the longest one there is.
func (m *mask) next(s string) (at, length int) {
	at = len(s)
	for _, w := range m.words {
		if i := strings.Index(s, w); i >= 0 && i < at {
			at, length = i, len(w)
		}
	}
	return at, length
}

// detail makes one short printable line without secrets.
func (m *mask) detail(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return ' '
	}, m.clean(s))
	return shorten(strings.Join(strings.Fields(s), " "), maxDetail)
}

// wrap hides secrets in an error's words. What it wraps answers errors.Is, and no more.
func (m *mask) wrap(err error) error { return maskedError{m.clean(err.Error()), err} }

type maskedError struct {
	words string
	cause error
}

func (e maskedError) Error() string        { return e.words }
func (e maskedError) Is(target error) bool { return errors.Is(e.cause, target) }
