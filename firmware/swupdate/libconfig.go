package swupdate

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// parseLibconfig reads the syntax of libconfig (its manual, chapter Configuration Files)
// into the types of format.ParseJSON: groups are map[string]any, arrays and lists []any,
// numbers json.Number. No setting may come twice in a group, and @include is refused: what
// it names is not in what was signed.
func parseLibconfig(text []byte) (map[string]any, error) {
	p := &config{text: text}
	group := map[string]any{}
	for {
		p.space()
		if p.err != nil || p.pos == len(p.text) {
			return group, p.err
		}
		p.setting(group, 0)
		if p.err != nil {
			return nil, p.err
		}
	}
}

const configDepth = 32

type config struct {
	text []byte
	pos  int
	err  error
}

func (p *config) fail(text string, args ...any) {
	if p.err == nil {
		line := 1 + bytes.Count(p.text[:p.pos], []byte("\n"))
		p.err = format.Malformed("line %d: "+text, append([]any{line}, args...)...)
	}
}

func (p *config) peek() byte {
	if p.err != nil || p.pos >= len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *config) accept(c byte) bool {
	if p.peek() == c && p.pos < len(p.text) {
		p.pos++
		return true
	}
	return false
}

// space skips white space and the three kinds of comments.
func (p *config) space() {
	for p.err == nil && p.pos < len(p.text) {
		rest := p.text[p.pos:]
		switch c := rest[0]; {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			p.pos++
		case c == '#' || len(rest) > 1 && c == '/' && rest[1] == '/':
			if end := bytes.IndexByte(rest, '\n'); end >= 0 {
				p.pos += end
			} else {
				p.pos = len(p.text)
			}
		case len(rest) > 1 && c == '/' && rest[1] == '*':
			end := bytes.Index(rest[2:], []byte("*/"))
			if end < 0 {
				p.fail("comment without end")
				return
			}
			p.pos += end + 4
		default:
			return
		}
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// setting reads name, ':' or '=', value, and what may end it.
func (p *config) setting(group map[string]any, depth int) {
	start := p.pos
	if c := p.peek(); c == '@' {
		p.fail("directives are not read: what they name is not signed")
		return
	} else if !isLetter(c) && c != '*' {
		p.fail("%q where a name should be", c)
		return
	}
	for c := p.peek(); isLetter(c) || isDigit(c) || c != 0 && strings.IndexByte("-_*", c) >= 0; c = p.peek() {
		p.pos++
	}
	name := string(p.text[start:p.pos])
	p.space()
	if !p.accept('=') && !p.accept(':') {
		p.fail("%.60q without a value", name)
		return
	}
	v := p.value(depth + 1)
	if _, twice := group[name]; twice {
		p.fail("%.60q twice", name)
	}
	group[name] = v
	p.space()
	if !p.accept(';') {
		p.accept(',')
	}
}

func (p *config) value(depth int) any {
	p.space()
	if depth > configDepth {
		p.fail("nested deeper than %d", configDepth)
		return nil
	}
	switch c := p.peek(); {
	case c == '{':
		p.pos++
		return p.group(depth)
	case c == '[' || c == '(':
		p.pos++
		return p.list(c, depth)
	case c == '"':
		return p.str()
	}
	return p.scalar()
}

func (p *config) group(depth int) any {
	group := map[string]any{}
	for {
		p.space()
		if p.accept('}') {
			return group
		}
		if p.err != nil || p.pos >= len(p.text) {
			p.fail("group without end")
			return group
		}
		p.setting(group, depth)
	}
}

// list reads an array, whose values are scalars, or a list, which takes all.
func (p *config) list(open byte, depth int) any {
	closing, items := byte(')'), []any{}
	if open == '[' {
		closing = ']'
	}
	for {
		p.space()
		if p.accept(closing) {
			return items
		}
		v := p.value(depth + 1)
		switch v.(type) {
		case map[string]any, []any:
			if open == '[' {
				p.fail("an array holds numbers and texts only")
			}
		}
		items = append(items, v)
		p.space()
		if !p.accept(',') && p.peek() != closing {
			p.fail("list without end")
			return items
		}
	}
}

// str reads a string, or several in a row, which are one.
func (p *config) str() any {
	var b strings.Builder
	for p.accept('"') {
		for {
			c := p.peek()
			if p.err != nil || p.pos >= len(p.text) || c == 0 {
				p.fail("string without end")
				return ""
			}
			p.pos++
			if c == '"' {
				break
			}
			if c == '\\' {
				c = p.escape()
			}
			b.WriteByte(c)
		}
		p.space()
	}
	return b.String()
}

func (p *config) escape() byte {
	c := p.peek()
	p.pos++
	if i := strings.IndexByte(`\"nrtfabv`, c); i >= 0 && c != 0 {
		return "\\\"\n\r\t\f\a\b\v"[i]
	}
	if c == 'x' && p.pos+2 <= len(p.text) {
		if n, err := strconv.ParseUint(string(p.text[p.pos:p.pos+2]), 16, 8); err == nil && n != 0 {
			p.pos += 2
			return byte(n)
		}
	}
	p.fail("unknown escape")
	return 0
}

// scalar reads a boolean or a number.
func (p *config) scalar() any {
	start := p.pos
	for c := p.peek(); isLetter(c) || isDigit(c) || c != 0 && strings.IndexByte("+-.", c) >= 0; c = p.peek() {
		p.pos++
	}
	word := string(p.text[start:p.pos])
	switch strings.ToLower(word) {
	case "true":
		return true
	case "false":
		return false
	}
	digits := strings.TrimSuffix(strings.TrimSuffix(word, "L"), "L")
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return json.Number(strconv.FormatInt(n, 10))
	}
	if n, err := strconv.ParseUint(strings.ToLower(digits), 0, 64); err == nil && strings.HasPrefix(strings.ToLower(digits), "0x") {
		return json.Number(strconv.FormatUint(n, 10))
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil && isDigit(strings.TrimLeft(word, "+-.")[0]) {
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
	}
	p.fail("%.60q is no value", word)
	return nil
}
