package expr

import "strings"

// Parts are the conditions that a conjunction joins, in its order, so that a reader sees which of them failed. What
// is no conjunction is its own only part.
func (p *Program) Parts() []*Program {
	var out []*Program
	for _, src := range conjuncts(p.Source) {
		one, err := p.env.compile(src)
		if err != nil || !one.Condition() {
			return []*Program{p}
		}
		out = append(out, one)
	}
	return out
}

// conjuncts cuts a source at the && that stand in no bracket and no text. Beside an || or a ? there, which bind
// weaker, nothing is cut.
func conjuncts(src string) []string {
	var out []string
	depth, from := 0, 0
	quote := byte(0)
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth > 0:
		case c == '?' || strings.HasPrefix(src[i:], "||"):
			return []string{src}
		case strings.HasPrefix(src[i:], "&&"):
			out = append(out, strings.TrimSpace(src[from:i]))
			i++
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(src[from:]))
}
