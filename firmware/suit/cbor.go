package suit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"assay/firmware/format"
)

// Major types of RFC 8949 section 3.1.
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

const (
	cborFalse = 0xf4
	cborTrue  = 0xf5
	cborNull  = 0xf6
)

const maxNesting = 16

// strict refuses duplicate keys, indefinite lengths and depth. What it does not see,
// the length of heads and the order of keys, deterministic does.
var strict = must(cbor.DecOptions{
	DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	IndefLength:      cbor.IndefLengthForbidden,
	IntDec:           cbor.IntDecConvertSignedOrFail,
	UTF8:             cbor.UTF8RejectInvalid,
	TimeTag:          cbor.DecTagIgnored,
	MaxNestedLevels:  maxNesting,
	MaxArrayElements: 4096,
	MaxMapPairs:      256,
}.DecMode())

var encoding = must(cbor.CoreDetEncOptions().EncMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// decode reads exactly one item.
func decode(b []byte, v any) error {
	if err := strict.Unmarshal(b, v); err != nil {
		return format.Malformed("%v", err)
	}
	return nil
}

func encode(v any) []byte { return must(encoding.Marshal(v)) }

// head reads the head of an item. Longer heads than needed and indefinite lengths are
// refused (RFC 8949 section 4.2.1): a digest over a wrapped item covers its head.
func head(b []byte) (major byte, arg uint64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, 0, format.Malformed("nothing where an item should begin")
	}
	major, low := b[0]>>5, b[0]&0x1f
	size := 0
	switch {
	case low < 24:
		return major, uint64(low), 1, nil
	case low < 28:
		size = 1 << (low - 24)
	case low == 31:
		return 0, 0, 0, format.Malformed("indefinite length")
	default:
		return 0, 0, 0, format.Malformed("reserved head 0x%02x", b[0])
	}
	if len(b) < 1+size {
		return 0, 0, 0, format.Malformed("cut within a head")
	}
	var wide [8]byte
	copy(wide[8-size:], b[1:1+size])
	arg = binary.BigEndian.Uint64(wide[:])
	least := []uint64{24, 1 << 8, 1 << 16, 1 << 32}[low-24]
	if major != majorSimple && arg < least {
		return 0, 0, 0, format.Malformed("%d is written longer than needed", arg)
	}
	return major, arg, 1 + size, nil
}

// writeHead is the inverse of head.
func writeHead(major byte, arg uint64) []byte {
	b := encode(arg)
	b[0] |= major << 5
	return b
}

// deterministic holds for exactly one item in the encoding that the draft demands: shortest
// heads, definite lengths, keys in order and so none twice. Both orders that were ever
// called canonical are taken; a byte string is not looked into.
func deterministic(b []byte) error {
	n, err := item(b, 0)
	if err != nil {
		return err
	}
	if n != len(b) {
		return format.Malformed("%d bytes behind the item", len(b)-n)
	}
	return nil
}

func item(b []byte, depth int) (int, error) {
	if depth > maxNesting {
		return 0, format.Malformed("nested deeper than %d", maxNesting)
	}
	major, arg, n, err := head(b)
	if err != nil {
		return 0, err
	}
	switch major {
	case majorBytes, majorText:
		if arg > uint64(len(b)-n) {
			return 0, format.Malformed("a string of %d bytes, %d are left", arg, len(b)-n)
		}
		return n + int(arg), nil
	case majorArray:
		for range arg {
			m, err := item(b[n:], depth+1)
			if err != nil {
				return 0, err
			}
			n += m
		}
	case majorMap:
		m, err := mapPairs(b[n:], arg, depth)
		return n + m, err
	case majorTag:
		m, err := item(b[n:], depth+1)
		return n + m, err
	}
	return n, nil
}

func mapPairs(b []byte, pairs uint64, depth int) (int, error) {
	var n int
	var order keyOrder
	for range pairs {
		k, err := item(b[n:], depth+1)
		if err != nil {
			return 0, err
		}
		if err := order.next(b[n : n+k]); err != nil {
			return 0, err
		}
		n += k
		v, err := item(b[n:], depth+1)
		if err != nil {
			return 0, err
		}
		n += v
	}
	return n, nil
}

