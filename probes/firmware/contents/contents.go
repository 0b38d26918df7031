// Package contents asks what is inside the maker's image of the declared version: secrets, accounts,
// certificates, software and its known vulnerabilities, how programs were hardened. It touches no
// device, writes down no secret, and never takes what it could not open for clean.
package contents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"assay/firmware"
	"assay/firmware/format"
	"assay/firmware/inspect"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/vuln"
	"assay/probes"
	family "assay/probes/firmware"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "firmware/contents",
		Version: "2",
		Asks:    "What is inside the firmware image of the declared version?",
		Needs:   []probes.Need{{Instrument: probes.InstrumentImages}, {Instrument: probes.InstrumentClock}},
		Touch:   probes.Observe,
		Typical: 5,
		New:     func() probes.Probe { return &Probe{} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe has no parameters.
type Probe struct{}

// Facts is what was found. Lists say where: "image!tar@0x0!/etc/shadow: ...". No secret is in them.
type Facts struct {
	Version  string   `json:"version"`  // declared: "1.0.0"
	Image    string   `json:"image"`    // "firmware-1.0.0.bin"; empty where the dossier has none of that version
	SHA256   string   `json:"sha256"`   // of the image, hex
	Envelope string   `json:"envelope"` // the format whose payload was looked into: "mcuboot"; empty where it was the whole file
	Opened   bool     `json:"opened"`   // at least one container was taken apart
	Complete bool     `json:"complete"` // the control: nothing was left out, no limit was hit
	Size     int64    `json:"size"`     // bytes that were to be looked into
	Left     int64    `json:"left"`     // of those, in parts that were not; what is inside packed parts counts unpacked
	LeftOut  []string `json:"left_out"` // parts that were not looked into, and why
	Files    int      `json:"files"`    // 6
	At       string   `json:"at"`       // the day on which certificates must be valid: "2026-11-25"

	PrivateKeys  []string `json:"private_keys"`
	Secrets      []string `json:"secrets"`      // passwords, tokens, credentials of clouds
	TestKeys     []string `json:"test_keys"`    // of public projects
	Accounts     []string `json:"accounts"`     // that anybody who looks gets into: no password, a known one, a second root, a shell over Telnet
	FixedLogins  []string `json:"fixed_logins"` // the same in every unit: password hashes that no word fitted, keys that may log in
	Certificates []string `json:"certificates"` // with a weak key or signature
	OutOfTime    []string `json:"out_of_time"`  // certificates that have expired or are not yet valid: old roots in a bundle often have
	Rights       []string `json:"rights"`       // set-uid, write rights, device nodes, names that leave their folder
	Kernel       []string `json:"kernel"`       // options of the kernel

	Programs   int      `json:"programs"`   // executables and libraries
	Unhardened []string `json:"unhardened"` // of those, with what is missing

	Components         []string `json:"components"`              // "mbedtls 3.6.2-r1 pkg:opkg/mbedtls@3.6.2-r1"
	ComponentCount     int      `json:"component_count"`         // 2
	WithoutVersion     []string `json:"without_version"`         // components that no vulnerability can be looked up for
	SBOM               string   `json:"sbom_sha256"`             // of their CycloneDX document, as the inspection makes it of this image
	Checked            bool     `json:"vulnerabilities_checked"` // false without a snapshot
	Snapshot           string   `json:"snapshot"`                // "advisories"
	SnapshotSHA256     string   `json:"snapshot_sha256"`
	SnapshotDated      string   `json:"snapshot_dated"`    // "2026-11-20"
	SnapshotAgeDays    int      `json:"snapshot_age_days"` // 5; negative: dated in the future
	SnapshotEntries    int      `json:"snapshot_entries"`  // 40123
	Affected           []string `json:"affected"`          // "mbedtls 3.5.0: OSV-2026-1"
	UnderInvestigation []string `json:"under_investigation"`
	NotAffected        []string `json:"not_affected"` // matches that a VEX statement or a fix took back
}

// Ask takes the image apart.
func (*Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	now := b.Clock.Now()
	f := Facts{Version: b.Images.Installed(), At: now.UTC().Format("2006-01-02")}
	f.bound()
	all, err := family.All(ctx, b.Images)
	if err != nil {
		return nil, err
	}
	at := family.Of(all, f.Version)
	if at < 0 {
		return f, nil
	}
	image := all[at]
	sum := sha256.Sum256(image.Bytes)
	f.Image, f.SHA256 = image.Name, hex.EncodeToString(sum[:])
	source, envelope := inside(image)
	f.Envelope, f.Size = envelope, source.Size()
	o := inspect.Options{At: now}
	var shot probes.Snapshot
	if b.Advisories != nil {
		shot = b.Advisories.Snapshot()
		o.Snapshot, o.SnapshotName = shot.Files, shot.Name
	}
	inv, err := inspect.Image(ctx, source, o)
	if err != nil {
		return nil, fmt.Errorf("take image %s apart: %w: %w", image.Name, err, probes.ErrBench)
	}
	f.taken(inv)
	f.found(inv.Findings)
	if err := f.software(inv); err != nil {
		return nil, err
	}
	if v := inv.Vulnerabilities; v.Checked {
		if shot.SHA256 != "" && shot.SHA256 != v.Digest {
			return nil, fmt.Errorf("the snapshot %s was changed since the bench was built: sha256 %s, then %s: %w", shot.Name, shot.SHA256, v.Digest, probes.ErrBench)
		}
		f.Checked, f.Snapshot, f.SnapshotSHA256, f.SnapshotEntries = true, shot.Name, v.Digest, v.Entries
		f.SnapshotDated = shot.Dated.Format("2006-01-02")
		f.SnapshotAgeDays = int(now.UTC().Truncate(day).Sub(shot.Dated.UTC().Truncate(day)) / day)
		f.known(v.Matches)
	}
	f.bound()
	return f, nil
}

const day = 24 * 60 * 60 * 1e9

// inside is what of an image is to be looked into. Its format's own parser has read the envelope to the
// last byte; the payload it takes as it is.
func inside(i probes.Image) (format.Source, string) {
	whole := format.FromBytes(i.Bytes)
	if i.Signature != nil {
		return whole, ""
	}
	img, err := firmware.OpenUnverified(i.Input())
	if err != nil {
		return whole, ""
	}
	d := img.Describe()
	for _, r := range slices.Concat(d.Covered, d.Uncovered) {
		if r.Name == "payload" && r.Offset >= 0 && r.Size > 0 && r.Offset+r.Size <= int64(len(i.Bytes)) {
			return format.FromBytes(i.Bytes[r.Offset : r.Offset+r.Size]), d.Format
		}
	}
	return whole, ""
}

// taken notes how much of the image was looked into.
func (f *Facts) taken(inv *inspect.Inventory) {
	f.Complete, f.Files = inv.Complete, inv.Counts.Files
	for _, c := range inv.Containers {
		f.Opened = f.Opened || c.State != inspect.NotInspected
	}
	for _, g := range slices.Concat(inv.NotInspected, inv.LimitsHit) {
		f.Left += g.Size
		f.LeftOut = append(f.LeftOut, fmt.Sprintf("%s: %d bytes at %d: %s", g.Path, g.Size, g.Offset, g.Reason))
	}
}

// found sorts the findings.
func (f *Facts) found(all []inspect.Finding) {
	lists := map[string]*[]string{
		found.PrivateKey: &f.PrivateKeys,
		found.Password:   &f.Secrets, found.CloudCredential: &f.Secrets, found.Token: &f.Secrets,
		found.TestKey:    &f.TestKeys,
		found.SecondRoot: &f.Accounts, found.EmptyPassword: &f.Accounts, found.DefaultPassword: &f.Accounts,
		found.TelnetShell: &f.Accounts,
		found.WeakHash:    &f.FixedLogins, found.PasswordHash: &f.FixedLogins, found.AuthorizedKey: &f.FixedLogins,
		found.WeakCertificate: &f.Certificates, found.Expired: &f.OutOfTime, found.NotYetValid: &f.OutOfTime,
		found.SetUID: &f.Rights, found.Permissions: &f.Rights, found.DeviceNode: &f.Rights, found.PathEscape: &f.Rights,
		found.Hardening: &f.Unhardened, found.KernelConfig: &f.Kernel,
	}
	for _, one := range all {
		list, ok := lists[one.Kind]
		if !ok { // of a kind that this probe does not know: nobody may pass for want of a list
			list, f.Complete = &f.LeftOut, false
		}
		line := fmt.Sprintf("%s at %d: %s", one.Path, one.Offset, one.Statement)
		if one.Digest != "" {
			line += " (" + one.Digest + ")"
		}
		*list = append(*list, line)
	}
}

// software notes the components, and the digest of their CycloneDX document: an observation carries no
// file, and who has the image can make the document again.
func (f *Facts) software(inv *inspect.Inventory) error {
	f.Programs, f.ComponentCount = len(inv.Programs), len(inv.Components)
	for _, c := range inv.Components {
		name := c.Name
		if c.Version == "" {
			f.WithoutVersion = append(f.WithoutVersion, c.Name)
		} else {
			name += " " + c.Version
		}
		if c.PURL != "" {
			name += " " + c.PURL
		}
		f.Components = append(f.Components, name)
	}
	text, err := json.Marshal(inv.BOM())
	if err != nil {
		return fmt.Errorf("write the components down: %w: %w", err, probes.ErrBench)
	}
	sum := sha256.Sum256(text)
	f.SBOM = hex.EncodeToString(sum[:])
	return nil
}

// known sorts what the snapshot said.
func (f *Facts) known(all []vuln.Match) {
	for _, m := range all {
		line := fmt.Sprintf("%s %s: %s (%s)", m.Component, m.Version, m.ID, m.Basis)
		switch m.Status {
		case vuln.Affected:
			f.Affected = append(f.Affected, line)
		case vuln.NotAffected, vuln.Fixed:
			f.NotAffected = append(f.NotAffected, line+": "+string(m.Status)+" "+m.Reason)
		default:
			f.UnderInvestigation = append(f.UnderInvestigation, line)
		}
	}
}

// bound cuts every list.
func (f *Facts) bound() {
	for _, list := range []*[]string{
		&f.LeftOut, &f.PrivateKeys, &f.Secrets, &f.TestKeys, &f.Accounts, &f.FixedLogins, &f.Certificates, &f.OutOfTime, &f.Rights, &f.Kernel, &f.Unhardened,
		&f.Components, &f.WithoutVersion, &f.Affected, &f.UnderInvestigation, &f.NotAffected,
	} {
		*list = family.Bounded(*list)
	}
}
