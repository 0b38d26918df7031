// Package inspect is for saying what is inside a firmware image: nested containers and file
// systems, the software and its known vulnerabilities, keys, passwords, accounts, how programs
// were hardened. What could not be looked into it names, so that silence is never taken for
// cleanness. It writes no member to a path, follows no link, makes no device, runs nothing from
// an image, tells no secret, asks no network, and does not judge how bad a finding is.
package inspect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"assay/firmware/format"
	"assay/firmware/inspect/elfs"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/sbom"
	"assay/firmware/inspect/vuln"
)

// The parts of an inventory; see the packages that make them.
type (
	Finding         = found.Finding
	Component       = sbom.Component
	Hardening       = elfs.Hardening
	Vulnerabilities = vuln.Result
)

// Limits bound what an image may cost. A field that is zero has its default.
type Limits struct {
	Depth    int   `json:"depth"`     // containers inside each other; 12
	Files    int   `json:"files"`     // entries of all containers; 500,000
	FileSize int64 `json:"file_size"` // bytes of one file; 1 GiB
	Total    int64 `json:"total"`     // unpacked bytes of all files; 8 GiB
	Ratio    int64 `json:"ratio"`     // unpacked to packed bytes of one container; 200
	Free     int64 `json:"free"`      // bytes to which a container may unpack at any ratio, as erased flash does; 256 MiB
}

func (l Limits) withDefaults() Limits {
	return Limits{cmp.Or(l.Depth, 12), cmp.Or(l.Files, 500_000), cmp.Or(l.FileSize, 1<<30), cmp.Or(l.Total, 8<<30), cmp.Or(l.Ratio, 200), cmp.Or(l.Free, 256<<20)}
}

// Options are what an inspection needs to know beside the image. The zero value is useful:
// nothing is asked that needs a time or a snapshot, and the inventory says so.
type Options struct {
	Name         string    // the first element of every path; "image"
	At           time.Time // when certificates must be valid; zero: not checked
	Limits       Limits
	Passwords    []string // tried on password hashes beside the built-in words
	Snapshot     fs.FS    // OSV and CSAF-VEX files in JSON; nil: known vulnerabilities are not checked
	SnapshotName string   // as the result names it
	TempDir      string   // for unpacked files of more than a megabyte; the system's by default
}

// An Inventory is what is inside an image. It is the same for the same image and options.
type Inventory struct {
	Image           string          `json:"image"`
	Size            int64           `json:"size"`
	SHA256          string          `json:"sha256"`
	Complete        bool            `json:"complete"` // nothing was left out: no gap, no limit
	Counts          Counts          `json:"counts"`
	Containers      []Container     `json:"containers"`
	NotInspected    []Gap           `json:"not_inspected"` // what was not looked into, and why
	Limits          Limits          `json:"limits"`        // that held
	LimitsHit       []Gap           `json:"limits_hit"`    // where one of them ended the work
	Findings        []Finding       `json:"findings"`
	Components      []Component     `json:"components"`
	Programs        []Hardening     `json:"programs"`
	Vulnerabilities Vulnerabilities `json:"vulnerabilities"`
	Notes           []string        `json:"notes"` // what was not asked, one sentence each
}

// Counts are of all containers together.
type Counts struct {
	Files   int   `json:"files"`
	Folders int   `json:"folders"`
	Links   int   `json:"links"`
	Devices int   `json:"devices"` // and pipes and sockets; none was made
	Media   int   `json:"media"`   // pictures, sound and fonts, by their first bytes; they are not unpacked
	Bytes   int64 `json:"bytes"`   // of files, unpacked
}

// States of a container.
const (
	Inspected    = "inspected"
	Partly       = "partly inspected"
	NotInspected = "not inspected"
)

// A Container is one file system, archive, boot image or compressed stream.
type Container struct {
	Path    string `json:"path"`
	Kind    string `json:"kind"`   // squashfs
	Offset  int64  `json:"offset"` // in the file that the path names
	Size    int64  `json:"size"`   // bytes that belong to it
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Entries int    `json:"entries"`
}

