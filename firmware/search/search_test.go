package search

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func searcher(t testing.TB, secrets map[string]string) *Searcher {
	s, err := New(secrets)
	require.NoError(t, err)
	return s
}

// filling is bytes in which nothing is found.
func filling(n int) []byte { return bytes.Repeat([]byte{'.'}, n) }

func TestEncodings(t *testing.T) {
	const secret = `Canary "7" & Käse/`
	for _, tc := range []struct {
		name string
		text string
		want Encoding
		at   int64
	}{
		{"as it is", secret, Plain, 0},
		{"hex", fmt.Sprintf("%x", secret), Hex, 0},
		{"upper hex", fmt.Sprintf("%X", secret), HexUpper, 0},
		{"base64", base64.StdEncoding.EncodeToString([]byte(secret)), Base64, 0},
		{"base64 behind one byte", base64.StdEncoding.EncodeToString([]byte("x" + secret + "y")), Base64, 2},
		{"base64 behind two bytes", base64.RawStdEncoding.EncodeToString([]byte("xx" + secret + "yyy")), Base64, 3},
		{"base64 behind three bytes", base64.StdEncoding.EncodeToString([]byte("xxx" + secret)), Base64, 4},
		{"utf-16 little endian", inUTF16(secret, binary.LittleEndian), UTF16LE, 0},
		{"utf-16 big endian", inUTF16(secret, binary.BigEndian), UTF16BE, 0},
		{"query", "Canary+%227%22+%26+K%C3%A4se%2F", URL, 0},
		{"query in lower case", "Canary+%227%22+%26+K%c3%a4se%2f", URL, 0},
		{"path", "Canary%20%227%22%20&%20K%C3%A4se%2F", URL, 0},
		{"json", `Canary \"7\" & Käse/`, JSON, 0},
		{"json for a page", `Canary \"7\" \u0026 Käse/`, JSON, 0},
		{"backwards", reversed(secret), Reversed, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := searcher(t, map[string]string{"canary": secret, "other": "never there"})
			b := append(filling(1000), tc.text...)
			b = append(b, filling(50)...)
			hits, err := s.Scan(t.Context(), bytes.NewReader(b))
			require.NoError(t, err)
			require.Equal(t, []Hit{{"canary", tc.want, 1000 + tc.at}}, hits)
			require.Equal(t, hits, s.Bytes(b))
		})
	}
}

func TestBase64URL(t *testing.T) {
	secret := "\xfb\xff\xfe\xfb\xff\xfe\xfb\xff"
	s := searcher(t, map[string]string{"key": secret})
	for align := range 3 {
		text := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", align) + secret + "tail"))
		hits := s.Bytes([]byte(text))
		require.Len(t, hits, 1)
		assert.Equal(t, Base64URL, hits[0].Encoding)
	}
}

func TestScanAcrossReads(t *testing.T) {
	s := searcher(t, map[string]string{"short": "secret-1", "long": strings.Repeat("long-secret.", 20)})
	// Around the borders of what is read at once, through readers that give a byte or a half at a time.
	for _, at := range []int{0, chunk - 300, chunk - 8, chunk - 7, chunk - 1, chunk, chunk + 1, 2*chunk - 4} {
		b := filling(at)
		b = append(b, "secret-1"...)
		b = append(b, strings.Repeat("long-secret.", 20)...)
		b = append(b, "secret-1"...)
		b = append(b, filling(100)...)
		want := []Hit{{"short", Plain, int64(at)}, {"long", Plain, int64(at + 8)}, {"short", Plain, int64(at + 248)}}
		for name, r := range map[string]io.Reader{
			"whole":               bytes.NewReader(b),
			"halves":              iotest.HalfReader(bytes.NewReader(b)),
			"odd":                 oddReader{bytes.NewReader(b)},
			"data with the error": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			hits, err := s.Scan(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, want, hits, "%s at %d", name, at)
		}
	}
	hits, err := s.Scan(t.Context(), iotest.OneByteReader(strings.NewReader("xsecret-1x")))
	require.NoError(t, err)
	require.Equal(t, []Hit{{"short", Plain, 1}}, hits)
}

// oddReader gives 1000 bytes at most, so that borders fall everywhere.
type oddReader struct{ r io.Reader }

func (o oddReader) Read(b []byte) (int, error) { return o.r.Read(b[:min(len(b), 1000)]) }

