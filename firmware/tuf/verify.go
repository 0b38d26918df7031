package tuf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"assay/firmware/format"
)

// Verify follows the client's workflow (TUF section 5) from the root in trust.Own["tuf"]: root
// rotation, timestamp, snapshot, targets, delegations, target files, all at the time trust.At.
// Further anchors there are what a device had already seen (timestamp, snapshot, targets, a
// newer root): nothing older is then taken. Uptane has two roots; the names of the files, which
// the caller gave, say which is the director's and which is the image repository's.
//
// It verifies the targets that are in the folder, and at least one; a device that asks for
// one of them by name says so in Check. Bytes outside "signed" are nobody's.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	img.verified = nil
	report := format.Report{Image: img.Describe()}
	found, err := img.verify(trust, &report)
	if err != nil {
		return report, fmt.Errorf("verify tuf repository: %w", err)
	}
	img.verified, report.Verified, report.Signature = found, true, report.Image.Signature
	return report, nil
}

func (img *Image) verify(trust format.Trust, report *format.Report) (map[string]target, error) {
	if len(trust.Own[Name]) == 0 {
		return nil, wrap(format.ErrNoTrustedKey, "no root was given")
	}
	if trust.At.IsZero() { // without a time nothing ever expires
		return nil, wrap(format.ErrValidity, "no time was given, and freshness is what this format is for")
	}
	if len(img.repos) == 2 {
		return img.verifyUptane(trust, report)
	}
	c, err := img.repos[0].refresh(img, trust.Own[Name], trust.At, report)
	if err != nil {
		return nil, err
	}
	found := map[string]target{}
	for _, name := range img.repos[0].listed() {
		if !c.here(name) {
			report.Image.Notes = append(report.Image.Notes, oneLine(fmt.Sprintf("target %q is not in the folder", name)))
			continue
		}
		t, err := c.resolve(name)
		if err != nil {
			return nil, err
		}
		if t == nil {
			report.Image.Notes = append(report.Image.Notes, oneLine(fmt.Sprintf("target %q is listed by a role that may not vouch for it", name)))
			continue
		}
		if err := c.checkFile(name, *t, report, found); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, wrap(format.ErrNotBound, "no file in the folder is a target that a role vouches for")
	}
	c.noteUnasked(report)
	return found, nil
}

// noteUnasked names the roles that no target of the folder led to: nothing of them was verified.
func (c *client) noteUnasked(report *format.Report) {
	for _, name := range slices.Sorted(maps.Keys(c.badRoles)) {
		report.Image.Notes = append(report.Image.Notes, oneLine(fmt.Sprintf("role %q cannot be read: %v", name, c.badRoles[name])))
	}
	for _, name := range slices.Sorted(maps.Keys(c.roles)) {
		asked := false
		for pair := range c.loaded {
			asked = asked || pair[0] == name
		}
		if !asked {
			report.Image.Notes = append(report.Image.Notes, oneLine(fmt.Sprintf("role %q was not asked about any target here, and is not verified", name)))
		}
	}
}

// A client is one repository on its way to being trusted.
type client struct {
	*repo
	img     *Image
	trusted *trustedmetadata.TrustedMetadata
	loaded  map[[2]string]*document // by role and delegator
}

