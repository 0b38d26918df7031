package inspect

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"assay/firmware/inspect/vuln"
)

// WriteText writes the inventory for people. JSON has everything, this has what is read first:
// what was not looked into stands before what was found.
func (inv *Inventory) WriteText(out io.Writer) error {
	b := bufio.NewWriter(out)
	say := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	say("image        %s, %d bytes, sha256:%s", inv.Image, inv.Size, inv.SHA256)
	say("content      %d files, %d folders, %d links, %d devices; %d bytes unpacked", inv.Counts.Files, inv.Counts.Folders, inv.Counts.Links, inv.Counts.Devices, inv.Counts.Bytes)
	if inv.Complete {
		say("coverage     everything was looked into")
	} else {
		say("coverage     INCOMPLETE: %d parts were not looked into, %d limits were hit", len(inv.NotInspected), len(inv.LimitsHit))
	}
	inv.writeParts(say)
	inv.writeFindings(say)
	inv.writeSoftware(say)
	if len(inv.Notes) > 0 {
		say("\nnotes")
		for _, n := range inv.Notes {
			say("  %s", n)
		}
	}
	return b.Flush()
}

func (inv *Inventory) writeParts(say func(string, ...any)) {
	if len(inv.Containers) > 0 {
		say("\ncontainers")
		for _, c := range inv.Containers {
			reason := ""
			if c.Reason != "" {
				reason = ": " + c.Reason
			}
			say("  %-15s %s at 0x%x, %d bytes, %d entries, %s%s", c.Kind, c.Path, c.Offset, c.Size, c.Entries, c.State, reason)
		}
	}
	for _, part := range []struct {
		title string
		gaps  []Gap
	}{{"not looked into", inv.NotInspected}, {"limits hit", inv.LimitsHit}} {
		if len(part.gaps) > 0 {
			say("\n%s", part.title)
		}
		for _, g := range part.gaps {
			say("  %s at 0x%x, %d bytes: %s", g.Path, g.Offset, g.Size, g.Reason)
		}
	}
}

func (inv *Inventory) writeFindings(say func(string, ...any)) {
	say("\nfindings: %d", len(inv.Findings))
	for _, f := range inv.Findings {
		digest := ""
		if f.Digest != "" {
			digest = " [" + f.Digest + "]"
		}
		say("  %-22s %s at 0x%x: %s%s", f.Kind, f.Path, f.Offset, f.Statement, digest)
	}
}

func (inv *Inventory) writeSoftware(say func(string, ...any)) {
	say("\nsoftware: %d", len(inv.Components))
	for _, c := range inv.Components {
		var where []string
		for _, p := range c.Places[:min(len(c.Places), 3)] {
			where = append(where, p.How+" "+p.Path)
		}
		say("  %s %s (%s)", c.Name, c.Version, strings.Join(where, "; "))
	}
	v := inv.Vulnerabilities
	say("\nknown vulnerabilities: %s", v.Statement)
	if v.Checked {
		say("  snapshot %s, dated %s, sha256:%s", v.Snapshot, v.Dated, v.Digest)
	}
	for _, status := range []vuln.Status{vuln.Affected, vuln.Investigated, vuln.Fixed, vuln.NotAffected} {
		for _, m := range v.Matches {
			if m.Status == status {
				reason := ""
				if m.Reason != "" {
					reason = "; " + m.Reason
				}
				say("  %-20s %s in %s %s (%s%s)", m.Status, m.ID, m.Component, m.Version, m.Basis, reason)
			}
		}
	}
}
