// Package signature asks of the maker's images how they are signed: by whom, how strongly, what
// of them no signature covers, whether a counter keeps older ones out. It touches no device, and
// never decides whether an algorithm is good enough.
package signature

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"assay/firmware"
	"assay/probes"
	family "assay/probes/firmware"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "firmware/signature",
		Version: "1",
		Asks:    "Who signed the maker's images, how strongly, and what of them does no signature cover?",
		Needs:   []probes.Need{{Instrument: probes.InstrumentImages}},
		Touch:   probes.Observe,
		Typical: 2,
		New:     func() probes.Probe { return &Probe{} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe has no parameters.
type Probe struct{}

// Facts is what the images show. Lists name the image first.
type Facts struct {
	Images     int      `json:"images"`     // of the dossier: 4
	Formats    []string `json:"formats"`    // "mcuboot"
	Algorithms []string `json:"algorithms"` // that were verified: "ecdsa-p256-sha256"
	Verified   int      `json:"verified"`   // images that verify under the dossier's trust
	Unverified []string `json:"unverified"` // "firmware-1.0.0.bin: signed by an unknown key"

	// The control: our own verifier refuses what was made of each image.
	Variants         int      `json:"variants"`          // bad images that were made: 84
	VariantsRefused  int      `json:"variants_refused"`  // of those
	VariantsAccepted []string `json:"variants_accepted"` // "firmware-1.0.0.bin: tampered"
	VariantsOmitted  []string `json:"variants_omitted"`  // kinds that do not apply, or need the maker's key: "older"

	LeastStrength int      `json:"least_strength"` // security bits of the weakest key by NIST SP 800-57: 128; 0 where one is not known
	Disallowed    []string `json:"disallowed"`     // "firmware-1.0.0.bin: sha1: ... (NIST SP 800-131A Rev. 2, March 2019)"
	Legacy        []string `json:"legacy"`         // on its way there: "firmware-1.0.0.bin: rsa-2048: ..."

	Uncovered      []string `json:"uncovered"`        // whatever anybody may change: "firmware-1.0.0.bin: unprotected TLVs, 151 bytes at 24620"
	UncoveredInUse []string `json:"uncovered_in_use"` // of those, what a device runs or decides by: payload, manifest
	Encrypted      int      `json:"encrypted"`        // images whose payload does not lie in clear

	Counters       int      `json:"counters"`        // images with a rollback counter under the signature
	SignedVersions int      `json:"signed_versions"` // images that tell a version of their own, and verified
	Falling        []string `json:"falling"`         // a newer image with a lower counter: "1.1.0 has 2, 1.0.0 has 3"
}

// inUse are the regions that a device runs or decides by. Signatures, what identifies keys, heads that
// only lead a reader, and padding can be changed, but not to any use.
var inUse = regexp.MustCompile(`^(payload|bare manifest|hash tree|segment \d+)$`)

// Ask verifies each image, and a refusal set made of it.
func (*Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	q := question{trust: b.Images.Trust(), omitted: map[string]bool{}}
	all, err := family.All(ctx, b.Images)
	if err != nil {
		return nil, err
	}
	q.f.Images = len(all)
	for n, image := range all {
		var older *probes.Image
		if n > 0 {
			older = &all[n-1]
		}
		if err := q.image(ctx, image, older); err != nil {
			return nil, err
		}
	}
	f := &q.f
	for v := range q.omitted {
		f.VariantsOmitted = append(f.VariantsOmitted, v)
	}
	if q.unknown {
		f.LeastStrength = 0
	}
	for _, list := range []*[]string{&f.Formats, &f.Algorithms, &f.VariantsOmitted} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	for _, list := range []*[]string{&f.Formats, &f.Algorithms, &f.Unverified, &f.VariantsAccepted, &f.VariantsOmitted, &f.Disallowed, &f.Legacy, &f.Uncovered, &f.UncoveredInUse, &f.Falling} {
		*list = family.Bounded(*list)
	}
	return *f, nil
}

// question collects the facts.
type question struct {
	f       Facts
	trust   firmware.Trust
	omitted map[string]bool
	unknown bool // the strength of a key is not known

	counter *uint64 // the highest so far
	of      string  // the version that has it
}

func (q *question) image(ctx context.Context, i probes.Image, older *probes.Image) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("look at image %s: %w", i.Name, err)
	}
	img, err := firmware.OpenUnverified(i.Input())
	if err != nil {
		q.f.Unverified = append(q.f.Unverified, fmt.Sprintf("%s: %v", i.Name, err))
		q.unknown = true
		return nil
	}
	report, err := img.Verify(q.trust)
	q.f.Formats = append(q.f.Formats, report.Image.Format)
	if err != nil {
		q.f.Unverified = append(q.f.Unverified, fmt.Sprintf("%s: %v", i.Name, err))
	} else {
		q.f.Verified++
		q.f.Algorithms = append(q.f.Algorithms, report.Signature)
	}
	q.strength(i.Name, report)
	q.described(i, report, err == nil)
	if err != nil {
		return nil // variants of an image that is refused as it is would show nothing
	}
	return q.variants(ctx, i, img, older)
}

