package fit

import "assay/firmware/format"

func variants() []string { return nil }

func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	return format.Variant{}, format.ErrUnknownVariant
}
