package evidence

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"assay/firmware/strictjson"
)

// Bounds for what is read; a journal beyond them is refused when it is written, too.
const (
	maxLine    = 16 << 20
	maxJournal = 512 << 20
	maxDepth   = 64
)

// genesis is prev of the first record.
var genesis = strings.Repeat("0", 2*sha256.Size)

// encodeLine builds a record's line without its newline. The field order is fixed
// and the body stands as it was encoded once: digests are over these very bytes.
func encodeLine(r Record) []byte {
	if r.Leaf != "" {
		return []byte(`{"withheld":"` + r.Leaf + `"}`)
	}
	b := make([]byte, 0, len(r.Body)+192)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","kind":"`...)
	b = append(b, r.Kind...) // a known kind and hex digits need no escaping
	b = append(b, `","prev":"`...)
	b = append(b, r.Prev...)
	if r.Salt != "" {
		b = append(b, `","salt":"`...)
		b = append(b, r.Salt...)
	}
	b = append(b, `","body":`...)
	b = append(b, r.Body...)
	return append(b, '}')
}

// parseLine reads one line strictly: what encodeLine would not write again byte by
// byte is refused, so two readers can never see two different records in it.
func parseLine(line []byte) (Record, error) {
	if len(line) > maxLine {
		return Record{}, fmt.Errorf("%d bytes, more than %d", len(line), maxLine)
	}
	if !utf8.Valid(line) {
		return Record{}, errors.New("not UTF-8")
	}
	var w struct {
		Seq  uint64          `json:"seq"`
		Time time.Time       `json:"time"`
		Kind string          `json:"kind"`
		Prev string          `json:"prev"`
		Salt string          `json:"salt"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(line, &w); err != nil {
		return Record{}, fmt.Errorf("not a record: %w", err)
	}
	if !slices.Contains(Kinds, w.Kind) {
		return Record{}, fmt.Errorf("unknown kind %.40q", w.Kind)
	}
	if _, err := hex.DecodeString(w.Prev); err != nil || len(w.Prev) != 2*sha256.Size {
		return Record{}, errors.New("prev is not a SHA-256 digest")
	}
	if _, err := hex.DecodeString(w.Salt); err != nil || len(w.Salt) != 0 && len(w.Salt) != 2*saltSize {
		return Record{}, errors.New("salt is not 32 hex digits")
	}
	sum := sha256.Sum256(line)
	r := Record{Seq: w.Seq, Time: w.Time.UTC(), Kind: w.Kind, Prev: w.Prev, Salt: w.Salt, Body: w.Body, Digest: hex.EncodeToString(sum[:])}
	if !bytes.Equal(encodeLine(r), line) {
		return Record{}, errors.New("not in the form a journal is written in")
	}
	if err := checkBody(w.Body); err != nil {
		return Record{}, fmt.Errorf("body: %w", err)
	}
	return r, nil
}

// checkBody demands a compact JSON object without a key that occurs twice: readers
// differ in which of the two they believe.
func checkBody(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return errors.New("not a JSON object")
	}
	var c bytes.Buffer
	if err := json.Compact(&c, b); err != nil {
		return err
	}
	if !bytes.Equal(c.Bytes(), b) {
		return errors.New("white space between tokens")
	}
	return strictjson.Exact(b, maxDepth)
}

// saltSize is how many random bytes a salt has.
const saltSize = 16

// newSalt is the salt of a record of a kind that a redacted copy may leave out; empty for the others.
func newSalt(kind string) string {
	if !slices.Contains(Withholdable, kind) {
		return ""
	}
	b := make([]byte, saltSize)
	_, _ = rand.Read(b) // never fails, says crypto/rand
	return hex.EncodeToString(b)
}

// parseWithheld reads the line that stands for a record that was left out.
func parseWithheld(line []byte) (leaf string, ok bool) {
	s, ok := strings.CutPrefix(string(line), `{"withheld":"`)
	if !ok {
		return "", false
	}
	s, ok = strings.CutSuffix(s, `"}`)
	return s, ok && isDigest(s)
}

// encodeBody encodes a record's body. Text stays readable: no HTML escaping.
func encodeBody(body any) (json.RawMessage, error) {
	if body == nil {
		return json.RawMessage("{}"), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// chain is a journal as read: its records, their exact lines, and the length of a
// last line without a newline, which a crash left behind and nobody was promised.
type chain struct {
	records []Record
	lines   [][]byte
	torn    int64
	tail    []byte // that line
}

// whole is the length of the finished lines.
func (c *chain) whole() int64 {
	var n int64
	for _, l := range c.lines {
		n += int64(len(l)) + 1
	}
	return n
}

// parseJournal reads a journal and checks its chain: seq without a gap, prev the
// digest of the line before, time never running backwards.
func parseJournal(b []byte) (*chain, error) {
	c := &chain{}
	prev, last := genesis, time.Time{}
	for n := 1; len(b) > 0; n++ {
		line, rest, finished := bytes.Cut(b, []byte("\n"))
		if !finished {
			c.torn, c.tail = int64(len(line)), line
			break
		}
		b = rest
		if leaf, ok := parseWithheld(line); ok {
			// Whatever followed it names its digest; the root holds its leaf.
			c.records = append(c.records, Record{Seq: uint64(n), Time: last, Kind: KindWithheld, Leaf: leaf})
			c.lines, prev = append(c.lines, line), ""
			continue
		}
		r, err := parseLine(line)
		if err != nil {
			return nil, broken(layerChain, lineName(n), "%v", err)
		}
		switch {
		case r.Seq != uint64(n):
			return nil, broken(layerChain, lineName(n), "seq is %d where %d belongs", r.Seq, n)
		case r.Prev != prev && prev != "":
			b := broken(layerChain, lineName(n), "prev is not the digest of the line before")
			b.link = n
			return c, b
		case r.Time.Before(last):
			return nil, broken(layerChain, lineName(n), "its time %s is before the line before", r.Time.Format(time.RFC3339Nano))
		}
		prev, last = r.Digest, r.Time
		c.records = append(c.records, r)
		c.lines = append(c.lines, line)
	}
	return c, nil
}
