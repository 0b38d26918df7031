package suit

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/format"

	"github.com/fxamacker/cbor/v2"
)

// A manifest is what is signed.
type manifest struct {
	sequence   uint64
	reference  string
	id         string // suit-manifest-component-id
	setVersion string
	components []string // by their identifiers
	indexes    int      // components and dependencies
	dependency map[int]string

	shared    []command
	sequences map[uint64][]command // those that are there, in the manifest or beside it
	inline    map[uint64]bool      // members that stand in the manifest itself
	severed   map[uint64]Digest    // members that stand beside it, or have been cut off
	unknown   []uint64
}

// A command is one pair of a sequence.
type command struct {
	number int64
	arg    cbor.RawMessage
	nested [][]command        // of try-each and run-sequence
	orNone bool               // try-each: doing nothing is the last choice
	index  []int              // of set-component-index
	params parameters         // of override-parameters
	many   map[int]parameters // of override-multiple
	from   map[int][]int64    // of copy-parameters
}

// isSequence holds for the members that are command sequences.
func isSequence(key uint64) bool {
	return slices.Contains(append(updateOrder(), bootOrder()...), key) || key == keyUninstall
}

// updateOrder and bootOrder are the two procedures of the draft.
func updateOrder() []uint64 { return []uint64{keyDependencies, keyFetch, keyCandidate, keyInstall} }

func bootOrder() []uint64 { return []uint64{keyValidate, keyLoad, keyInvoke} }

func (m *manifest) parse(b []byte) error {
	fields, err := fieldsOf(b)
	if err != nil {
		return err
	}
	m.dependency, m.sequences = map[int]string{}, map[uint64][]command{}
	m.inline, m.severed = map[uint64]bool{}, map[uint64]Digest{}
	for _, key := range []uint64{keyVersion, keySequence, keyCommon} {
		if fields[key] == nil {
			return format.Malformed("no element %d, which every manifest has", key)
		}
	}
	version, err := asUint(fields[keyVersion])
	if err != nil {
		return inside("version", err)
	}
	if version != 1 {
		return format.Malformed("manifest version %d, only 1 is known", version)
	}
	if m.sequence, err = asUint(fields[keySequence]); err != nil {
		return inside("sequence number", err)
	}
	if err := m.parseCommon(fields[keyCommon]); err != nil {
		return inside("common", err)
	}
	keys := make([]uint64, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if key > keyCommon {
			if err := m.parseElement(key, fields[key]); err != nil {
				return inside(memberName(key), err)
			}
		}
	}
	return nil
}

func (m *manifest) parseElement(key uint64, raw cbor.RawMessage) error {
	switch {
	case key == keyReference:
		uri, err := asText(raw)
		m.reference = uri
		return err
	case key == keyComponentID:
		id, err := parseComponent(raw)
		m.id = id
		return err
	case key == keySetVersion:
		return m.parseVersion(raw)
	case majorOf(raw) == majorArray && !slices.Contains(bootOrder(), key) && key != keyUninstall:
		d, err := parseDigest(raw)
		m.severed[key] = d
		return err
	case isSequence(key):
		body, err := wrapped(raw)
		if err != nil {
			return err
		}
		m.inline[key] = true
		m.sequences[key], err = m.parseSequence(body)
		return err
	}
	m.inline[key] = true
	if key != keyText && key != keySoftwareID {
		m.unknown = append(m.unknown, key)
	}
	return nil
}

// parseVersion reads suit-set-version: numbers, -1 to -3 for release candidate, beta, alpha.
func (m *manifest) parseVersion(raw cbor.RawMessage) error {
	body, err := wrapped(raw)
	if err != nil {
		return err
	}
	parts, err := asList(body)
	if err != nil {
		return err
	}
	var text []string
	for _, p := range parts {
		n, err := asInt(p)
		if err != nil {
			return err
		}
		text = append(text, fmt.Sprint(n))
	}
	m.setVersion = strings.Join(text, ".")
	return nil
}

func (m *manifest) parseCommon(raw cbor.RawMessage) error {
	body, err := wrapped(raw)
	if err != nil {
		return err
	}
	fields, err := fieldsOf(body)
	if err != nil {
		return err
	}
	for key := range fields {
		if key != keyCommonDependencies && key != keyCommonComponents && key != keyCommonShared {
			return format.Malformed("unknown element %d", key)
		}
	}
	if raw := fields[keyCommonComponents]; raw != nil {
		list, err := asList(raw)
		if err != nil {
			return inside("components", err)
		}
		if len(list) == 0 || len(list) > maxComponents {
			return format.Malformed("%d components, want 1 to %d", len(list), maxComponents)
		}
		for _, c := range list {
			id, err := parseComponent(c)
			if err != nil {
				return inside("components", err)
			}
			if slices.Contains(m.components, id) {
				return format.Malformed("component %s twice", id)
			}
			m.components = append(m.components, id)
		}
	}
	m.indexes = len(m.components)
	if raw := fields[keyCommonDependencies]; raw != nil {
		if err := m.parseDependencies(raw); err != nil {
			return inside("dependencies", err)
		}
	}
	if raw := fields[keyCommonShared]; raw != nil {
		body, err := wrapped(raw)
		if err != nil {
			return inside("shared sequence", err)
		}
		if m.shared, err = m.parseSequence(body); err != nil {
			return inside("shared sequence", err)
		}
	}
	return nil
}

// parseDependencies reads component index -> {1: prefix} (draft-ietf-suit-trust-domains).
func (m *manifest) parseDependencies(raw cbor.RawMessage) error {
	list, err := fieldsOf(raw)
	if err != nil {
		return err
	}
	for index, meta := range list {
		if index >= maxComponents {
			return format.Malformed("component index %d", index)
		}
		fields, err := fieldsOf(meta)
		if err != nil {
			return err
		}
		id := ""
		if raw := fields[1]; raw != nil {
			if id, err = parseComponent(raw); err != nil {
				return err
			}
		}
		m.dependency[int(index)] = id
		m.indexes = max(m.indexes, int(index)+1)
	}
	return nil
}

// parseComponent reads an identifier, an array of byte strings, and writes it as
// hexadecimal parts with slashes between.
func parseComponent(raw cbor.RawMessage) (string, error) {
	parts, err := asList(raw)
	if err != nil {
		return "", err
	}
	text := make([]string, len(parts))
	for i, p := range parts {
		b, err := asBytes(p)
		if err != nil {
			return "", err
		}
		text[i] = hex.EncodeToString(b)
	}
	return strings.Join(text, "/"), nil
}
