package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"assay/lab"
	"assay/lab/bench"
	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/dossier"
)

// benchAgain reads what the bench of an interrupted run needs once more, and checks that it is what it was.
func (s *session) benchAgain(run *stopped, f resumeFlags) (build, bench.Options, error) {
	o := bench.Options{Dir: s.dir, Unit: run.in.Begin.Unit.ID, Person: person(), Log: s.progress.story, Leg: nextLeg(run)}
	put, path := bench.Attached, f.dossier
	ofLab := run.mode == bench.ModeAttached || run.mode == bench.ModeGateway
	if run.mode == bench.ModeGateway {
		put = bench.Gateway
	}
	if !ofLab {
		place := filepath.Join(s.dir, deviceFolder)
		if _, err := os.Stat(place); err != nil {
			return nil, o, unusable(fmt.Errorf("the reference device of this run is gone: %w", err),
				"a run that ends by itself takes its device away, even if it ends early: what was observed can be reported, but not gone on with")
		}
		unit := filepath.Join(place, "units", o.Unit)
		o.Device = simulated(filepath.Join(unit, "device.json"), filepath.Join(unit, "flash.bin"), run.in.Begin.Unit.MAC)
		if put = bench.Reference; run.mode == bench.ModeReduced {
			put = bench.Reduced
		}
		if path == "" {
			path = filepath.Join(place, "dossier.yaml")
		}
	}
	if path == "" {
		return nil, o, unusable(errors.New("the record holds no secrets of the dossier, and the device wants them"), "name the maker's dossier with --dossier, and the bench file with --bench")
	}
	in, err := readInputs(path, defaultProfile, f.bench, o.Unit)
	if err != nil {
		return nil, o, err
	}
	if ofLab && in.file == nil {
		return nil, o, unusable(errors.New("resume needs the bench file of this run"), "name it with --bench")
	}
	if ofLab && in.file.Mode != run.mode {
		return nil, o, unusable(fmt.Errorf("%s: key mode: this run began on a bench of mode %s, have %s", f.bench, run.mode, in.file.Mode), "go on with the bench as it was, or begin a new run")
	}
	if err := sameDossier(run.ev, in.dossier); err != nil {
		return nil, o, unusable(fmt.Errorf("%s is not the dossier that this run began with: %w", path, err),
			"go on with the dossier as it was, or begin a new run with the new one")
	}
	in.set = run.in.Set
	s.in, o.Dossier, o.File = in, in.dossier, in.file
	return put, o, s.has(run, in)
}

// has checks that this bench has what the steps that are due were planned for.
func (s *session) has(run *stopped, in *inputs) error {
	has, missing := bench.Offers(run.mode, in.file, in.dossier)
	for _, step := range run.in.Plan.Steps {
		_, due := lab.Due(step, run.in.Begin.Unit.ID, run.in.Observations)
		at := slices.IndexFunc(in.kinds, func(k probes.Kind) bool { return k.Name == step.Probe })
		if !due || step.NotAsked != "" || at < 0 {
			continue
		}
		for _, need := range in.kinds[at].Needs {
			if need.Instrument == "" || slices.Contains(has, need.Instrument) {
				continue
			}
			why, mend := "this bench has none", ""
			for _, m := range missing {
				if m.Instrument == need.Instrument {
					why, mend = m.Because, m.Mend
				}
			}
			return benchFailed(fmt.Errorf("%s was planned with the instrument %s: %s", step.ID, need.Instrument, why), mend)
		}
	}
	return nil
}

// nextLeg numbers the files of a leg so that none is overwritten, not even one of an attempt that came to nothing.
func nextLeg(run *stopped) int {
	for n := 2; ; n++ {
		taken := false
		for _, pattern := range []string{"capture-%d.pcapng", "device-" + filepath.Base(run.in.Begin.Unit.ID) + "-%d.log", "console-%d.log"} {
			name := fmt.Sprintf(pattern, n)
			_, kept := run.ev.Find(name)
			_, err := os.Lstat(filepath.Join(run.dir, name))
			taken = taken || kept || err == nil
		}
		if !taken {
			return n
		}
	}
}

