package tuf

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"assay/firmware/format"
)

// Version is that of the targets metadata, the director's for Uptane.
func (img *Image) Version() string { return fmt.Sprint(img.repos[0].targets.Signed.Version) }

// Describe tells what the folder says about itself; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	f := format.Facts{Format: Name, Version: img.Version()}
	for _, r := range img.repos {
		r.describe(&f)
	}
	all := img.candidates()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t := all[name]
		f.PayloadSize += t.Length
		f.Covered = append(f.Covered, format.Region{Name: oneLine("target " + name), Size: t.Length})
		f.Targets = append(f.Targets, t.identities()...)
		if len(all) == 1 {
			f.SecurityCounter = t.Custom.Counter
		}
		if t.Custom.Counter == nil {
			f.Notes = append(f.Notes, oneLine(fmt.Sprintf("target %q has no release counter: an older file that is signed again is not told from a newer one", name)))
		}
	}
	slices.Sort(f.Targets)
	f.Targets = slices.Compact(f.Targets)
	return f
}

func (t target) identities() []string {
	var all []string
	if t.Custom.HardwareID != "" {
		all = append(all, IsHardware+"="+oneLine(t.Custom.HardwareID))
	}
	for unit := range t.Custom.ECUs {
		all = append(all, IsECU+"="+oneLine(unit))
	}
	return all
}

func (r *repo) describe(f *format.Facts) {
	for _, d := range r.documents() {
		size := int64(len(d.raw))
		f.Size += size
		f.Covered = append(f.Covered, format.Region{Name: d.path + ": signed", Size: size})
		f.Uncovered = append(f.Uncovered, format.Region{Name: d.path + ": layout, members beside signed", Size: size})
		f.Fields = append(f.Fields, format.Field{Name: d.path, Protected: true,
			Value: fmt.Sprintf("version %d, expires %s, %d signatures", d.Signed.Version, d.Signed.Expires.UTC().Format(time.RFC3339), len(d.Signatures))})
		if d.Signed.Type == roleRoot && f.Signature == "" {
			f.Signature = oneLine(d.Signed.Keys[d.Signed.Roles[roleTargets].KeyIDs[0]].Scheme)
		}
	}
	meta := r.snapshot.Signed.Meta
	for _, file := range slices.Sorted(maps.Keys(meta)) {
		if len(meta[file].Hashes) == 0 {
			f.Notes = append(f.Notes, oneLine(fmt.Sprintf("%s gives no digest of %s: any genuine signing of that version is taken", r.snapshot.path, file)))
		}
	}
	if missing := len(meta) - len(r.roles) - 1; missing > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d roles of %s are not in the folder", missing, r.snapshot.path))
	}
}

func (r *repo) documents() []*document {
	var all []*document
	for _, n := range slices.Sorted(maps.Keys(r.roots)) {
		all = append(all, r.roots[n])
	}
	all = append(all, r.time, r.snapshot, r.targets)
	for _, name := range slices.Sorted(maps.Keys(r.roles)) {
		all = append(all, r.roles[name])
	}
	return all
}

// public reads a key as TUF writes it (section 4.2).
func (k *key) public() (crypto.PublicKey, error) {
	if k.Type == "ed25519" {
		b, err := hex.DecodeString(k.Value.Public)
		if err != nil || len(b) != ed25519.PublicKeySize {
			return nil, malformed("an ed25519 key of %d bytes", len(b))
		}
		return ed25519.PublicKey(b), nil
	}
	block, _ := pem.Decode([]byte(k.Value.Public))
	if block == nil {
		return nil, malformed("a key of type %.40q that is no PEM", k.Type)
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// rootLinks tells whom a root trusts with what, and what the table says of those keys.
func rootLinks(d *document, from, repository string, report *format.Report) {
	for _, id := range slices.Sorted(maps.Keys(d.Signed.Keys)) {
		k := d.Signed.Keys[id]
		l := format.Link{Kind: "key", Name: oneLine(strings.TrimSpace(repository + " " + id)), Algorithm: oneLine(k.Scheme), From: from}
		var duties []string
		for name, r := range d.Signed.Roles {
			if r != nil && slices.Contains(r.KeyIDs, id) {
				duties = append(duties, oneLine(name))
			}
		}
		slices.Sort(duties)
		l.Purpose = strings.Join(duties, " ")
		if public, err := k.public(); err == nil {
			l.Strength = format.Strength(public)
			report.Findings = append(report.Findings, format.WeakKey(public)...)
		}
		report.Chain = append(report.Chain, l)
	}
	report.Chain = append(report.Chain, link(d, repository, from))
}

func link(d *document, repository, from string) format.Link {
	return format.Link{Kind: "signature", Name: strings.TrimSpace(fmt.Sprintf("%s %s version %d", repository, d.Signed.Type, d.Signed.Version)),
		NotAfter: d.Signed.Expires.UTC().Format(time.RFC3339), From: from}
}
