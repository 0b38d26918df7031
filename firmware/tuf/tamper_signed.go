package tuf

import (
	"bytes"
	"fmt"
	"time"

	"assay/firmware/format"
)

func (c *change) cutTimestamp() error {
	n := len(c.repo.time.raw) / 2
	c.files[c.repo.time.path] = c.repo.time.raw[:n]
	c.say(format.LayerStructure, format.ErrMalformed, "the timestamp ends too early", fmt.Sprintf("%s cut at offset %d", c.repo.time.path, n))
	return nil
}

func (c *change) cutSnapshot() error {
	n := len(c.repo.snapshot.raw) / 2
	c.files[c.repo.snapshot.path] = c.repo.snapshot.raw[:n]
	c.say(format.LayerStructure, format.ErrMalformed, "the snapshot ends too early", fmt.Sprintf("%s cut at offset %d", c.repo.snapshot.path, n))
	return nil
}

func (c *change) empty() error {
	c.files[c.repo.time.path] = []byte{}
	c.say(format.LayerStructure, format.ErrMalformed, "there is no timestamp", c.repo.time.path+" emptied")
	return nil
}

func (c *change) oversize() error {
	c.files[c.repo.time.path] = append(bytes.Clone(c.repo.time.raw), bytes.Repeat([]byte(" "), 1<<20)...)
	c.say(format.LayerResources, format.ErrMalformed, "the download of a timestamp stops at a limit", "1 MiB of blanks behind "+c.repo.time.path)
	return nil
}

func (c *change) trailing() error {
	c.files[c.repo.time.path] = append(bytes.Clone(c.repo.time.raw), "{}"...)
	c.say(format.LayerStructure, format.ErrTrailing, "a file is one JSON value", "a second value behind "+c.repo.time.path)
	return nil
}

// duplicate writes "signed" twice, the first of them older.
func (c *change) duplicate() error {
	if err := c.edit(c.repo.time.path, func(signed object) { signed["version"] = 1 }); err != nil {
		return err
	}
	other := bytes.TrimSpace(c.files[c.repo.time.path])
	genuine := bytes.TrimSpace(c.repo.time.raw)
	c.files[c.repo.time.path] = bytes.Join([][]byte{other[:len(other)-1], genuine[1:]}, []byte(","))
	c.say(format.LayerStructure, format.ErrMalformed, "a member that is there twice is one too many", "signed and signatures twice in "+c.repo.time.path)
	return nil
}

// freeze is the maker's timestamp of long ago.
func (c *change) freeze() error {
	if err := c.may(roleTimestamp); err != nil {
		return err
	}
	c.say(format.LayerFreshness, format.ErrStale, "an expired timestamp says nothing about today", c.repo.time.path+" expires in 2001, signed by the maker's key")
	if err := c.edit(c.repo.time.path, func(signed object) {
		signed["expires"] = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)
	}); err != nil {
		return err
	}
	return c.sign(c.repo.time.path, c.signer)
}

// older is the repository of some time ago, seen by a device that has seen a newer one.
func (c *change) older() error {
	if err := c.may(roleTimestamp); err != nil {
		return err
	}
	version := c.repo.time.Signed.Version
	if version < 2 {
		return wrap(format.ErrNotApplicable, "the timestamp has version 1, and there is nothing older")
	}
	name := roleTimestamp
	if c.repo.name != "" {
		name = c.repo.name + "/" + name
	}
	c.m.Device = &format.Device{Has: map[string]string{name: fmt.Sprint(version)}}
	c.m.Classic = "CVE-2022-29173"
	c.say(format.LayerFreshness, format.ErrRollback, "a timestamp older than the one that was seen is refused", fmt.Sprintf("%s has version %d, signed by the maker's key", c.repo.time.path, version-1))
	if err := c.edit(c.repo.time.path, func(signed object) { signed["version"] = version - 1 }); err != nil {
		return err
	}
	return c.sign(c.repo.time.path, c.signer)
}

