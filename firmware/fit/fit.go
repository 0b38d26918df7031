// Package fit tells whether a U-Boot FIT image is what its maker signed: a reader of the
// device tree that holds kernels and configurations, a verifier of configuration and image
// signatures by PEM keys or by the control device tree of the bootloader itself, a writer,
// and the variants that a bootloader must refuse. It works out by itself what a signature
// has to cover and never asks the image; it never takes a key from it, and never decrypts.
package fit

import (
	"strings"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// Name is what the format is called.
const Name = "uboot-fit"

// Names of U-Boot's include/image.h.
const (
	imagesPath  = "/images"
	configsPath = "/configurations"
	dataProp    = "data"
	sizeProp    = "data-size"
	offsetProp  = "data-offset"
	posProp     = "data-position"
	hashPrefix  = "hash"
	sigPrefix   = "signature"
	cipherNode  = "cipher"
	verityNode  = "dm-verity"
	ignoreProp  = "uboot-ignore"
	stringsProp = "hashed-strings"
	nodesProp   = "hashed-nodes"
	hintProp    = "key-name-hint"
	defaultProp = "default"
)

// Format describes FIT to the front door.
func Format() format.Format {
	return format.Format{
		Name:   Name,
		Detect: func(in format.Input) bool { return fdt.Is(in.Head(4)) },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := OpenUnverified(in.Source)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Compare:  compareTimes,
		Anchor:   isControl,
		Variants: variants(),
	}
}

// notCovered holds for the properties that a configuration signature leaves out: where
// the data lies. What the data is, is covered by its hash node.
func notCovered(p *fdt.Property) bool {
	switch p.Name {
	case dataProp, sizeProp, offsetProp, posProp:
		return true
	}
	return false
}

// namesNoImage holds for the properties of a configuration that are about itself. All
// others may name images, so that an image of a kind nobody thought of is covered too.
func namesNoImage(prop string) bool {
	switch prop {
	case "description", "compatible", defaultProp:
		return true
	}
	return false
}

// mustNameImage holds for those that U-Boot loads by: naming nothing is a fault.
func mustNameImage(prop string) bool {
	switch prop {
	case "kernel", "fdt", "ramdisk", "loadables", "firmware", "fpga", "setup", "standalone":
		return true
	}
	return false
}

func isHash(n *fdt.Node) bool      { return strings.HasPrefix(n.Name, hashPrefix) }
func isSignature(n *fdt.Node) bool { return strings.HasPrefix(n.Name, sigPrefix) }
