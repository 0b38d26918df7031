package detached

import (
	"bytes"
	"fmt"

	"assay/firmware/cms"
	"assay/firmware/format"
)

var cmsVariants = append([]string{format.FormatDowngrade, format.DuplicateEntry, format.LengthLie}, cms.ForgedVariants()...)

// tamper works on the DER; a PEM file becomes DER.
func (s *cmsFile) tamper(variant string, means format.Means, c *change) error {
	c.signature = bytes.Clone(s.der)
	switch variant {
	case format.SignatureFlip:
		b, at, err := s.FlipSignature()
		if err != nil {
			return err
		}
		c.signature = b
		c.say(format.LayerSignature, format.ErrBadSignature, "the signature is another", fmt.Sprintf("lowest bit at offset %d", at))
	case format.LengthLie:
		c.signature[3] ^= 1
		c.say(format.LayerStructure, format.ErrMalformed, "the outermost length is not that of the file", "lowest bit of the length at offset 3")
	case format.FormatDowngrade:
		b, content, err := s.StripAttributes()
		if err != nil {
			return format.Wrap(format.ErrNotApplicable, "%v", err)
		}
		c.signature, c.artifact = b, content
		c.m.Classic = "CMS signed attributes (MTG AG, October 2024)"
		c.say(format.LayerSignature, format.ErrNotBound, "without signed attributes, the genuine signature is one of the attributes themselves",
			"signed attributes removed from the signature file", "signed file replaced by those attributes")
	case format.DuplicateEntry:
		c.say(format.LayerStructure, format.ErrNotBound, "a detached message has no content of its own", "the genuine file put into the message", "the file beside it changed")
		b, err := s.WithContent(bytes.Clone(c.artifact))
		if err == nil {
			err = flipIn(&c.m, c.artifact, "signed file")
		}
		return c.became(b, err)
	case format.Tampered, format.TamperedPlain, format.TruncatedPayload, format.Empty, format.TrailingData, format.MixAndMatch, format.Swapped:
		if err := c.common(variant, means); err != nil {
			return err
		}
		if s.attributes() {
			c.m.Layer, c.m.Reason, c.m.Expected = format.LayerPayload, format.ErrBadHash, "the file has not the digest among the signed attributes"
		}
	default:
		f, err := s.Forge(variant, means, bytes.NewReader(c.artifact))
		if err != nil {
			return err
		}
		c.signature, c.m.Classic = f.DER, f.Classic
		c.say(f.Layer, f.Reason, f.Expected, f.Changed)
	}
	return nil
}

func (s *cmsFile) attributes() bool { return len(s.Signers) > 0 && s.Signers[0].Attributes }

func (c *change) became(b []byte, err error) error {
	if err != nil {
		return format.Wrap(format.ErrNotApplicable, "%v", err)
	}
	c.signature = b
	return nil
}
