package tuf

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"assay/firmware/format"
)

// maxFolder is the largest folder of which variants are made.
const maxFolder = 1 << 30

func variants() []string {
	all := []string{
		format.Tampered, format.TamperedPlain, format.HeaderFlip, format.SignatureFlip, format.Unsigned, format.DuplicateSignature,
		format.BelowThreshold, format.WrongKey, format.WrongKeyForged, format.SelfMadeChain, format.WrongPurpose, format.Older,
		format.OtherHardware, format.TruncatedHeader, format.TruncatedPayload, format.TruncatedSignature, format.Empty, format.Oversize,
		format.TrailingData, format.LengthLie, format.DuplicateEntry, format.EndlessData, format.PathEscape, format.Freeze,
		format.MixAndMatch, format.Swapped,
	}
	return format.InOrder(all...)
}

// A change is a variant in the making: the files of the folder, and whose metadata is changed
// (the director's for Uptane).
type change struct {
	img    *Image
	repo   *repo
	signer crypto.Signer
	files  map[string][]byte
	m      format.Manifest
	second map[string][]byte // of a pair
}

// Tamper makes a variant of the folder. What only a signed role can say needs means.Signer,
// the key of that role, where one is enough.
func (img *Image) Tamper(variant string, means format.Means) (format.Variant, error) {
	v, err := img.tamper(variant, means)
	if err != nil {
		return format.Variant{}, fmt.Errorf("make variant %q of tuf repository: %w", variant, err)
	}
	return v, nil
}

func (img *Image) tamper(variant string, means format.Means) (format.Variant, error) {
	if !slices.Contains(format.Variants(), variant) {
		return format.Variant{}, format.ErrUnknownVariant
	}
	c := &change{img: img, repo: img.repos[0], signer: means.Signer, m: format.Manifest{Format: Name, Variant: variant}}
	make, ok := map[string]func() error{
		format.Tampered: c.tampered, format.TamperedPlain: c.flipTarget, format.Swapped: c.swapped,
		format.TruncatedPayload: c.cutTarget, format.EndlessData: c.endless,
		format.HeaderFlip: c.header, format.LengthLie: c.lengthLie, format.PathEscape: c.escape,
		format.SignatureFlip: c.flipSignatures, format.Unsigned: c.strip, format.DuplicateSignature: c.doubleSignatures,
		format.WrongKey: c.wrongKey, format.WrongKeyForged: c.forgedKey, format.SelfMadeChain: c.selfMade,
		format.TruncatedHeader: c.cutTimestamp, format.TruncatedSignature: c.cutSnapshot, format.Empty: c.empty,
		format.Oversize: c.oversize, format.TrailingData: c.trailing, format.DuplicateEntry: c.duplicate,
		format.Freeze: c.freeze, format.Older: c.older, format.MixAndMatch: c.mix, format.WrongPurpose: c.wrongRole,
		format.OtherHardware: c.otherHardware, format.BelowThreshold: c.belowThreshold,
	}[variant]
	if !ok {
		return format.Variant{}, wrap(format.ErrNotApplicable, "the format has nothing to make it of")
	}
	if err := c.readAll(); err != nil {
		return format.Variant{}, err
	}
	if err := make(); err != nil {
		return format.Variant{}, err
	}
	if c.second == nil {
		return format.Variant{Files: c.files, Manifest: c.m}, nil
	}
	both := map[string][]byte{} // two whole folders
	for name, b := range c.files {
		both[path.Join(format.FileFirst, name)] = b
	}
	for name, b := range c.second {
		both[path.Join(format.FileSecond, name)] = b
	}
	return format.Variant{Files: both, Manifest: c.m}, nil
}

// readAll copies the repositories' folders; what else lies beside them is left out.
func (c *change) readAll() error {
	c.files = map[string][]byte{}
	var sum int64
	return fs.WalkDir(c.img.dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !c.belongs(name) {
			return err
		}
		b, err := readFile(c.img.dir, name, maxFolder-sum)
		sum += int64(len(b))
		c.files[name] = b
		return err
	})
}

func (c *change) belongs(name string) bool {
	return slices.ContainsFunc(c.img.repos, func(r *repo) bool {
		return path.Dir(name) == r.metadata && strings.HasSuffix(name, ".json") && path.Base(name) != "trusted_root.json" ||
			strings.HasPrefix(name, path.Join(r.base, "targets")+"/")
	})
}

func (c *change) say(layer format.Layer, reason error, expected string, changed ...string) {
	c.m.Layer, c.m.Reason, c.m.Expected = layer, reason, expected
	c.m.Changed = append(c.m.Changed, changed...)
}

// targetFile is the first target that is in the folder, and the metadata that lists it.
func (c *change) targetFile() (name, file string, err error) {
	last := c.img.repos[len(c.img.repos)-1] // the image repository's with Uptane
	for _, name := range last.listed() {
		for _, d := range append(slices.Collect(maps.Values(last.roles)), last.targets) {
			t := d.Signed.Targets[name]
			if t == nil {
				continue
			}
			folder, base := path.Split(path.Join(last.base, "targets", name))
			for _, file := range []string{path.Join(folder, t.Hashes["sha256"]+"."+base), path.Join(folder, t.Hashes["sha512"]+"."+base), path.Join(folder, base)} {
				if len(c.files[file]) > 0 {
					return name, file, nil
				}
			}
		}
	}
	return "", "", wrap(format.ErrNotApplicable, "no target is in the folder")
}