// refresh is the workflow down to the top-level targets role.
func (r *repo) refresh(img *Image, anchors []format.Anchor, at time.Time, report *format.Report) (*client, error) {
	had, err := sortAnchors(anchors)
	if err != nil {
		return nil, err
	}
	trusted, err := guard(func() (*trustedmetadata.TrustedMetadata, error) { return trustedmetadata.New(had.root.raw) })
	if err != nil {
		return nil, wrap(format.ErrNoTrustedKey, "root %s cannot be used: %v", had.root.path, err)
	}
	trusted.RefTime = at
	c := &client{repo: r, img: img, trusted: trusted, loaded: map[[2]string]*document{}}
	rootLinks(had.root, had.root.path, r.name, report)
	newest, err := c.rotate(had.root, report)
	if err != nil {
		return nil, err
	}
	if !newest.Signed.Expires.After(at) { // those before it may have expired
		return nil, wrap(format.ErrStale, "final root.json is expired: %s, at %s", newest.path, newest.Signed.Expires.UTC().Format(time.RFC3339))
	}
	for _, step := range []func(*seen, *format.Report) error{c.takeTimestamp, c.takeSnapshot, c.takeTargets} {
		if err := step(had, report); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// seen is what the caller trusts: a root, and what its device had already accepted.
type seen struct {
	root           *document
	time, snapshot *document
	targets        int64 // version of the top-level targets metadata
}

func sortAnchors(anchors []format.Anchor) (*seen, error) {
	had := &seen{}
	for _, a := range anchors {
		d, err := parseAnchor(a)
		if err != nil {
			return nil, err
		}
		switch d.Signed.Type {
		case roleRoot:
			if had.root == nil || d.Signed.Version > had.root.Signed.Version {
				had.root = d
			}
		case roleTimestamp:
			had.time = d
		case roleSnapshot:
			had.snapshot = d
		case roleTargets: // a delegated role does not say its name: the file's, which the caller gave, does
			if strings.HasSuffix(a.From, "targets.json") {
				had.targets = d.Signed.Version
			}
		}
	}
	if had.root == nil {
		return nil, wrap(format.ErrNoTrustedKey, "none of the anchors is a root")
	}
	return had, nil
}

func parseAnchor(a format.Anchor) (*document, error) {
	var problems []error
	for _, kind := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		d, err := parse(a.Bytes, kind)
		if err == nil {
			d.path = a.From
			return d, nil
		}
		problems = append(problems, err)
	}
	return nil, wrap(format.ErrNoTrustedKey, "anchor %s is no metadata: %v", a.From, problems[0])
}

// rotate takes N+1, N+2 ... each signed by the one before it and by itself.
func (c *client) rotate(from *document, report *format.Report) (newest *document, err error) {
	before := from
	for range maxRotations {
		version := c.trusted.Root.Signed.Version + 1
		next := c.roots[version]
		if next == nil {
			return before, c.badRoots[version]
		}
		if _, err := guard(func() (any, error) { return c.trusted.UpdateRoot(next.raw) }); err != nil {
			if errors.Is(err, &metadata.ErrUnsignedMetadata{}) {
				return nil, wrap(format.ErrChain, "%s is not vouched for by version %d and by itself: %v", next.path, before.Signed.Version, err)
			}
			return nil, c.explain(err, next, before.Signed.Roles[roleRoot])
		}
		if err := exact(next); err != nil {
			return nil, err
		}
		rootLinks(next, "image", c.name, report)
		before = next
	}
	return nil, malformed("more than %d rotations of the root", maxRotations)
}

func (c *client) role(name string) *role {
	r := c.trusted.Root.Signed.Roles[name]
	if r == nil {
		return nil
	}
	return &role{Name: name, KeyIDs: r.KeyIDs, Threshold: r.Threshold}
}

// takeTimestamp compares with what was seen before, where that is still signed by the root's
// keys (a root that changes them is how a repository recovers: TUF section 5.3.11).
func (c *client) takeTimestamp(had *seen, report *format.Report) error {
	if had.time != nil {
		if _, err := guard(func() (any, error) { return c.trusted.UpdateTimestamp(had.time.raw) }); err != nil && !errors.Is(err, &metadata.ErrRepository{}) {
			return wrap(format.ErrNoTrustedKey, "anchor %s: %v", had.time.path, err)
		}
	}
	_, err := guard(func() (any, error) { return c.trusted.UpdateTimestamp(c.time.raw) })
	if err != nil && !errors.Is(err, &metadata.ErrEqualVersionNumber{}) { // of the same version the one that was seen stays
		return c.explain(err, c.time, c.role(roleTimestamp))
	}
	report.Chain = append(report.Chain, link(c.time, c.name, "root above"))
	return c.genuine(c.time)
}

func (c *client) takeSnapshot(had *seen, report *format.Report) error {
	if had.snapshot != nil {
		if _, err := guard(func() (any, error) { return c.trusted.UpdateSnapshot(had.snapshot.raw, true) }); err != nil && !errors.Is(err, &metadata.ErrRepository{}) {
			return wrap(format.ErrNoTrustedKey, "anchor %s: %v", had.snapshot.path, err)
		}
	}
	if err := c.limit(c.snapshot, c.trusted.Timestamp.Signed.Meta["snapshot.json"]); err != nil {
		return err
	}
	if _, err := guard(func() (any, error) { return c.trusted.UpdateSnapshot(c.snapshot.raw, false) }); err != nil {
		return c.explain(err, c.snapshot, c.role(roleSnapshot))
	}
	report.Chain = append(report.Chain, link(c.snapshot, c.name, "timestamp above"))
	return c.genuine(c.snapshot)
}

func (c *client) takeTargets(had *seen, report *format.Report) error {
	if _, err := c.load(roleTargets, metadata.ROOT); err != nil {
		return err
	}
	if c.targets.Signed.Version < had.targets {
		return wrap(format.ErrStale, "targets version %d, the device has seen %d", c.targets.Signed.Version, had.targets)
	}
	report.Chain = append(report.Chain, link(c.targets, c.name, "snapshot above"))
	return nil
}

// limit compares with the length that the metadata above gives, before anything is hashed.
func (c *client) limit(d *document, m *metadata.MetaFiles) error {
	if m != nil && m.Length > 0 && int64(len(d.raw)) > m.Length {
		return wrap(format.ErrBadHash, "%s has %d bytes, the metadata above says %d", d.path, len(d.raw), m.Length)
	}
	return nil
}

// load verifies one targets role for one delegator.
func (c *client) load(name, delegator string) (*document, error) {
	if d, ok := c.loaded[[2]string{name, delegator}]; ok {
		return d, nil
	}
	d, by := c.targets, c.role(roleTargets)
	if name != roleTargets {
		if err := c.badRoles[name]; err != nil {
			return nil, err
		}
		if d = c.roles[name]; d == nil {
			return nil, wrap(format.ErrNotBound, "role %.60q is not in the folder", name)
		}
		by = c.delegation(delegator, name)
	}
	if err := c.limit(d, c.trusted.Snapshot.Signed.Meta[name+".json"]); err != nil {
		return nil, err
	}
	if _, err := guard(func() (any, error) { return c.trusted.UpdateDelegatedTargets(d.raw, name, delegator) }); err != nil {
		return nil, c.explain(err, d, by)
	}
	c.loaded[[2]string{name, delegator}] = d
	return d, c.genuine(d)
}

// genuine is what go-tuf leaves to be asked of what it took: that it is written as it was signed,
// and that it has not expired at the very instant, when go-tuf still takes it (TUF section 5.4.4:
// the date of expiry must be later than the time of the update).
func (c *client) genuine(d *document) error {
	if !d.Signed.Expires.After(c.trusted.RefTime) {
		return wrap(format.ErrStale, "%s has expired at %s", d.path, d.Signed.Expires.UTC().Format(time.RFC3339))
	}
	return exact(d)
}

// explain gives go-tuf's refusal one of our reasons.
func (c *client) explain(err error, d *document, by *role) error {
	reason := format.ErrMalformed
	switch {
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		reason = whySignature(d, by)
	case errors.Is(err, &metadata.ErrExpiredMetadata{}), errors.Is(err, &metadata.ErrBadVersionNumber{}):
		reason = format.ErrStale
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		reason = format.ErrBadHash
	case strings.Contains(err.Error(), "missing info"):
		reason = format.ErrStale // a role that was there is gone
	}
	return wrap(reason, "%s: %v", d.path, err)
}

// whySignature tells a missing signature, one of strangers and one that does not fit apart.
func whySignature(d *document, by *role) error {
	signatures, known := 0, 0
	for _, s := range d.Signatures {
		if s.Sig == "" { // tuf-on-ci writes one for each key that has not signed yet
			continue
		}
		signatures++
		if by != nil && slices.Contains(by.KeyIDs, s.KeyID) {
			known++
		}
	}
	switch {
	case signatures == 0:
		return format.ErrUnsigned
	case by != nil && known == 0:
		return format.ErrNoTrustedKey
	}
	return format.ErrBadSignature
}

// guard turns a panic of the library that reads metadata into a refusal.
func guard[T any](f func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = malformed("its reader gave up: %v", p)
		}
	}()
	return f()
}
