package tuf

import "assay/firmware/format"

func variants() []string { return nil }

// Tamper is
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	return format.Variant{}, format.ErrUnknownVariant
}
