package fit

import (
	"errors"
	"fmt"
	"slices"

	"assay/firmware/format"
)

// Open returns the image if somebody whom trust names signed it.
func Open(src format.Source, trust format.Trust) (*Image, error) {
	img, err := OpenUnverified(src)
	if err != nil {
		return nil, err
	}
	if _, err := img.Verify(trust); err != nil {
		return nil, err
	}
	return img, nil
}

// Verify checks the configuration that the device boots: the one that trust names, else the
// image's default. Under PEM keys one of them must have signed it; under a control device
// tree (trust.Own) whoever that tree requires, configuration or images. Then the data of
// every image that the configuration uses must fit its hash nodes, one of which is strong.
// Other configurations and their images are not checked; the report's Notes and Uncovered
// name them, and everything else that may be changed without breaking the signature.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	c, err := img.chosen(trust.Configuration)
	if err == nil {
		err = img.fault
	}
	var under []policy
	if err == nil {
		under, err = policies(trust)
	}
	var report format.Report
	for i := 0; i < len(under); i++ {
		// Several control device trees are several devices: it is enough for one of them.
		try := check{img: img, config: c, policy: under[i]}
		err = try.run()
		report = try.report
		if report.Verified = err == nil; report.Verified {
			return report, nil
		}
	}
	if len(under) == 0 {
		report.Image = img.Describe()
	}
	return report, fmt.Errorf("verify U-Boot FIT: %w", err)
}

// A check is one verification of one configuration under one policy.
type check struct {
	img    *Image
	config *config
	policy policy
	report format.Report
	weak   []error // what alone would not stop it
}

func (c *check) run() error {
	c.report.Image = c.img.describe(c.config, len(c.policy.conf) > 0)
	switch {
	case len(c.policy.conf)+len(c.policy.image) == 0 && c.policy.from == bareKeys:
		return format.Wrap(format.ErrNoTrustedKey, "no key was given")
	case len(c.policy.conf)+len(c.policy.image) == 0:
		return format.Wrap(format.ErrNoTrustedKey, "%s requires no key: such a device boots unsigned images", c.policy.from)
	case len(c.config.parts) == 0:
		return format.Malformed("configuration %s names no image", c.config.name)
	}
	if len(c.policy.conf) > 0 {
		if err := c.checkConfig(); err != nil {
			return err
		}
	}
	for _, p := range c.config.parts {
		if err := c.checkPart(p); err != nil {
			return err
		}
	}
	if len(c.weak) > 0 {
		return c.weak[0]
	}
	return nil
}

// checkConfig wants the required keys' signatures of the configuration.
func (c *check) checkConfig() error {
	signed := slices.ContainsFunc(c.config.signatures, func(s signature) bool { return len(s.value) > 0 })
	if !signed {
		return format.Wrap(format.ErrUnsigned, "configuration %s", c.config.name)
	}
	var failed error
	fit := 0
	for _, k := range c.policy.conf {
		err := c.signedBy(k, c.config.signatures, c.fitsConfig)
		if err == nil {
			fit++
			if c.policy.any {
				return nil
			}
			continue
		}
		if failed == nil || rank(err) > rank(failed) {
			failed = err
		}
	}
	if fit == len(c.policy.conf) {
		return nil
	}
	return fmt.Errorf("configuration %s: %w", c.config.name, failed)
}

// signedBy wants one of the signatures to be one of the key.
func (c *check) signedBy(k keyNode, signatures []signature, fits func(keyNode, signature) error) error {
	failed := format.Wrap(format.ErrUnsigned, "by key %s", k.name)
	for _, s := range signatures {
		if len(s.value) == 0 {
			continue
		}
		err := k.agrees(s)
		if err == nil {
			err = fits(k, s)
		}
		if err == nil {
			c.trusted(k, s)
			return nil
		}
		if err = fmt.Errorf("%s: %w", s.node.Name, err); rank(err) >= rank(failed) {
			failed = err
		}
	}
	return failed
}

// rank orders errors by how much they tell.
func rank(err error) int {
	for i, sentinel := range []error{format.ErrUnsigned, format.ErrAlgorithm, format.ErrWeak, format.ErrMalformed, format.ErrBadSignature, format.ErrNotBound} {
		if errors.Is(err, sentinel) {
			return i + 1
		}
	}
	return 100 // an error of reading, which is none of the image's
}