// A Gap is a part of the image that was not looked into.
type Gap struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"` // bytes; 0 where it is not known
	Reason string `json:"reason"`
}

// Image takes an image apart. The error is of our own side (the context, the source, the
// snapshot): whatever the image does is in the inventory, which is filled as far as it got.
func Image(ctx context.Context, in format.Source, o Options) (*Inventory, error) {
	w, err := newWalk(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("inspect image: %w", err)
	}
	w.inv.Size = in.Size()
	sum := sha256.New()
	if _, err := io.Copy(sum, reader{ctx, in.Section(0, in.Size())}); err != nil {
		return nil, fmt.Errorf("inspect image: %w", err)
	}
	w.inv.SHA256 = hex.EncodeToString(sum.Sum(nil))
	err = w.node(node{path: w.inv.Image, src: in, segment: true, noMode: true})
	w.finish(err)
	if err != nil && !errors.Is(err, errStop) {
		return w.inv, fmt.Errorf("inspect image: %w", err)
	}
	return w.inv, nil
}

// BOM is the inventory's software as a CycloneDX document, without a time and a serial number.
func (inv *Inventory) BOM() *cdx.BOM { return sbom.BOM(inv.Image, inv.SHA256, inv.Components) }

// reader ends when the context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// finish puts everything in order and looks the components up.
func (w *walk) finish(err error) {
	inv := w.inv
	inv.Components = w.set.List()
	slices.SortFunc(inv.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Offset, b.Offset), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Statement, b.Statement))
	})
	for i := range inv.Findings {
		inv.Findings[i].Identify()
	}
	inv.Findings = slices.CompactFunc(inv.Findings, func(a, b Finding) bool { return a.ID == b.ID && a.Offset == b.Offset })
	slices.SortFunc(inv.NotInspected, gapOrder)
	slices.SortFunc(inv.LimitsHit, gapOrder)
	inv.NotInspected, inv.LimitsHit = slices.Compact(inv.NotInspected), slices.Compact(inv.LimitsHit)
	slices.SortFunc(inv.Programs, func(a, b Hardening) int { return strings.Compare(a.Path, b.Path) })
	inv.Complete = err == nil && len(inv.NotInspected) == 0 && len(inv.LimitsHit) == 0
	if w.snapshot != nil {
		var subjects []vuln.Subject
		for _, c := range inv.Components {
			subjects = append(subjects, vuln.Subject{Name: c.Name, Version: c.Version, Ecosystem: c.Ecosystem, PURL: c.PURL})
		}
		inv.Vulnerabilities = w.snapshot.Match(subjects, releases(inv.Components))
	}
	if w.o.At.IsZero() {
		inv.Notes = append(inv.Notes, "The validity of certificates was not checked: no time was given.")
	}
	if len(inv.Components) == 0 {
		inv.Notes = append(inv.Notes, "No software was recognised: the list of components is empty, not complete.")
	}
	for _, s := range w.accounts.Skipped {
		inv.Notes = append(inv.Notes, s+".")
	}
	slices.Sort(inv.Notes)
	inv.Notes = slices.Compact(inv.Notes)
}

func gapOrder(a, b Gap) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Offset, b.Offset), strings.Compare(a.Reason, b.Reason))
}

// releases are the distributions that the image says it is, as OSV names them.
func releases(components []Component) map[string]string {
	out := map[string]string{}
	for _, c := range components {
		if c.Type != "operating-system" || c.Version == "" {
			continue
		}
		switch c.Name {
		case "debian":
			out["Debian"] = c.Version
		case "ubuntu":
			out["Ubuntu"] = c.Version
		case "alpine":
			if p := strings.Split(c.Version, "."); len(p) >= 2 {
				out["Alpine"] = p[0] + "." + p[1]
			}
		}
	}
	return out
}
