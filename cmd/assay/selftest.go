package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"assay/lab"
	"assay/lab/bench"
	"assay/lab/refdevice"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/reports/verdict"
)

// trialLimit bounds one device of a selftest; a run takes a small part of it.
const trialLimit = 20 * time.Minute

func selftestCommand() *cobra.Command {
	var out, format string
	var jobs int
	var only []string
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Prove the method: every flaw against every check on the reference bench",
		Long: "selftest runs one device without flaws and one device per flaw, each on a bench of its own, and compares what the checks\n" +
			"found with what they must find. It exits 1 if a flaw is missed or a device is falsely accused. The record it writes is\n" +
			"the method validation that ISO/IEC 17025 asks a laboratory for.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFlaws(only); err != nil {
				return err
			}
			return selftest(cmd, out, format, jobs, only)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder to keep every run and the record selftest.json in")
	cmd.Flags().IntVar(&jobs, "jobs", 4*runtime.NumCPU(), "benches at the same time; they mostly wait")
	cmd.Flags().StringSliceVar(&only, "flaws", nil, "try only these flaws, and the clean device")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// everything that needs no reviewer is in this profile, but for what EN 303 645 does not ask.
const everything = "pre-test"

// A trial is one device of a selftest and what came of it.
type trial struct {
	Flaw    string                     `json:"flaw"` // empty: the clean device
	Must    []string                   `json:"must_fail"`
	Failed  []string                   `json:"failed"`
	Profile string                     `json:"profile"`
	Missed  []string                   `json:"missed"`
	Accused []string                   `json:"falsely_accused"`
	Open    []string                   `json:"inconclusive"`
	Checks  map[string]verdict.Verdict `json:"checks"`
	Error   string                     `json:"error,omitempty"`
	Seconds float64                    `json:"seconds"`
}

// validation is the record of a selftest.
type validation struct {
	Tool    lab.Tool  `json:"tool"`
	Started time.Time `json:"started"`
	Bench   string    `json:"bench"`
	Missing string    `json:"missing,omitempty"` // why the bench was reduced
	Passed  bool      `json:"passed"`
	Trials  []trial   `json:"trials"`
}

func selftest(cmd *cobra.Command, out, format string, jobs int, only []string) error {
	ctx := cmd.Context()
	keep := out != ""
	if !keep {
		dir, err := os.MkdirTemp("", "assay-selftest-")
		if err != nil {
			return benchFailed(fmt.Errorf("make a folder for the runs: %w", err), "is the disk full?")
		}
		defer os.RemoveAll(dir)
		out = dir
	}
	record := validation{Tool: tool(), Started: time.Now().UTC(), Bench: bench.ModeReference}
	if err := bench.Preflight(ctx); err != nil {
		record.Bench, record.Missing = bench.ModeReduced, err.Error()
	}
	p := newProgress(os.Stderr, false, false)
	defer p.end()
	var sets []*profiles.Set
	for _, id := range []string{"baseline", everything, "eu-cra"} { // the last alone asks what is known of the software
		set, err := loadProfile(id, catalog.All())
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	record.Trials = trials(only, sets)
	runTrials(ctx, p, record.Trials, out, jobs)
	p.end()
	if err := ctx.Err(); err != nil {
		return err
	}
	record.Passed = !slices.ContainsFunc(record.Trials, func(t trial) bool { return t.Error != "" || len(t.Missed)+len(t.Accused) > 0 })
	if keep {
		b, err := json.MarshalIndent(record, "", "  ")
		if err != nil {
			return fmt.Errorf("write down the record: %w", err)
		}
		if err := os.WriteFile(filepath.Join(out, "selftest.json"), append(b, '\n'), 0o644); err != nil {
			return benchFailed(fmt.Errorf("write down the record: %w", err), "is the disk full?")
		}
	}
	if format == "json" {
		if err := writeJSON(cmd.OutOrStdout(), record); err != nil {
			return err
		}
	} else {
		sayValidation(cmd.OutOrStdout(), record)
	}
	return ended(record.code())
}

// code is a selftest's exit code: a flaw that only a full bench could show is not a pass.
func (v validation) code() int {
	switch {
	case slices.ContainsFunc(v.Trials, func(t trial) bool { return len(t.Accused) > 0 }):
		return exitNonConformant
	case v.Bench != bench.ModeReference:
		return exitIncomplete
	case slices.ContainsFunc(v.Trials, func(t trial) bool { return t.Error != "" }):
		return exitBench
	case !v.Passed:
		return exitNonConformant
	case slices.ContainsFunc(v.Trials, func(t trial) bool { return t.Flaw == "" && len(t.Open) > 0 }):
		return exitIncomplete
	}
	return exitDone
}

// trials lists the devices: the clean one, which is asked everything that needs no reviewer, then one per
// flaw, which is asked what the first profile asks that finds the flaw.
func trials(only []string, sets []*profiles.Set) []trial {
	all := []trial{{Profile: everything}}
	for _, f := range refdevice.Flaws() {
		if len(only) > 0 && !slices.Contains(only, string(f.Name)) {
			continue
		}
		t := trial{Flaw: string(f.Name), Must: f.Checks, Profile: everything}
		for _, set := range sets {
			if !slices.ContainsFunc(f.Checks, func(id string) bool { _, known := set.Check(id); return !known }) {
				t.Profile = set.Profile.ID
				break
			}
		}
		all = append(all, t)
	}
	return all
}

// slowFirst orders the trials so that those which wait longest do not begin last:
// a device that takes no image lets every question about updates run into its deadline.
func slowFirst(all []trial) []*trial {
	order := make([]*trial, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	updates := func(t *trial) int {
		if t.Profile != "baseline" {
			return 1 << 10
		}
		return slices.IndexFunc(t.Must, func(id string) bool { return strings.HasPrefix(id, "update/") })
	}
	slices.SortStableFunc(order, func(a, b *trial) int { return updates(b) - updates(a) })
	return order
}

// runTrials runs every device, some at the same time: each has a bench of its own.
func runTrials(ctx context.Context, p *progress, all []trial, out string, jobs int) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(1, jobs))
	done := 0
	var mu sync.Mutex
	for _, t := range slowFirst(all) {
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-slots }()
			t.run(ctx, out)
			mu.Lock()
			defer mu.Unlock()
			done++
			p.say("[%2d/%d] %-26s %5.1fs  %s", done, len(all), t.name(), t.Seconds, t.summary())
			p.doing("%d of %d devices", done, len(all))
		}()
	}
	wait.Wait()
}

