package suit

import (
	"fmt"

	"assay/firmware/format"

	"github.com/fxamacker/cbor/v2"
)

// parameters are those of one component.
type parameters map[int64]cbor.RawMessage

const maxSequenceDepth = 8

// parseSequence reads a flat list of number and argument, with what is nested in it.
func (m *manifest) parseSequence(b []byte) ([]command, error) { return m.sequenceAt(b, 0) }

func (m *manifest) sequenceAt(b []byte, depth int) ([]command, error) {
	if depth > maxSequenceDepth {
		return nil, format.Malformed("sequences nested deeper than %d", maxSequenceDepth)
	}
	if err := deterministic(b); err != nil {
		return nil, err
	}
	list, err := asList(b)
	if err != nil {
		return nil, err
	}
	if len(list)%2 != 0 {
		return nil, format.Malformed("a sequence of %d items, want pairs", len(list))
	}
	seq := make([]command, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		c := command{arg: list[i+1]}
		if c.number, err = asInt(list[i]); err != nil {
			return nil, err
		}
		if err := m.parseArgument(&c, depth); err != nil {
			return nil, inside(fmt.Sprintf("command %d", c.number), err)
		}
		seq = append(seq, c)
	}
	return seq, nil
}

// parseArgument reads it once; a command may be followed many times.
func (m *manifest) parseArgument(c *command, depth int) (err error) {
	switch c.number {
	case dirIndex:
		c.index, err = m.indexList(c.arg)
		return err
	case dirOverride:
		c.params, err = m.parseParameters(c.arg)
		return err
	case dirOverrideMany:
		c.many, err = m.parametersByIndex(c.arg)
		return err
	case dirCopyParameters:
		c.from, err = m.sources(c.arg)
		return err
	case dirRun:
		return m.nest(c, c.arg, depth)
	case dirTryEach:
		branches, err := asList(c.arg)
		if err != nil {
			return err
		}
		if len(branches) == 0 {
			return format.Malformed("nothing to try")
		}
		for i, b := range branches {
			if i == len(branches)-1 && len(b) == 1 && b[0] == cborNull {
				c.orNone = true
				continue
			}
			if err := m.nest(c, b, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *manifest) nest(c *command, raw cbor.RawMessage, depth int) error {
	body, err := wrapped(raw)
	if err != nil {
		return err
	}
	seq, err := m.sequenceAt(body, depth+1)
	c.nested = append(c.nested, seq)
	return err
}

// indexList reads the argument of set-component-index: a number, a list, or all.
func (m *manifest) indexList(raw cbor.RawMessage) ([]int, error) {
	var list []uint64
	switch majorOf(raw) {
	case majorUint:
		n, err := asUint(raw)
		if err != nil {
			return nil, err
		}
		list = []uint64{n}
	case majorArray:
		parts, err := asList(raw)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			n, err := asUint(p)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		if len(list) == 0 {
			return nil, format.Malformed("an empty list of components")
		}
	default:
		if len(raw) != 1 || raw[0] != cborTrue {
			return nil, format.Malformed("a component index that is neither number, list nor true")
		}
		for i := range m.components {
			list = append(list, uint64(i))
		}
	}
	out := make([]int, len(list))
	for i, n := range list {
		if n >= uint64(m.indexes) {
			return nil, format.Malformed("component index %d of %d", n, m.indexes)
		}
		out[i] = int(n)
	}
	return out, nil
}

func (m *manifest) parametersByIndex(raw cbor.RawMessage) (map[int]parameters, error) {
	by, err := fieldsOf(raw)
	if err != nil {
		return nil, err
	}
	out := map[int]parameters{}
	for index, raw := range by {
		if index >= uint64(m.indexes) {
			return nil, format.Malformed("component index %d of %d", index, m.indexes)
		}
		if out[int(index)], err = m.parseParameters(raw); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sources reads the argument of copy-parameters: component index -> numbers of parameters.
func (m *manifest) sources(raw cbor.RawMessage) (map[int][]int64, error) {
	by, err := fieldsOf(raw)
	if err != nil {
		return nil, err
	}
	out := map[int][]int64{}
	for index, raw := range by {
		if index >= uint64(m.indexes) {
			return nil, format.Malformed("component index %d of %d", index, m.indexes)
		}
		parts, err := asList(raw)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			n, err := asInt(p)
			if err != nil {
				return nil, err
			}
			out[int(index)] = append(out[int(index)], n)
		}
	}
	return out, nil
}

func (m *manifest) parseParameters(raw cbor.RawMessage) (parameters, error) {
	p, err := mapOf(raw, asInt)
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, format.Malformed("no parameters")
	}
	for number, v := range p {
		if err := m.checkParameter(number, v); err != nil {
			return nil, inside(fmt.Sprintf("parameter %d", number), err)
		}
	}
	return p, nil
}

func (m *manifest) checkParameter(number int64, v cbor.RawMessage) error {
	p := parameters{number: v}
	switch number {
	case paramVendor, paramClass, paramDevice:
		if number == paramVendor && majorOf(v) == majorTag {
			return nil // a private enterprise number
		}
		id, err := asBytes(v)
		if err != nil {
			return err
		}
		if len(id) != 16 {
			return format.Malformed("a UUID of %d bytes", len(id))
		}
	case paramDigest:
		_, _, err := p.digest()
		return err
	case paramSize, paramSlot:
		_, _, err := p.number(number)
		return err
	case paramSource:
		n, _, err := p.number(number)
		if err == nil && n >= uint64(m.indexes) {
			err = format.Malformed("component index %d of %d", n, m.indexes)
		}
		return err
	case paramURI:
		_, err := asText(v)
		return err
	case paramContent:
		_, err := asBytes(v)
		return err
	case paramSoft:
		if len(v) != 1 || v[0] != cborTrue && v[0] != cborFalse {
			return format.Malformed("neither true nor false")
		}
	}
	return nil
}

func (p parameters) number(key int64) (n uint64, ok bool, err error) {
	raw, ok := p[key]
	if !ok {
		return 0, false, nil
	}
	n, err = asUint(raw)
	return n, true, err
}

func (p parameters) digest() (d Digest, ok bool, err error) {
	raw, ok := p[paramDigest]
	if !ok {
		return Digest{}, false, nil
	}
	body, err := asBytes(raw)
	if err != nil {
		return Digest{}, false, err
	}
	d, err = parseDigest(body)
	return d, true, err
}

func (p parameters) text(key int64) string {
	s, _ := asText(p[key]) // checked when it was parsed; absent is empty
	return s
}

func (p parameters) bytes(key int64) []byte {
	b, _ := asBytes(p[key])
	return b
}

// each visits every command, nested ones too.
func each(seq []command, visit func(command)) {
	for _, c := range seq {
		visit(c)
		for _, n := range c.nested {
			each(n, visit)
		}
	}
}

// overrides visits every set of parameters, wherever it stands.
func (m *manifest) overrides(visit func(parameters)) {
	see := func(c command) {
		switch c.number {
		case dirOverride:
			visit(c.params)
		case dirOverrideMany:
			for i := range m.indexes {
				if c.many[i] != nil {
					visit(c.many[i])
				}
			}
		}
	}
	each(m.shared, see)
	for _, key := range append(append(updateOrder(), bootOrder()...), keyUninstall) {
		each(m.sequences[key], see)
	}
}
