package suit

import "assay/firmware/format"

// How a recipient of a COSE_Mac comes by the key of the MAC (RFC 9053 sections 6.1.1 and 6.2.1).
const (
	recipientDirect int64 = -6
	recipientA128KW int64 = -3
	recipientA192KW int64 = -4
	recipientA256KW int64 = -5
)

const maxRecipients = 16

// A recipient of a COSE_Mac shares a secret with who made it.
type recipient struct {
	algorithm int64
	wrapped   []byte // the key of the MAC, encrypted; empty where the secret itself is the key
}

func parseRecipients(raw []byte) ([]recipient, error) {
	list, err := asList(raw)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || len(list) > maxRecipients {
		return nil, format.Malformed("%d recipients, want 1 to %d", len(list), maxRecipients)
	}
	var all []recipient
	for _, raw := range list {
		r, err := parseRecipient(raw)
		if err != nil {
			return nil, err
		}
		if r.algorithm == recipientDirect && len(list) > 1 {
			return nil, format.Malformed("a recipient with the key itself, and others beside it (RFC 9052 section 8.5.1)")
		}
		all = append(all, r)
	}
	return all, nil
}

// parseRecipient wants no protected headers where the algorithm cannot protect them.
func parseRecipient(raw []byte) (r recipient, err error) {
	parts, err := asList(raw)
	if err != nil {
		return r, err
	}
	if len(parts) != 3 { // a fourth is for recipients of recipients, which nobody needs here
		return r, format.Malformed("a recipient of %d parts, want 3", len(parts))
	}
	h, err := parseHeaders(parts[0], parts[1])
	if err != nil {
		return r, err
	}
	if err := h.checkCritical(); err != nil {
		return r, err
	}
	if r.wrapped, err = asBytes(parts[2]); err != nil {
		return r, err
	}
	name := h.open
	if len(h.raw) > 0 { // for key agreement, say, which is not followed
		name = h.protected
	}
	if r.algorithm, err = asInt(name[labelAlgorithm]); err != nil {
		return r, inside("algorithm of a recipient", err)
	}
	switch r.algorithm {
	case recipientDirect, recipientA128KW, recipientA192KW, recipientA256KW:
		if len(h.raw) > 0 {
			return r, format.Malformed("protected headers of a recipient by algorithm %d", r.algorithm)
		}
		if (r.algorithm == recipientDirect) != (len(r.wrapped) == 0) {
			return r, format.Malformed("%d bytes of a wrapped key, algorithm %d", len(r.wrapped), r.algorithm)
		}
	}
	return r, nil
}

// key is what the MAC is made with, for who has that secret.
func (r recipient) key(secret []byte) ([]byte, bool) {
	size := map[int64]int{recipientA128KW: 16, recipientA192KW: 24, recipientA256KW: 32}[r.algorithm]
	switch {
	case r.algorithm == recipientDirect:
		return secret, true
	case size == 0 || len(secret) != size:
		return nil, false
	}
	return format.UnwrapKey(secret, r.wrapped)
}