func TestScanStops(t *testing.T) {
	s := searcher(t, map[string]string{"canary": "canary-1"})

	broken := io.MultiReader(strings.NewReader("..canary-1.."), iotest.ErrReader(errors.New("cable pulled")))
	hits, err := s.Scan(t.Context(), broken)
	require.ErrorContains(t, err, "search at offset 12: cable pulled")
	require.Equal(t, []Hit{{"canary", Plain, 2}}, hits, "what was found counts")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Scan(ctx, endless{})
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.Scan(ctx, endless{})
	require.ErrorIs(t, err, context.DeadlineExceeded)

	_, err = s.Scan(t.Context(), silent{})
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestRepetitionIsBounded(t *testing.T) {
	s := searcher(t, map[string]string{"canary": "aaaaaa"})
	hits, err := s.Scan(t.Context(), bytes.NewReader(bytes.Repeat([]byte{'a'}, 3*chunk)))
	require.NoError(t, err)
	require.Len(t, hits, MaxPlaces)
}

func TestSameValueTwice(t *testing.T) {
	s := searcher(t, map[string]string{"wifi": "shared-key", "admin": "shared-key"})
	require.Equal(t, []Hit{{"admin", Plain, 2}, {"wifi", Plain, 2}}, s.Bytes([]byte("..shared-key..")))
	// Digits look alike in both cases of hex, and base64 in both alphabets: listed once.
	s = searcher(t, map[string]string{"pin": "12345678"})
	require.Equal(t, []Hit{{"pin", Hex, 0}}, s.Bytes([]byte("3132333435363738")))
}

func TestNewRefuses(t *testing.T) {
	_, err := New(nil)
	require.ErrorIs(t, err, ErrNothing)
	_, err = New(map[string]string{"good": "long enough", "pin": "12345"})
	require.ErrorIs(t, err, ErrTooWeak)
	require.ErrorIs(t, err, ErrSecret)
	require.ErrorContains(t, err, `search for "pin"`)
	require.NotContains(t, err.Error(), "12345")
	_, err = New(map[string]string{"blob": strings.Repeat("x", MaxLength+1)})
	require.ErrorIs(t, err, ErrTooLong)
	_, err = New(map[string]string{"blob": strings.Repeat("x", MaxLength)})
	require.NoError(t, err)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	s := searcher(t, map[string]string{"canary": "canary-1"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "search for 9 patterns", fmt.Sprintf(verb, s), verb)
		assert.Equal(t, "search for 9 patterns", fmt.Sprintf(verb, *s), verb)
	}
}

// TestAgainstThePlainWay compares with one bytes.Index per pattern over random text of
// few letters, which is where tables go wrong.
func TestAgainstThePlainWay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab"[r.IntN(2)]
		}
		return string(b)
	}
	for range 200 {
		secrets := map[string]string{}
		for i := range 1 + r.IntN(5) {
			secrets[fmt.Sprint(i)] = letters(MinLength + r.IntN(6))
		}
		s := searcher(t, secrets)
		text := []byte(letters(600 + r.IntN(600)))
		found := map[[2]int]int{}
		s.table.each(text, func(at, which int) { found[[2]int{at, which}]++ })
		total := 0
		for which, p := range s.patterns {
			for at := range text {
				if bytes.HasPrefix(text[at:], p.bytes) {
					total++
					require.Equal(t, 1, found[[2]int{at, which}])
				}
			}
		}
		require.Len(t, found, total)
	}
}

// TestReadersAgree has one reader and as many as there are processors find the same places, also
// those that lie across two chunks, and no more than are listed.
func TestReadersAgree(t *testing.T) {
	s := searcher(t, map[string]string{"canary": "canary-0123456789", "other": "another-secret-987"})
	r := rand.New(rand.NewPCG(7, 8))
	data := make([]byte, 5*chunk+100)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	for _, at := range []int{0, chunk - 1, chunk - 17, chunk - 9, 2*chunk - 30, 3*chunk + 5, len(data) - 17} {
		copy(data[at:], "canary-0123456789")
	}
	for at := 4 * chunk; at < 4*chunk+100*18; at += 18 {
		copy(data[at:], "another-secret-987")
	}
	want, err := s.Scan(t.Context(), bytes.NewReader(data))
	require.NoError(t, err)
	require.Greater(t, len(want), MaxPlaces)
	got, err := s.ScanAt(t.Context(), bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	require.Equal(t, want, got)

	_, err = s.ScanAt(t.Context(), bytes.NewReader(data), int64(len(data))+1)
	require.ErrorIs(t, err, io.EOF)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.ScanAt(cancelled, bytes.NewReader(data), int64(len(data)))
	require.ErrorIs(t, err, context.Canceled)
	got, err = s.ScanAt(t.Context(), bytes.NewReader(nil), 0)
	require.NoError(t, err)
	require.Empty(t, got)
}

func FuzzScan(f *testing.F) {
	f.Add("canary-1", []byte("..canary-1.."))
	f.Add("Käse \"&\"", []byte("K%C3%A4se"))
	f.Add("\xff\xfe\x00\x01\x02\x03", []byte("//4AAQID"))
	f.Add("aaaaaa", bytes.Repeat([]byte{'a'}, 100))
	f.Fuzz(func(t *testing.T, secret string, text []byte) {
		s, err := New(map[string]string{"secret": secret, "constant": "constant"})
		if err != nil {
			require.ErrorIs(t, err, ErrSecret)
			return
		}
		whole := s.Bytes(text)
		pieces, err := s.Scan(t.Context(), iotest.OneByteReader(bytes.NewReader(text)))
		require.NoError(t, err)
		if len(whole) < MaxPlaces {
			require.Equal(t, whole, pieces)
		} else { // which of too many places are kept depends on how the bytes came
			require.Len(t, pieces, len(whole))
		}
		planted := s.Bytes(append(bytes.Clone(text), secret...))
		if len(whole) < MaxPlaces {
			require.NotEmpty(t, planted)
		}
		for _, p := range s.patterns {
			if bytes.Contains(text, p.bytes) {
				require.True(t, slices.ContainsFunc(whole, p.like), "%s is missed", p.encoding)
			}
		}
		for _, h := range whole {
			require.True(t, slices.ContainsFunc(s.patterns, func(p pattern) bool {
				return p.like(h) && bytes.HasPrefix(text[h.Offset:], p.bytes)
			}), "%s is not there", h.Encoding)
		}
	})
}

func (p pattern) like(h Hit) bool { return h.Name == p.name && h.Encoding == p.encoding }
