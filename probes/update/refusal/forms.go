package refusal

import (
	"fmt"

	"assay/firmware"
	"assay/probes"
	"assay/probes/update"
)

// forms makes the bad image, and checks with our own verifier that it is bad.
func (p *Probe) forms(path *update.Path, images probes.Images, f *Facts) ([]probes.Image, error) {
	trust := images.Trust()
	if p.Variant == Older {
		return older(path, trust, f)
	}
	genuine, ok, err := path.Newer(f.VersionBefore)
	if err == nil && !ok {
		err = fmt.Errorf("update/refusal: nothing is newer than %s: %w", f.VersionBefore, probes.ErrNoImage)
	}
	if err != nil {
		return nil, err
	}
	f.VariantVersion, f.OursRefuses = genuine.Version, true
	names := []string{p.Variant}
	if p.Variant == firmware.Tampered {
		// With its checksums repaired it passes a device that checks no signature, without them
		// one that checks the signature over a hash it never compares: both, or half is untested.
		names = append(names, firmware.TamperedPlain)
	}
	var list []probes.Image
	for _, name := range names {
		bad, err := firmware.Tamper(genuine.Input(), name, firmware.Means{})
		if err != nil {
			return nil, fmt.Errorf("make the %s image: %v: %w", name, err, probes.ErrBench)
		}
		if firmware.Refuses(genuine.Input(), bad, trust) == nil {
			f.OursRefuses = false
		}
		list = append(list, form(genuine, name, bad))
	}
	return list, nil
}

// form is a variant as the device fetches it.
func form(genuine probes.Image, name string, bad firmware.Variant) probes.Image {
	i := probes.Image{Name: name, Version: genuine.Version, Bytes: bad.Bytes}
	if genuine.Signature != nil {
		// Of a detached signature the variant is the signature, or the artifact, or both.
		i.Bytes, i.Signature = genuine.Bytes, bad.Bytes
		if artifact, ok := bad.Files[firmware.FileArtifact]; ok {
			i.Bytes = artifact
		}
		if signature, ok := bad.Files[firmware.FileSignature]; ok {
			i.Signature = signature
		}
	}
	return i
}

// older returns the genuine image before the present one; it must verify, else a
// refusal could have any other reason.
func older(path *update.Path, trust firmware.Trust, f *Facts) ([]probes.Image, error) {
	image, ok, err := path.Older(f.VersionBefore)
	if err == nil && !ok {
		err = fmt.Errorf("update/refusal: nothing is older than %s: %w", f.VersionBefore, probes.ErrNoImage)
	}
	if err != nil {
		return nil, err
	}
	f.VariantVersion = image.Version
	_, err = firmware.Verify(image.Input(), trust)
	f.OursRefuses = err == nil
	image.Name = Older
	return []probes.Image{image}, nil
}