func (c *change) flipTarget() error {
	_, file, err := c.targetFile()
	if err != nil {
		return err
	}
	at := format.Harmless(c.files[file])
	c.files[file] = bytes.Clone(c.files[file])
	c.files[file][at] ^= 1
	c.say(format.LayerPayload, format.ErrBadHash, "the file is not the one that is vouched for", fmt.Sprintf("lowest bit at offset %d of %s", at, file))
	return nil
}

func (c *change) swapped() error {
	genuine := maps.Clone(c.files)
	if err := c.flipTarget(); err != nil {
		return err
	}
	c.files, c.second = genuine, c.files
	c.say(format.LayerPayload, format.ErrBadHash, "what is used is not what was checked")
	return nil
}

func (c *change) cutTarget() error {
	_, file, err := c.targetFile()
	if err != nil {
		return err
	}
	n := len(c.files[file]) / 2
	c.files[file] = c.files[file][:n]
	c.say(format.LayerPayload, format.ErrBadHash, "the file is shorter than its signed length", fmt.Sprintf("%s cut at offset %d", file, n))
	return nil
}

func (c *change) endless() error {
	_, file, err := c.targetFile()
	if err != nil {
		return err
	}
	c.say(format.LayerResources, format.ErrTrailing, "the download stops at the signed length", fmt.Sprintf("1 MiB behind offset %d of %s", len(c.files[file]), file))
	c.files[file] = append(bytes.Clone(c.files[file]), make([]byte, 1<<20)...)
	return nil
}

// tampered changes a target and every digest on the way up, so that nothing but a signature is in its way.
func (c *change) tampered() error {
	name, file, err := c.targetFile()
	if err != nil {
		return err
	}
	if err := c.flipTarget(); err != nil {
		return err
	}
	flipped := c.files[file]
	if base := path.Base(file); base != path.Base(name) { // named by its digest
		delete(c.files, file)
		c.files[path.Join(path.Dir(file), hexSum(flipped)+"."+path.Base(name))] = flipped
	}
	for _, r := range c.img.repos {
		for _, d := range append(slices.Collect(maps.Values(r.roles)), r.targets) {
			if d.Signed.Targets[name] == nil {
				continue
			}
			if err := c.edit(d.path, func(signed object) { sub(signed, "targets", name)["hashes"] = object{"sha256": hexSum(flipped)} }); err != nil {
				return err
			}
			c.m.Repaired = append(c.m.Repaired, "digest in "+d.path)
		}
		if err := c.repair(r); err != nil {
			return err
		}
	}
	c.say(format.LayerSignature, format.ErrBadSignature, "the metadata is not what its role signed")
	return nil
}

// repair makes digests and lengths in snapshot and timestamp those of the changed files.
func (c *change) repair(r *repo) error {
	for _, above := range []struct {
		d     *document
		below []*document
	}{{r.snapshot, append(slices.Collect(maps.Values(r.roles)), r.targets)}, {r.time, []*document{r.snapshot}}} {
		repaired := false
		err := c.edit(above.d.path, func(signed object) {
			for _, d := range above.below {
				name := path.Base(d.path)
				name = strings.TrimPrefix(name, fmt.Sprintf("%d.", d.Signed.Version))
				m := sub(signed, "meta", name)
				if _, ok := m["hashes"]; ok && !bytes.Equal(c.files[d.path], d.raw) {
					m["hashes"], repaired = object{"sha256": hexSum(c.files[d.path])}, true
				}
				if _, ok := m["length"]; ok && !bytes.Equal(c.files[d.path], d.raw) {
					m["length"], repaired = len(c.files[d.path]), true
				}
			}
		})
		if err != nil {
			return err
		}
		if !repaired {
			c.files[above.d.path] = above.d.raw
			return nil
		}
		c.m.Repaired = append(c.m.Repaired, "digests in "+above.d.path)
	}
	return nil
}

// edit changes what is signed; the signatures stay and no longer fit.
func (c *change) edit(file string, f func(signed object)) error {
	return c.editAll(file, func(all object) error { f(sub(all, "signed")); return nil })
}

func (c *change) editAll(file string, f func(all object) error) error {
	d := json.NewDecoder(bytes.NewReader(c.files[file]))
	d.UseNumber()
	var all object
	if err := d.Decode(&all); err != nil {
		return malformed("%s: %v", file, err)
	}
	if err := f(all); err != nil {
		return err
	}
	b, err := encode(all)
	c.files[file] = b
	return err
}

// sub walks down to a member; one that is missing is made.
func sub(b object, names ...string) object {
	for _, name := range names {
		next, ok := b[name].(object)
		if !ok {
			next = object{}
			b[name] = next
		}
		b = next
	}
	return b
}

func stranger() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}