// strength notes the weakest key and what the dated table says.
func (q *question) strength(name string, r firmware.Report) {
	keys := 0
	for _, l := range r.Chain {
		if l.Kind != "key" && l.Kind != "certificate" {
			continue
		}
		keys++
		if l.Strength == 0 {
			q.unknown = true
		} else if q.f.LeastStrength == 0 || l.Strength < q.f.LeastStrength {
			q.f.LeastStrength = l.Strength
		}
	}
	q.unknown = q.unknown || keys == 0
	for _, w := range r.Findings {
		line := fmt.Sprintf("%s: %s: %s (%s)", name, w.What, w.Says, w.Source)
		if w.Level == "legacy" {
			q.f.Legacy = append(q.f.Legacy, line)
		} else {
			q.f.Disallowed = append(q.f.Disallowed, line)
		}
	}
}

// described notes what the image says about itself; a claim that nobody signed does not count.
func (q *question) described(i probes.Image, r firmware.Report, verified bool) {
	d := r.Image
	for _, u := range d.Uncovered {
		line := fmt.Sprintf("%s: %s, %d bytes at %d", i.Name, u.Name, u.Size, u.Offset)
		q.f.Uncovered = append(q.f.Uncovered, line)
		if inUse.MatchString(u.Name) {
			q.f.UncoveredInUse = append(q.f.UncoveredInUse, line)
		}
	}
	if d.Encrypted != "" {
		q.f.Encrypted++
	}
	if verified && d.Version != "" {
		q.f.SignedVersions++
	}
	if !verified || d.SecurityCounter == nil {
		return
	}
	q.f.Counters++
	if q.counter != nil && *d.SecurityCounter < *q.counter {
		q.f.Falling = append(q.f.Falling, fmt.Sprintf("%s has %d, %s has %d", i.Version, *d.SecurityCounter, q.of, *q.counter))
		return
	}
	q.counter, q.of = d.SecurityCounter, i.Version
}

// variants makes the refusal set of a genuine image, one variant at a time, and has our own verifier judge it.
func (q *question) variants(ctx context.Context, i probes.Image, img firmware.Image, older *probes.Image) error {
	means := firmware.Means{}
	if older != nil && older.Signature == nil {
		source := older.Input().Source
		means.Older = &source
	}
	known, err := firmware.Detect(i.Input())
	if err != nil {
		return fmt.Errorf("look at image %s: %v: %w", i.Name, err, probes.ErrBench)
	}
	for _, name := range known.Variants {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("make variants of image %s: %w", i.Name, err)
		}
		v, err := img.Tamper(name, means)
		if errors.Is(err, firmware.ErrNotApplicable) || errors.Is(err, firmware.ErrUnknownVariant) {
			q.omitted[name] = true
			continue
		}
		if err != nil {
			return fmt.Errorf("make the %s variant of image %s: %v: %w", name, i.Name, err, probes.ErrBench)
		}
		q.f.Variants++
		if firmware.Refuses(i.Input(), v, q.trust) == nil {
			q.f.VariantsAccepted = append(q.f.VariantsAccepted, i.Name+": "+name)
		} else {
			q.f.VariantsRefused++
		}
	}
	return nil
}
