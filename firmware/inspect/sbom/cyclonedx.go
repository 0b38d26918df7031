package sbom

import (
	"fmt"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// BOM makes a CycloneDX document of the components. It is the same for the same
// components: no time, no random serial number; whoever publishes it adds them.
func BOM(image, digest string, components []Component) *cdx.BOM {
	bom := cdx.NewBOM()
	root := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeFirmware, Name: image}
	if digest != "" {
		root.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: digest}}
	}
	bom.Metadata = &cdx.Metadata{
		Component: &root,
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "assay"}}},
	}
	list := make([]cdx.Component, 0, len(components))
	refs := make([]string, 0, len(components))
	for i, c := range components {
		ref := fmt.Sprintf("component-%d", i+1)
		refs = append(refs, ref)
		out := cdx.Component{BOMRef: ref, Type: cdx.ComponentType(c.Type), Name: c.Name, Version: c.Version, PackageURL: c.PURL}
		if c.Licence != "" {
			out.Licenses = &cdx.Licenses{{License: &cdx.License{Name: c.Licence}}}
		}
		var places []cdx.EvidenceOccurrence
		for _, p := range c.Places {
			offset := int(p.Offset)
			places = append(places, cdx.EvidenceOccurrence{Location: p.Path, Offset: &offset, AdditionalContext: p.How})
		}
		if len(places) > 0 {
			out.Evidence = &cdx.Evidence{Occurrences: &places}
		}
		list = append(list, out)
	}
	bom.Components = &list
	bom.Dependencies = &[]cdx.Dependency{{Ref: "image", Dependencies: &refs}}
	return bom
}
