package suit

import (
	"encoding/hex"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"assay/firmware/format"
)

// Labels of COSE headers (RFC 9052 section 3.1).
const (
	labelAlgorithm int64 = 1
	labelCritical  int64 = 2
	labelKeyID     int64 = 4
)

// A block is one COSE structure of the authentication wrapper.
type block struct {
	tag        uint64
	attached   bool // it carries a payload of its own
	body       headers
	signers    []signer    // one, except for COSE_Sign
	recipients []recipient // of COSE_Mac
}

// A signer is one signature or MAC, with the headers that belong to it.
type signer struct {
	headers
	value []byte
}

type headers struct {
	raw       []byte // the protected ones as they were signed
	protected map[any]cbor.RawMessage
	open      map[any]cbor.RawMessage
}

func parseBlock(b []byte) (block, error) {
	major, tag, n, err := head(b)
	if err != nil {
		return block{}, err
	}
	if major != majorTag {
		return block{}, format.Malformed("no COSE tag")
	}
	if err := strict.Wellformed(b); err != nil {
		return block{}, format.Malformed("%v", err)
	}
	blk := block{tag: tag}
	size := map[uint64]int{tagMac0: 4, tagSign1: 4, tagMac: 5, tagSign: 4}[tag]
	if size == 0 {
		return block{}, format.Malformed("tag %d is no signature and no MAC", tag)
	}
	parts, err := asList(b[n:])
	if err != nil {
		return block{}, err
	}
	if len(parts) != size {
		return block{}, format.Malformed("%d parts, want %d", len(parts), size)
	}
	if blk.body, err = parseHeaders(parts[0], parts[1]); err != nil {
		return block{}, err
	}
	if blk.attached = len(parts[2]) != 1 || parts[2][0] != cborNull; blk.attached {
		if _, err := asBytes(parts[2]); err != nil {
			return block{}, inside("payload", err)
		}
	}
	switch tag {
	case tagMac:
		if blk.recipients, err = parseRecipients(parts[4]); err != nil {
			return blk, inside("recipients", err)
		}
		fallthrough
	case tagSign1, tagMac0:
		value, err := asBytes(parts[3])
		blk.signers = []signer{{blk.body, value}}
		return blk, err
	}
	return blk, blk.parseSigners(parts[3])
}

func (blk *block) parseSigners(raw []byte) error {
	list, err := asList(raw)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return format.Malformed("nobody signs")
	}
	for _, raw := range list {
		parts, err := asList(raw)
		if err != nil {
			return err
		}
		if len(parts) != 3 {
			return format.Malformed("a signer of %d parts, want 3", len(parts))
		}
		h, err := parseHeaders(parts[0], parts[1])
		if err != nil {
			return err
		}
		value, err := asBytes(parts[2])
		if err != nil {
			return err
		}
		blk.signers = append(blk.signers, signer{h, value})
	}
	return nil
}

func parseHeaders(protected, open []byte) (h headers, err error) {
	if h.raw, err = asBytes(protected); err != nil {
		return h, inside("protected headers", err)
	}
	if len(h.raw) > 0 {
		if h.protected, err = headerMap(h.raw); err != nil {
			return h, inside("protected headers", err)
		}
	}
	h.open, err = headerMap(open)
	return h, inside("unprotected headers", err)
}

func headerMap(b []byte) (map[any]cbor.RawMessage, error) {
	var m map[any]cbor.RawMessage
	if err := as(b, "map", &m, majorMap); err != nil {
		return nil, err
	}
	for label := range m {
		switch label.(type) {
		case int64, string:
		default:
			return nil, format.Malformed("a label that is neither number nor text")
		}
	}
	return m, nil
}

// algorithm returns the one that the protected headers name: only there is it signed.
func (h headers) algorithm() (int64, error) {
	raw, ok := h.protected[labelAlgorithm]
	_, open := h.open[labelAlgorithm]
	switch {
	case !ok && open:
		return 0, format.Wrap(format.ErrAlgorithm, "the algorithm stands in the unprotected headers only")
	case !ok:
		return 0, format.Wrap(format.ErrAlgorithm, "no algorithm in the protected headers")
	case open:
		return 0, format.Wrap(format.ErrAlgorithm, "the algorithm stands in both headers")
	}
	alg, err := asInt(raw)
	if err != nil {
		return 0, format.Wrap(format.ErrAlgorithm, "the algorithm is no number")
	}
	return alg, nil
}

// checkCritical refuses what the signer says must be understood and is not (RFC 9052 section 3.1).
func (h headers) checkCritical() error {
	if _, ok := h.open[labelCritical]; ok {
		return format.Malformed("crit stands in the unprotected headers")
	}
	raw, ok := h.protected[labelCritical]
	if !ok {
		return nil
	}
	list, err := asList(raw)
	if err != nil {
		return inside("crit", err)
	}
	if len(list) == 0 {
		return format.Malformed("crit is empty")
	}
	for _, raw := range list {
		label, err := asInt(raw)
		if err != nil || label != labelAlgorithm && label != labelKeyID {
			return format.Wrap(format.ErrAlgorithm, "crit asks for a header %x that is not understood", []byte(raw))
		}
		if _, ok := h.protected[label]; !ok {
			return format.Malformed("crit names header %d, which is not there", label)
		}
	}
	return nil
}

func (h headers) keyID() string {
	for _, m := range []map[any]cbor.RawMessage{h.protected, h.open} {
		if id, err := asBytes(m[labelKeyID]); err == nil {
			return hex.EncodeToString(id)
		}
	}
	return ""
}

// toBeSigned is the Sig_structure or MAC_structure of RFC 9052 sections 4.4 and 6.3.
func (blk *block) toBeSigned(s signer, payload []byte) []byte {
	context := map[uint64]string{tagSign1: "Signature1", tagSign: "Signature", tagMac0: "MAC0", tagMac: "MAC"}[blk.tag]
	if blk.tag == tagSign {
		return encode([]any{context, sealed(blk.body.raw), sealed(s.raw), []byte{}, payload})
	}
	return encode([]any{context, sealed(s.raw), []byte{}, payload})
}

// sealed writes an empty map as an empty string, as RFC 9052 section 4.4 says.
func sealed(raw []byte) []byte {
	if len(raw) == 0 || len(raw) == 1 && raw[0] == majorMap<<5 {
		return []byte{}
	}
	return raw
}

func (blk *block) name() string {
	return map[uint64]string{tagSign1: "COSE_Sign1", tagSign: "COSE_Sign", tagMac0: "COSE_Mac0", tagMac: "COSE_Mac"}[blk.tag]
}

// claimed names the algorithm of the first signer, for a description.
func (blk *block) claimed() string {
	if len(blk.signers) == 0 {
		return blk.name()
	}
	alg, err := blk.signers[0].algorithm()
	if err != nil {
		return blk.name() + " without algorithm"
	}
	if s, ok := schemeOf(alg); ok {
		return s.name
	}
	return fmt.Sprintf("%s algorithm %d", blk.name(), alg)
}
