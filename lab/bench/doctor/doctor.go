// Package doctor examines the machine that a bench would be built on: privileges, interface, clock, disk,
// addresses, kernel. It tells for each finding what it would do to verdicts and how to mend it. It changes
// nothing on the machine, asks nothing of a device but whose an address is, and never judges.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"assay/lab/bench"
	"assay/lab/bench/power"
	"assay/lab/bench/segment"
	"assay/profiles/dossier"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // the bench works, some verdicts may not be reached
	Problem Level = "problem" // the bench cannot work
)

// A Finding is one thing that was looked at.
type Finding struct {
	Check    string `json:"check"` // e.g. "interface"
	Level    Level  `json:"level"`
	Says     string `json:"says"`
	Verdicts string `json:"verdicts,omitempty"` // what it would do to them
	Mend     string `json:"mend,omitempty"`
}

// Options say for which bench to look.
type Options struct {
	File    *bench.File      // nil: the reference bench
	Dossier *dossier.Dossier // nil: no device is known yet
	Dir     string           // where runs are written
}

// A Report is everything that was found.
type Report struct {
	Mode     string    `json:"mode"`
	Usable   bool      `json:"usable"`
	Findings []Finding `json:"findings"`
}

// An examination collects findings.
type examination struct {
	Options
	mode  string
	found []Finding
}

func (x *examination) note(check string, level Level, says, verdicts, mend string) {
	if level == OK {
		verdicts, mend = "", ""
	}
	x.found = append(x.found, Finding{check, level, says, verdicts, mend})
}

// Words about verdicts that more than one finding has.
const (
	noBench   = "no run begins; nothing is judged"
	noAbsence = "frames may be lost: checks that rest on nothing having been sent become inconclusive"
)

// Examine looks at everything that matters to the bench.
func Examine(ctx context.Context, o Options) Report {
	x := &examination{Options: o, mode: bench.ModeReference}
	if o.File != nil {
		x.mode = o.File.Mode
	}
	x.namespaces(ctx)
	switch x.mode {
	case bench.ModeOffline:
		x.note("mode", OK, "offline: no device and no interface is needed", "", "")
	case bench.ModeAttached, bench.ModeGateway:
		x.privileges()
		if x.nic() {
			x.addresses(ctx)
		}
		if x.mode == bench.ModeGateway {
			x.ports(ctx)
			x.uplink()
		}
		x.programs()
	}
	x.link()
	x.proof()
	x.host()
	r := Report{Mode: x.mode, Usable: true, Findings: x.found}
	for _, f := range x.found {
		r.Usable = r.Usable && f.Level != Problem
	}
	return r
}

// namespaces tells whether the reference bench could run; only where that is what is wanted it is a problem.
func (x *examination) namespaces(ctx context.Context) {
	err := bench.Preflight(ctx)
	if err == nil {
		x.note("namespaces", OK, "private namespaces can be made: the reference bench runs here", "", "")
		return
	}
	level, verdicts := Warning, "none of this bench's: only `assay demo` and `assay selftest` fall back to loopback, where packets are not seen"
	if x.mode == bench.ModeReference {
		verdicts = "`assay demo` falls back to loopback: what rests on packets is inconclusive, and it exits 3"
	}
	x.note("namespaces", level, err.Error(), verdicts, hint(err))
}

func (x *examination) privileges() {
	if x.mode == bench.ModeGateway {
		if err := bench.MayGateway(); err != nil {
			x.note("privileges", Problem, err.Error(), noBench, hint(err))
			return
		}
		x.note("privileges", OK, "this user may own an interface, capture and serve", "", "")
		return
	}
	if err := segment.CanCapture(); err != nil {
		program, perr := os.Executable()
		if perr != nil {
			program = "/path/to/assay"
		}
		x.note("privileges", Warning, "this user may not capture packets: "+err.Error(),
			"the run goes on; what rests on packets is inconclusive", "sudo setcap cap_net_raw,cap_net_admin+ep "+program)
		return
	}
	x.note("privileges", OK, "this user may capture packets", "", "")
}

// link tells what can be done to the device's cable.
func (x *examination) link() {
	if x.mode != bench.ModeGateway && x.mode != bench.ModeReference {
		return
	}
	f := segment.LinkFeatures()
	var can, cannot []string
	for _, one := range []struct {
		name string
		err  error
	}{{"delay", f.Delay}, {"loss", f.Loss}, {"rate", f.Rate}} {
		if one.err == nil {
			can = append(can, one.name)
		} else {
			cannot = append(cannot, one.name+" ("+one.err.Error()+")")
		}
	}
	if len(cannot) == 0 {
		x.note("link", OK, "the link can be cut, and have "+strings.Join(can, ", "), "", "")
		return
	}
	mend := "sudo modprobe sch_tbf nft_numgen nft_limit nft_fwd_netdev, or a kernel that has them"
	if x.mode == bench.ModeReference && len(can) == 0 {
		mend = "run it as root to find out; inside the reference bench's namespaces it may well be possible"
	}
	x.note("link", Warning, "the link cannot have: "+strings.Join(cannot, "; "), "questions that need such a link are not asked", mend)
}

// proof tells whether the bench can be tested with a known-good device of its own.
func (x *examination) proof() {
	if x.mode == bench.ModeOffline {
		return
	}
	const unseen = "the run goes on; a bench that goes bad is found by the checks after each step only, which see less than a device does"
	if x.mode == bench.ModeGateway && bench.MayGateway() != nil {
		return // that is told already
	}
	if err := bench.CanProve(x.mode); err != nil {
		x.note("self-test", Warning, err.Error(), unseen, hint(err))
		return
	}
	x.note("self-test", OK, "a known-good device can be plugged in before and after each run", "", "")
}

// programs looks for what bench.yaml wants to run.
func (x *examination) programs() {
	for _, p := range []struct {
		key  string
		argv []string
	}{{"flash", argv(x.File.Flash)}, {"flash.restore", restore(x.File.Flash)}, {"button", press(x.File.Button)}, {"power", switches(x.File.Power)}} {
		if len(p.argv) == 0 {
			continue
		}
		name := p.argv[0]
		if strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
			name = filepath.Join(x.File.Dir, name)
		}
		if path, err := exec.LookPath(name); err != nil {
			x.note("program "+p.key, Warning, fmt.Sprintf("%s of %s: %v", p.key, x.File.Name, err), "what needs the "+p.key+" ends in the bench's error and is inconclusive",
				"install it, or give its whole path")
		} else {
			x.note("program "+p.key, OK, path, "", "")
		}
	}
	if f := x.File.Flash; f != nil && f.File != "" {
		name := f.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(x.File.Dir, name)
		}
		if _, err := os.Stat(name); err != nil {
			x.note("flash", Warning, err.Error(), "what rests on the device's storage is inconclusive", "is the file there only while the device runs? then this is no matter")
		}
	}
}

func argv(s *bench.Storage) []string {
	if s == nil {
		return nil
	}
	return s.Command
}

func restore(s *bench.Storage) []string {
	if s == nil {
		return nil
	}
	return s.Restore
}

func press(b *bench.Button) []string {
	if b == nil {
		return nil
	}
	return b.Command
}

func switches(p *power.Config) []string {
	if p == nil {
		return nil
	}
	return p.Command
}

func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