// mix puts another genuine signing of the targets under the snapshot.
func (c *change) mix() error {
	if err := c.may(roleTargets); err != nil {
		return err
	}
	version, reason := c.repo.targets.Signed.Version, format.ErrBadHash
	if m := c.repo.snapshot.Signed.Meta["targets.json"]; len(m.Hashes) == 0 {
		version, reason = version+1, format.ErrStale
	}
	c.say(format.LayerFreshness, reason, "the targets are not those of the snapshot", fmt.Sprintf("%s is another signing, of version %d", c.repo.targets.path, version))
	if err := c.edit(c.repo.targets.path, func(signed object) {
		signed["version"], signed["expires"] = version, c.repo.targets.Signed.Expires.Add(time.Hour).UTC().Format(time.RFC3339)
	}); err != nil {
		return err
	}
	return c.sign(c.repo.targets.path, c.signer)
}

// wrongRole signs the snapshot by the timestamp's key, which is the one that lies online.
func (c *change) wrongRole() error {
	if err := c.may(roleTimestamp); err != nil {
		return err
	}
	if c.may(roleSnapshot) == nil {
		return wrap(format.ErrNotApplicable, "the key given is the snapshot's as well")
	}
	c.say(format.LayerTrust, format.ErrNoTrustedKey, "the timestamp's key does not sign snapshots", c.repo.snapshot.path+" signed by the timestamp's key")
	if err := c.sign(c.repo.snapshot.path, c.signer); err != nil {
		return err
	}
	c.m.Repaired = append(c.m.Repaired, "digests in "+c.repo.time.path)
	if err := c.repairTimestamp(); err != nil {
		return err
	}
	return c.sign(c.repo.time.path, c.signer)
}

// otherHardware says of every target that it is for something else.
func (c *change) otherHardware() error {
	if err := c.may(roleTargets, roleSnapshot, roleTimestamp); err != nil {
		return err
	}
	if c.repo.name != "" {
		return wrap(format.ErrNotApplicable, "the image repository has to say the same, under other keys")
	}
	hardware := ""
	for _, t := range c.repo.targets.Signed.Targets {
		hardware = t.Custom.HardwareID
	}
	if hardware == "" {
		return wrap(format.ErrNotApplicable, "no target says what hardware it is for")
	}
	c.m.Device = &format.Device{Is: map[string]string{IsHardware: hardware}}
	c.say(format.LayerIdentity, format.ErrWrongDevice, "the target is for other hardware", "hardwareId in "+c.repo.targets.path+", all signed by the maker's key")
	if err := c.edit(c.repo.targets.path, func(signed object) {
		for name := range c.repo.targets.Signed.Targets {
			sub(signed, "targets", name, "custom")["hardwareId"] = hardware + "-other"
		}
	}); err != nil {
		return err
	}
	if err := c.sign(c.repo.targets.path, c.signer); err != nil {
		return err
	}
	return c.repairSigned(c.signer)
}

// belowThreshold keeps one signature less than the targets role asks for. Where the metadata
// above has its digest, that takes the keys above.
func (c *change) belowThreshold() error {
	root := c.newestRoot()
	if root == nil || root.Signed.Roles[roleTargets].Threshold < 2 {
		return wrap(format.ErrNotApplicable, "one signature is enough for the targets")
	}
	keep := root.Signed.Roles[roleTargets].Threshold - 1
	c.say(format.LayerSignature, format.ErrBadSignature, "the role asks for more signatures", fmt.Sprintf("%d signatures left in %s", keep, c.repo.targets.path))
	if err := c.editAll(c.repo.targets.path, func(all object) error {
		list, _ := all["signatures"].([]any)
		all["signatures"] = list[:min(keep, len(list))]
		return nil
	}); err != nil {
		return err
	}
	if len(c.repo.snapshot.Signed.Meta["targets.json"].Hashes) == 0 {
		return nil
	}
	if err := c.may(roleSnapshot, roleTimestamp); err != nil {
		return err
	}
	return c.repairSigned(c.signer)
}