// fitsConfig checks one signature over the nodes that the configuration uses.
func (c *check) fitsConfig(k keyNode, s signature) error {
	name, _ := s.algorithms()
	h, _ := hashOf(name)
	must := c.img.cover(c.img.mustCover(c.config))
	names := max(s.strings, 0)
	digest, err := c.img.digest(must, names, h)
	if err != nil {
		return err
	}
	if k.fits(s, h, digest) {
		if p := c.img.unnamed(must, names); p != nil {
			return format.Wrap(format.ErrNotBound, "hashed-strings leaves out the name of property %s of %s", p.Name, p.Node.Path())
		}
		c.report.Digest = fmt.Sprintf("%s:%x", name, digest)
		return nil
	}
	// Tell a signature that is none from one that leaves out what will be used.
	if claimed := c.img.claimedNodes(s); claimed != nil {
		digest, err := c.img.digest(c.img.cover(claimed), names, h)
		if err == nil && k.fits(s, h, digest) {
			return format.Wrap(format.ErrNotBound, "it fits the nodes of its hashed-nodes, which are not all that the configuration uses")
		}
	}
	return format.Wrap(format.ErrBadSignature, "it is not one of key %s", k.name)
}

// checkPart reads the data once and holds it against signatures and hash nodes.
func (c *check) checkPart(p *part) error {
	var names []string
	for _, h := range p.hashes {
		names = append(names, h.algo)
	}
	if len(c.policy.image) > 0 {
		for _, s := range p.signatures {
			name, _ := s.algorithms()
			names = append(names, name)
		}
	}
	sums, err := c.img.sums(p, names)
	if err != nil {
		return err
	}
	for _, k := range c.policy.image {
		err := c.signedBy(k, p.signatures, func(k keyNode, s signature) error { return c.fitsPart(k, s, sums) })
		if err != nil {
			return fmt.Errorf("image %s: %w", p.name, err)
		}
	}
	if err := p.checkHashes(sums); err != nil {
		return err
	}
	for _, h := range p.hashes {
		link := format.Link{Kind: "hash", Name: h.node.Path(), Algorithm: h.algo, From: "signature above"}
		if len(c.policy.conf) == 0 {
			link.From = "image"
		}
		c.report.Chain = append(c.report.Chain, link)
		c.find(format.WeakDigest(h.algo))
	}
	if len(c.policy.conf) == 0 || p.bound() {
		return nil
	}
	// U-Boot takes a checksum for a hash: under a good signature anybody may then change the data.
	if slices.ContainsFunc(p.hashes, func(h hashNode) bool { return !h.ignored }) {
		c.weak = append(c.weak, format.Wrap(format.ErrWeak, "the configuration's signature fits, but %s has no sha256, sha384 or sha512 of its data", p.node.Path()))
		return nil
	}
	return format.Wrap(format.ErrNotBound, "%s has no hash of its data", p.node.Path())
}

func (c *check) fitsPart(k keyNode, s signature, sums map[string][]byte) error {
	name, _ := s.algorithms()
	h, _ := hashOf(name)
	if !k.fits(s, h, sums[name]) {
		return format.Wrap(format.ErrBadSignature, "it is not one of key %s", k.name)
	}
	if c.report.Digest == "" {
		c.report.Digest = fmt.Sprintf("%s:%x", name, sums[name])
	}
	return nil
}

// trusted notes a signature that fits.
func (c *check) trusted(k keyNode, s signature) {
	name, _ := s.algorithms()
	c.report.Key = &k.key
	c.report.Signature = s.scheme(k.key.Algorithm)
	key := format.Link{Kind: "key", Name: k.name, Algorithm: k.key.Algorithm, Strength: format.Strength(k.public), From: k.key.From}
	same := func(l format.Link) bool { return l == key }
	if !slices.ContainsFunc(c.report.Chain, same) {
		c.report.Chain = append(c.report.Chain, key)
	}
	c.report.Chain = append(c.report.Chain, format.Link{Kind: "signature", Name: s.node.Path(), Algorithm: c.report.Signature, From: "image"})
	c.find(format.WeakKey(k.public))
	c.find(format.WeakDigest(name))
	if isWeak(name) {
		c.weak = append(c.weak, format.Wrap(format.ErrWeak, "the signature fits, but it is one of a %s digest", name))
	}
}

func (c *check) find(found []format.Finding) {
	for _, f := range found {
		if !slices.Contains(c.report.Findings, f) {
			c.report.Findings = append(c.report.Findings, f)
		}
	}
}
