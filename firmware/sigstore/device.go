package sigstore

import (
	"fmt"

	"assay/firmware/format"
)

// Check can hold nothing but the artifact's size against a device: a Sigstore signature says
// neither what version the artifact is nor what it is for.
func (img *Image) Check(d format.Device) error {
	if img.artifact != nil && d.Size > 0 && img.artifact.Size() > d.Size {
		return fmt.Errorf("check sigstore signature for the device: %w",
			wrap(format.ErrTooLarge, "%d bytes, the slot has %d", img.artifact.Size(), d.Size))
	}
	return nil
}