// sameDossier compares a dossier with the recorded one as far as that goes: secrets are in no record.
func sameDossier(ev *evidence.Evidence, d *dossier.Dossier) error {
	recorded, err := lab.Artefact(ev, lab.FileDossier)
	if err != nil {
		return err
	}
	given := d.Redacted()
	if bytes.Equal(recorded, given) {
		return nil
	}
	var was, is any
	if err := errors.Join(json.Unmarshal(recorded, &was), json.Unmarshal(given, &is)); err != nil {
		return fmt.Errorf("compare the two: %w", err)
	}
	if at := firstDifference("", was, is); at != "" {
		return fmt.Errorf("it differs at %s", at)
	}
	return nil // another order or spacing says nothing else
}

// firstDifference names the first place at which two JSON values differ; empty where none is.
func firstDifference(at string, was, is any) string {
	if a, ok := was.(map[string]any); ok {
		b, ok := is.(map[string]any)
		if !ok {
			return at
		}
		keys := maps.Clone(a)
		maps.Copy(keys, b)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if found := firstDifference(strings.TrimPrefix(at+"."+k, "."), a[k], b[k]); found != "" {
				return found
			}
		}
		return ""
	}
	if a, ok := was.([]any); ok {
		if b, ok := is.([]any); ok && len(a) == len(b) {
			for i := range a {
				if found := firstDifference(fmt.Sprintf("%s[%d]", at, i), a[i], b[i]); found != "" {
					return found
				}
			}
			return ""
		}
		return at
	}
	if !reflect.DeepEqual(was, is) {
		return at
	}
	return ""
}

// gap tells who goes on with a run, with what, and what is not as it was.
func (s *session) gap(run *stopped) lab.Gap {
	t := tool()
	g := lab.Gap{To: time.Now().UTC(), Tool: &t, Operator: s.operator, Key: s.signer.kind}
	was := run.in.Begin.Tool
	if was.Version != t.Version || was.SHA256 != t.SHA256 {
		g.Changed = append(g.Changed, fmt.Sprintf("assay was %s (%.12s), and is %s (%.12s) from here on", was.Version, was.SHA256, t.Version, t.SHA256))
	}
	if was := run.in.Begin.Operator; was != s.operator {
		g.Changed = append(g.Changed, fmt.Sprintf("the operator was %q, and is %q from here on", was, s.operator))
	}
	for _, step := range run.in.Plan.Steps {
		at := slices.IndexFunc(s.in.kinds, func(k probes.Kind) bool { return k.Name == step.Probe })
		what := fmt.Sprintf("probe %s was planned as version %s, ", step.Probe, step.Version)
		switch {
		case at < 0:
			what += "which this assay has not"
		case s.in.kinds[at].Version != step.Version:
			what += "and is version " + s.in.kinds[at].Version + " from here on"
		default:
			continue
		}
		if !slices.Contains(g.Changed, what) {
			g.Changed = append(g.Changed, what)
		}
	}
	// What this program would run by that name today is told, but the recorded profile is the one that counts.
	if own, err := loadProfile(run.in.Begin.Profile, s.in.kinds); err == nil && !maps.EqualFunc(own.Files(), run.in.Set.Files(), bytes.Equal) {
		g.Changed = append(g.Changed, fmt.Sprintf("profile %s of this assay is another one (version %s); the recorded one (version %s) is used", run.in.Begin.Profile, own.Profile.Version, run.in.Begin.Edition))
	}
	return g
}

// noBenchAgain explains why there is no bench. The record stays as it is, to be gone on with.
func (s *session) noBenchAgain(ctx context.Context, err error) error {
	again := "`assay resume " + s.dir + "` goes on as soon as that is mended"
	switch {
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		return &complaint{exitIncomplete, errors.New("stopped before the bench was up; the record is as it was"), ""}
	case errors.Is(err, bench.ErrInput):
		return unusable(err, again)
	}
	if hint := hintOf(err); hint != "" {
		again = hint
	}
	return benchFailed(fmt.Errorf("put up the bench: %w", err), again)
}

// cannotGoOn tells evidence that contradicts itself from a disk that takes nothing.
func (s *session) cannotGoOn(err error) error {
	if errors.Is(err, evidence.ErrBroken) {
		return unverified(fmt.Errorf("go on with %s: %w", s.dir, err), "`assay verify` and `assay report` still read what there is")
	}
	return s.cannotWrite(err)
}
