package tuf

import (
	"maps"
	"slices"
	"strings"

	"assay/firmware/format"
)

// verifyUptane is full verification (Uptane standard 2.1, section 5.4.4): both repositories,
// each under its own root, and every image that the director orders is one that the image
// repository has, to the last digest.
func (img *Image) verifyUptane(trust format.Trust, report *format.Report) (map[string]target, error) {
	anchors := map[string][]format.Anchor{}
	for _, a := range trust.Own[Name] {
		of, err := repositoryOf(a)
		if err != nil {
			return nil, err
		}
		anchors[of] = append(anchors[of], a)
	}
	var clients []*client
	for _, r := range img.repos {
		if len(anchors[r.name]) == 0 {
			return nil, wrap(format.ErrNoTrustedKey, "no root of the %s repository was given", r.name)
		}
		c, err := r.refresh(img, anchors[r.name], trust.At, report)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	orders, images := clients[0], clients[1]
	if orders.targets.Signed.Delegations != nil {
		return nil, malformed("the director delegates, and only it may give orders")
	}
	if err := checkECUs(orders.targets.Signed.Targets); err != nil {
		return nil, err
	}
	found := map[string]target{}
	for _, name := range slices.Sorted(maps.Keys(orders.targets.Signed.Targets)) {
		order := *orders.targets.Signed.Targets[name]
		t, err := images.resolve(name)
		if err != nil {
			return nil, err
		}
		if t == nil {
			return nil, wrap(format.ErrNotBound, "the director orders %.80q, which the image repository does not have", name)
		}
		if err := sameImage(name, order, *t); err != nil {
			return nil, err
		}
		if err := images.checkFile(name, *t, report, found); err != nil {
			return nil, err
		}
		if _, here := found[name]; here {
			found[name] = order.with(*t)
		}
	}
	if len(found) == 0 {
		return nil, wrap(format.ErrNotBound, "no file in the folder is one that the director orders")
	}
	images.noteUnasked(report)
	return found, nil
}

// with fills what the director leaves to the image repository to say.
func (t target) with(image target) target {
	if t.Custom.HardwareID == "" {
		t.Custom.HardwareID = image.Custom.HardwareID
	}
	if t.Custom.Counter == nil {
		t.Custom.Counter = image.Custom.Counter
	}
	return t
}

// repositoryOf goes by the name that the caller gave the anchor: a root does not say whose it is.
func repositoryOf(a format.Anchor) (string, error) {
	isDirector, isImage := strings.Contains(a.From, director), strings.Contains(a.From, imageRep)
	if isDirector == isImage {
		return "", wrap(format.ErrNoTrustedKey, "whose root %q is cannot be told: its name must say director or image", a.From)
	}
	if isDirector {
		return director, nil
	}
	return imageRep, nil
}

// checkECUs refuses a director that gives one unit two orders.
func checkECUs(targets map[string]*target) error {
	ordered := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		for unit := range targets[name].Custom.ECUs {
			if before, twice := ordered[unit]; twice {
				return malformed("the director orders %.80q and %.80q for ECU %.60q", before, name, unit)
			}
			ordered[unit] = name
		}
	}
	return nil
}

// sameImage compares what both repositories say of one image.
func sameImage(name string, order, image target) error {
	if order.Length != image.Length {
		return wrap(format.ErrBadHash, "%.80q has %d bytes for the director, %d for the image repository", name, order.Length, image.Length)
	}
	common := 0
	for algorithm := range digestSizes {
		a, b := order.Hashes[algorithm], image.Hashes[algorithm]
		if a == "" || b == "" {
			continue
		}
		if !strings.EqualFold(a, b) {
			return wrap(format.ErrBadHash, "%.80q is another file for the director than for the image repository (%s)", name, algorithm)
		}
		common++
	}
	if common == 0 {
		return wrap(format.ErrBadHash, "director and image repository name %.80q by no common digest", name)
	}
	a, b := order.Custom, image.Custom
	if a.HardwareID != "" && b.HardwareID != "" && a.HardwareID != b.HardwareID {
		return wrap(format.ErrNotBound, "%.80q is for hardware %.60q to the director, for %.60q to the image repository", name, a.HardwareID, b.HardwareID)
	}
	if a.Counter != nil && b.Counter != nil && *a.Counter != *b.Counter {
		return wrap(format.ErrNotBound, "%.80q has release counter %d to the director, %d to the image repository", name, *a.Counter, *b.Counter)
	}
	return nil
}