func (t *trial) name() string {
	if t.Flaw == "" {
		return "(clean)"
	}
	return t.Flaw
}

func (t *trial) summary() string {
	switch {
	case t.Error != "":
		return "error: " + t.Error
	case len(t.Missed)+len(t.Accused) > 0:
		return strings.TrimSpace(fmt.Sprintf("WRONG missed %v, falsely accused %v", t.Missed, t.Accused))
	case t.Flaw == "":
		return fmt.Sprintf("no check failed, %d inconclusive", len(t.Open))
	}
	return "found by " + strings.Join(t.Failed, " ")
}

// run takes one device through the demo in a process of its own and compares.
func (t *trial) run(ctx context.Context, out string) {
	start := time.Now()
	defer func() { t.Seconds = time.Since(start).Seconds() }()
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Error = err.Error()
		return
	}
	args := []string{"demo", "--quiet", "--format", "json", "--profile", t.Profile, "--out", filepath.Join(out, strings.Trim(t.name(), "()"))}
	if t.Flaw != "" {
		args = append(args, "--flaws", t.Flaw)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var answer, story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &answer, &story
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() >= exitUnverified || exit.ExitCode() == exitUnusable) {
		t.Error = strings.TrimSpace(err.Error() + ": " + story.String())
		return
	}
	if ctx.Err() != nil {
		t.Error = "stopped"
		return
	}
	var r struct {
		Profiles []verdict.Result `json:"profiles"`
	}
	if err := json.Unmarshal(answer.Bytes(), &r); err != nil || len(r.Profiles) == 0 {
		t.Error = fmt.Sprintf("no report: %v: %s", err, strings.TrimSpace(story.String()))
		return
	}
	t.compare(r.Profiles)
}

// compare holds what failed against what must fail.
func (t *trial) compare(results []verdict.Result) {
	t.Checks = map[string]verdict.Verdict{}
	for _, p := range results {
		for _, req := range p.Requirements {
			for _, c := range req.Checks {
				t.Checks[c.ID] = c.Verdict
			}
		}
	}
	for id, v := range t.Checks {
		switch {
		case v == verdict.Fail:
			t.Failed = append(t.Failed, id)
			if !slices.Contains(t.Must, id) {
				t.Accused = append(t.Accused, id)
			}
		case slices.Contains(t.Must, id):
			t.Missed = append(t.Missed, id)
		case v == verdict.Inconclusive:
			t.Open = append(t.Open, id)
		}
	}
	for _, id := range t.Must {
		if _, known := t.Checks[id]; !known {
			t.Missed = append(t.Missed, id)
		}
	}
	for _, list := range [][]string{t.Failed, t.Accused, t.Missed, t.Open} {
		slices.Sort(list)
	}
}

// sayValidation prints the matrix: a row a device, a column a check.
func sayValidation(w io.Writer, v validation) {
	var ids []string
	for _, t := range v.Trials {
		for id := range t.Checks {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	for i, id := range ids {
		fmt.Fprintf(w, "%28s %s%s\n", "", strings.Repeat("│ ", i), id)
	}
	for _, t := range v.Trials {
		fmt.Fprintf(w, "%-28s", t.name())
		for _, id := range ids {
			fmt.Fprintf(w, " %s", cell(t, id))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "\n✓ pass  ✗ fail, as it must  ? inconclusive  ! missed  # falsely accused")
	switch v.code() {
	case exitDone:
		fmt.Fprintf(w, "Every one of %d flaws was found and nobody was falsely accused.\n", len(v.Trials)-1)
	case exitIncomplete:
		fmt.Fprintf(w, "Incomplete: on this bench (%s) not everything could be observed. %s\n", v.Bench, v.Missing)
	default:
		fmt.Fprintln(w, "The method does NOT hold on this bench:")
		for _, t := range v.Trials {
			if t.Error != "" || len(t.Missed)+len(t.Accused) > 0 {
				fmt.Fprintf(w, "  %s: %s\n", t.name(), t.summary())
			}
		}
	}
}

func cell(t trial, id string) string {
	switch {
	case slices.Contains(t.Missed, id):
		return "!"
	case slices.Contains(t.Accused, id):
		return "#"
	case t.Checks[id] == verdict.Fail:
		return "✗"
	case t.Checks[id] == verdict.Pass:
		return "✓"
	case t.Checks[id] == "":
		return " "
	}
	return "?"
}