// keyOrder follows the keys of one map.
type keyOrder struct {
	last               []byte
	bytewise, byLength bool // already broken
	count              int
}

func (o *keyOrder) next(key []byte) error {
	if o.count++; o.count > 1 {
		c := bytes.Compare(o.last, key)
		if c == 0 {
			return format.Malformed("map key %x twice", key)
		}
		o.bytewise = o.bytewise || c > 0
		o.byLength = o.byLength || len(o.last) > len(key) || len(o.last) == len(key) && c > 0
		if o.bytewise && o.byLength {
			return format.Malformed("map key %x stands behind %x", key, o.last)
		}
	}
	o.last = key
	return nil
}

// wrapped reads a byte string that holds one deterministic item, and returns the item.
func wrapped(raw []byte) ([]byte, error) {
	inner, err := asBytes(raw)
	if err != nil {
		return nil, err
	}
	return inner, deterministic(inner)
}

// The library takes null for any type and looks through tags; these do not.

func as[T any](raw []byte, want string, v *T, majors ...byte) error {
	if len(raw) == 0 || !slices.Contains(majors, raw[0]>>5) {
		return format.Malformed("no %s where one should be", want)
	}
	return decode(raw, v)
}

func asUint(raw []byte) (n uint64, err error) {
	return n, as(raw, "unsigned number", &n, majorUint)
}

func asInt(raw []byte) (n int64, err error) {
	return n, as(raw, "number", &n, majorUint, majorNegative)
}

func asBytes(raw []byte) (b []byte, err error) {
	return b, as(raw, "byte string", &b, majorBytes)
}

func asText(raw []byte) (s string, err error) { return s, as(raw, "text", &s, majorText) }

func asList(raw []byte) (list []cbor.RawMessage, err error) {
	return list, as(raw, "array", &list, majorArray)
}

// A pair is one entry of a map, as encoded.
type pair struct{ key, value []byte }

// pairsOf reads a map in the order in which it is written.
func pairsOf(b []byte) ([]pair, error) {
	if err := deterministic(b); err != nil {
		return nil, err
	}
	if err := strict.Wellformed(b); err != nil {
		return nil, format.Malformed("%v", err)
	}
	major, count, n, err := head(b)
	if err != nil {
		return nil, err
	}
	if major != majorMap {
		return nil, format.Malformed("no map where one should be")
	}
	var pairs []pair
	for range count {
		k, err := item(b[n:], 0)
		if err != nil {
			return nil, err
		}
		v, err := item(b[n+k:], 0)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{b[n : n+k], b[n+k : n+k+v]})
		n += k + v
	}
	return pairs, nil
}

// fieldsOf reads a map with unsigned keys.
func fieldsOf(b []byte) (map[uint64]cbor.RawMessage, error) { return mapOf(b, asUint) }

func mapOf[K comparable](b []byte, keyOf func([]byte) (K, error)) (map[K]cbor.RawMessage, error) {
	pairs, err := pairsOf(b)
	if err != nil {
		return nil, err
	}
	m := make(map[K]cbor.RawMessage, len(pairs))
	for _, p := range pairs {
		k, err := keyOf(p.key)
		if err != nil {
			return nil, inside("map key", err)
		}
		m[k] = p.value
	}
	return m, nil
}

func majorOf(raw cbor.RawMessage) byte {
	if len(raw) == 0 {
		return majorSimple
	}
	return raw[0] >> 5
}

// readHead reads the head at an offset of a file.
func readHead(src format.Source, at int64) (major byte, arg uint64, n int64, err error) {
	b, err := src.Bytes(at, min(9, max(0, src.Size()-at)))
	if err != nil {
		return 0, 0, 0, err
	}
	major, arg, size, err := head(b)
	if err != nil {
		err = fmt.Errorf("offset %d: %w", at, err)
	}
	return major, arg, int64(size), err
}
