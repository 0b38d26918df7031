package cms

import (
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assay/firmware/format"
)

const maxBER = 32 // levels of one message

// FromBER returns the DER of a message that begins with an indefinite length, as BouncyCastle and
// streaming signers write them: CMS is BER (RFC 5652 section 2), and only what is signed within
// must be DER. Anything else is returned as it is. Lengths become definite and constructed octet
// strings one; nothing else is mended, and nothing may follow.
func FromBER(b []byte) (der []byte, was bool, err error) {
	if len(b) < 2 || b[0] != 0x30 || b[1] != 0x80 {
		return b, false, nil
	}
	in := cryptobyte.String(b)
	out := cryptobyte.NewBuilder(make([]byte, 0, len(b)))
	if err := element(&in, out, 0); err != nil {
		return nil, true, err
	}
	if !in.Empty() {
		return nil, true, format.Wrap(format.ErrTrailing, "%d bytes behind the message", len(in))
	}
	der, err = out.Bytes()
	return der, true, err
}

// element writes the next element to out.
func element(in *cryptobyte.String, out *cryptobyte.Builder, depth int) error {
	if depth > maxBER {
		return format.Malformed("BER nested deeper than %d", maxBER)
	}
	tag, body, open, err := berHead(in)
	if err != nil {
		return err
	}
	const constructed = 0x20
	switch {
	case tag&constructed == 0 && open:
		return format.Malformed("BER: a primitive element of indefinite length")
	case tag&constructed == 0:
		out.AddASN1(casn1.Tag(tag), func(b *cryptobyte.Builder) { b.AddBytes(body) })
		return nil
	}
	if open {
		body = *in
	}
	text := tag == byte(casn1.OCTET_STRING)|constructed
	if text {
		tag = byte(casn1.OCTET_STRING)
	}
	out.AddASN1(casn1.Tag(tag), func(b *cryptobyte.Builder) {
		err = elements(&body, b, open, text, depth+1)
	})
	if open {
		*in = body
	}
	return err
}

// elements writes what a constructed element holds, of an octet string in pieces the pieces alone.
func elements(body *cryptobyte.String, out *cryptobyte.Builder, open, text bool, depth int) error {
	for !body.Empty() {
		if open && len(*body) > 1 && (*body)[0] == 0 && (*body)[1] == 0 {
			*body = (*body)[2:]
			return nil
		}
		if !text {
			if err := element(body, out, depth); err != nil {
				return err
			}
			continue
		}
		var piece cryptobyte.String
		if !body.ReadASN1(&piece, casn1.OCTET_STRING) {
			return format.Malformed("BER: a piece of an octet string is none")
		}
		out.AddBytes(piece)
	}
	if open {
		return format.Malformed("BER cut short: no end of an indefinite length")
	}
	return nil
}

// berHead reads tag and length, and the body where its length is known.
func berHead(in *cryptobyte.String) (tag byte, body cryptobyte.String, open bool, err error) {
	b := *in
	if len(b) < 2 || b[0]&0x1f == 0x1f || b[0] == 0 {
		return 0, nil, false, format.Malformed("BER cut short, or with a tag that CMS has not")
	}
	if b[1] == 0x80 {
		*in = b[2:]
		return b[0], nil, true, nil
	}
	var one cryptobyte.String
	var t casn1.Tag
	if !in.ReadAnyASN1(&one, &t) {
		return 0, nil, false, format.Malformed("BER with a length that is not as short as can be, or too long")
	}
	return b[0], one, false, nil
}
