// Package firmware is what the probes of firmware images share: the image of the declared
// version, and lists that cannot grow without bound. It never decides what an image is worth.
package firmware

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"assay/firmware"
	"assay/probes"
)

const (
	most    = 200 // entries of a list of facts
	longest = 300 // bytes of an entry
)

// Bounded cuts a list for the record; what was left out is counted in its last entry.
func Bounded(list []string) []string {
	out := make([]string, 0, min(len(list), most+1)) // an empty list is a fact, too
	for i, s := range list {
		if i == most {
			return append(out, fmt.Sprintf("and %d more", len(list)-most))
		}
		if len(s) > longest {
			s = strings.ToValidUTF8(s[:longest], "") + " ..."
		}
		out = append(out, s)
	}
	return out
}

// All returns the maker's images.
func All(ctx context.Context, images probes.Images) ([]probes.Image, error) {
	all, err := images.All(ctx)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("read the maker's images: %w", err)
	}
	return all, nil
}

// Of returns the place of the image of a version, -1 where there is none.
func Of(all []probes.Image, version string) int {
	return slices.IndexFunc(all, func(i probes.Image) bool { return Same(i, i.Version, version) })
}

// Same tells whether two versions are one, in the numbering of the image's format where it has one: 1.0.0 and 1.0.0+0.
func Same(i probes.Image, a, b string) bool {
	if a == b {
		return a != ""
	}
	f, err := firmware.Detect(i.Input())
	if err != nil {
		return false
	}
	order, err := firmware.Compare(firmware.Facts{Format: f.Name, Version: a}, firmware.Facts{Format: f.Name, Version: b})
	return err == nil && order == 0
}
