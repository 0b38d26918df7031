package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/spf13/cobra"

	"assay/lab"
	"assay/lab/bench"
	"assay/lab/evidence"
	"assay/probes/catalog"
	"assay/profiles/plan"
	"assay/reports"
)

// resumeFlags are resume's own.
type resumeFlags struct {
	dossier, bench, key, format string
	quiet, verbose              bool
	stamp                       stampFlags
	keyless                     keylessFlags
}

func resumeCommand() *cobra.Command {
	var f resumeFlags
	cmd := &cobra.Command{
		Use:   "resume RUN-FOLDER",
		Short: "Go on with a run that a kill or a power loss ended",
		Long: "resume goes on from the journal of a run that never came to its end: with the dossier, profile and plan as recorded. Steps that\n" +
			"were under way are asked again and both attempts are kept, steps that have an answer are not asked. The gap stays in the record,\n" +
			"and frames from then on are in a capture file of their own. A real device wants --bench and --dossier again, since the record\n" +
			"holds no secrets; a run of demo has its device in its own folder. The exit code is the verdict.",
		Args: oneArg("run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return resume(cmd, filepath.Clean(args[0]), f)
		},
	}
	cmd.Flags().StringVar(&f.dossier, "dossier", "", "the maker's dossier, as it was when the run began")
	cmd.Flags().StringVar(&f.bench, "bench", "", "bench file, where the device is a real one")
	cmd.Flags().StringVar(&f.key, "key", "", "the lab's private key (PEM); without it, one for this run only")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "no story on stderr")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "tell what the bench's servers see, too")
	f.stamp.add(cmd)
	f.keyless.add(cmd)
	formatFlag(cmd, &f.format, "text", "json")
	return cmd
}

// A stopped is a run that was ended by force, as its record shows it.
type stopped struct {
	dir  string
	ev   *evidence.Evidence
	in   *lab.Inputs
	mode string // of its bench
	left int    // how many steps are due
}

// resume finds out what there is to do, and does it inside the bench's namespaces where the run was there.
func resume(cmd *cobra.Command, dir string, f resumeFlags) error {
	run, err := readStopped(cmd.Context(), dir)
	if err != nil {
		return err
	}
	if err := f.check(run); err != nil {
		return err
	}
	if run.left > 0 && run.mode == bench.ModeReference && !bench.Inside() {
		if why := bench.Preflight(cmd.Context()); why != nil {
			return benchFailed(fmt.Errorf("build the bench again: %w", why), hintOf(why))
		}
		return resumeInside(cmd, dir, run, f)
	}
	return goOnHere(cmd, dir, f)
}

// check refuses what a run cannot be sealed with.
func (f *resumeFlags) check(run *stopped) error {
	switch {
	case run.in.Begin.Key == "lab" && f.key == "":
		return unusable(errors.New("this run began under the lab's key, which it must be sealed with"), "name it with --key")
	case run.in.Begin.Key == keyKeyless && f.keyless.fulcio == "":
		return unusable(errors.New("this run began to be sealed under a certificate of the lab's Fulcio"), "name it with --fulcio, and a time-stamp authority with --tsa")
	}
	if err := f.stamp.check(); err != nil {
		return err
	}
	return f.keyless.check(f.key, f.stamp)
}

// resumeInside has the same command go on inside the bench's namespaces, and does what needs the network out here.
func resumeInside(cmd *cobra.Command, dir string, run *stopped, f resumeFlags) error {
	code, err := bench.Enter(cmd.Context(), os.Args[1:], nil)
	switch {
	case err != nil:
		return benchFailed(fmt.Errorf("enter the bench's namespaces: %w", err), "")
	case code >= 128:
		return benchFailed(fmt.Errorf("the bench's process was ended by signal %d", code-128), "`assay resume "+dir+"` goes on again")
	case f.keyless.fulcio != "" && code == exitDone:
		cmd.SetContext(context.WithoutCancel(cmd.Context()))
		return goOnHere(cmd, dir, f) // it has its end now
	}
	file := filepath.Join(dir, run.in.Begin.Run+".assay")
	if _, err := os.Lstat(file); err == nil {
		p := newProgress(os.Stderr, f.quiet, f.verbose)
		defer p.end()
		if err := f.stamp.stamp(context.WithoutCancel(cmd.Context()), p, file); err != nil {
			return err
		}
	}
	return ended(code)
}

// goOnHere takes a run to its end and to its seal in this process.
func goOnHere(cmd *cobra.Command, dir string, f resumeFlags) error {
	run, err := readStopped(cmd.Context(), dir)
	if err != nil {
		return err
	}
	key := &signer{kind: keyKeyless, keyless: &f.keyless}
	if f.keyless.fulcio == "" {
		if key, err = newSigner(cmd.Context(), f.key); err != nil {
			return err
		}
	}
	p := newProgress(os.Stderr, f.quiet, f.verbose)
	defer p.end()
	s := &session{dir: dir, id: run.in.Begin.Run, signer: key, progress: p, operator: operator(), stamps: f.stamp, in: &inputs{
		dossier: run.in.Dossier, set: run.in.Set, kinds: catalog.All(),
	}}
	r, err := s.goOn(cmd.Context(), run, f)
	p.end()
	if errors.Is(err, errOutside) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = os.RemoveAll(filepath.Join(dir, deviceFolder))
	return s.tell(cmd.OutOrStdout(), p.w, r, f.format)
}

// readStopped refuses what is no interrupted run: what is sealed, what somebody is writing, what does not
// verify, and what never came as far as a question.
func readStopped(ctx context.Context, dir string) (*stopped, error) {
	if err := readable(dir, "run folder"); err != nil {
		return nil, err
	}
	held, err := hold(ctx, dir)
	switch {
	case errors.Is(err, evidence.ErrBusy):
		return nil, unusable(err, "wait until it has ended")
	case err != nil:
		return nil, noJournal(dir, err)
	}
	defer held.Close()
	run := &stopped{dir: dir}
	if run.ev, err = evidence.Verify(ctx, dir, nil); err != nil {
		return nil, unverified(fmt.Errorf("go on with %s: %w", dir, err), "evidence that does not verify is not gone on with; `assay verify` tells what is broken")
	}
	if !begun(run.ev) {
		return nil, unusable(fmt.Errorf("%s ends before its first question: there is nothing to go on with", dir), "nothing was asked of the device: begin anew")
	}
	if run.in, err = lab.Read(run.ev); err != nil {
		return nil, unverified(err, "`assay verify` tells what is broken")
	}
	// Files are written by these names, and the record may be anybody's.
	for _, name := range []string{run.in.Begin.Run, cmp.Or(run.in.Begin.Unit.ID, "unit")} {
		if name != filepath.Base(name) || !filepath.IsLocal(name) || name == "." {
			return nil, unverified(fmt.Errorf("go on with %s: its first record calls the run or its unit %q, which is no name of a file", dir, name), "it was not written by assay")
		}
	}
	var b struct {
		Mode string `json:"mode"`
	}
	if err := json.Unmarshal(run.in.Bench, &b); err != nil {
		return nil, unverified(fmt.Errorf("read which bench the run had: %w", err), "")
	}
	run.mode = b.Mode
	if n := len(run.in.Begin.Units); n > 1 && !run.ev.Ended {
		return nil, unusable(fmt.Errorf("%s is a run of %d units at once, which is not gone on with", dir, n),
			"`assay report` tells what was observed; test the units anew, together or one at a time")
	}
	if _, judged := run.ev.Find(lab.FileVerdicts); run.ev.Ended || judged {
		return run, nil // nothing is asked after the verdicts
	}
	for _, step := range run.in.Plan.Steps {
		if _, due := lab.Due(step, run.in.Begin.Unit.ID, run.in.Observations); due {
			run.left++
		}
	}
	return run, nil
}

// leaving is how long a process that was killed may take to let go of its journal.
const leaving = 2 * time.Second

// hold is evidence.Hold with some patience.
func hold(ctx context.Context, dir string) (io.Closer, error) {
	ctx, cancel := context.WithTimeout(ctx, leaving)
	defer cancel()
	tick := time.NewTicker(leaving / 100)
	defer tick.Stop()
	for {
		held, err := evidence.Hold(dir)
		if !errors.Is(err, evidence.ErrBusy) {
			return held, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// noJournal says what a folder is that has no journal to go on from.
func noJournal(dir string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) && !strings.HasSuffix(dir, ".assay") {
		return unusable(err, "name the folder of a run that was interrupted")
	}
	sealed, _ := filepath.Glob(filepath.Join(dir, "*.assay"))
	if info, serr := os.Stat(dir); serr == nil && !info.IsDir() {
		sealed = []string{dir}
	}
	if len(sealed) > 0 {
		return unusable(fmt.Errorf("this run is sealed already: %s", sealed[0]), "a sealed run is whole; `assay verify` checks it, `assay report` prints it")
	}
	return unusable(fmt.Errorf("%s has no journal", dir), "name the folder of a run that was interrupted; `assay run` and `assay demo` make one for each run")
}

// goOn takes a run to its end from wherever it was stopped.
func (s *session) goOn(ctx context.Context, run *stopped, f resumeFlags) (*reports.Report, error) {
	switch {
	case run.ev.Ended:
		held, err := evidence.Hold(s.dir)
		if err != nil {
			return nil, unusable(err, "wait until it has ended")
		}
		defer held.Close()
		s.progress.say("every step has its answer, and the record its end: what is left is the seal")
		return s.sealAgain(ctx)
	case run.left == 0:
		s.progress.say("every step has its answer: nothing is asked again")
		return s.goOnWithout(ctx, run)
	}
	put, o, err := s.benchAgain(run, f)
	if err != nil {
		return nil, err
	}
	if err := s.reopen(run); err != nil {
		return nil, err
	}
	defer s.journal.Close()
	s.progress.say("%d of %d steps are due; the record ends at %s", run.left, len(run.in.Plan.Steps), run.ev.Records[len(run.ev.Records)-1].Time.Format("2006-01-02 15:04:05Z"))
	s.progress.doing("putting up the bench")
	b, err := put(ctx, o)
	if err != nil {
		return nil, s.noBenchAgain(ctx, err)
	}
	defer b.Close()
	g := s.gap(run)
	g.Bench = b.Description()
	if b.Capture != nil {
		g.Capture = filepath.Base(b.CaptureFile)
	}
	earlier, err := lab.Interrupt(s.journal, run.ev, run.in, g)
	if err == nil {
		err = lab.KeepLeg(s.journal, run.ev, run.in, b.CaptureFile, b.DeviceLog, b.ConsoleLog)
	}
	if err == nil {
		err = s.identities(b)
	}
	if err != nil {
		return nil, s.cannotGoOn(err)
	}
	outcome, err := s.ask(ctx, b, run.in.Plan, earlier)
	if err != nil {
		return nil, s.cannotAsk(err)
	}
	ctx = context.WithoutCancel(ctx)
	if err := s.finish(b, outcome); err != nil {
		return nil, s.cannotWrite(err)
	}
	return s.sealAgain(ctx)
}

// goOnWithout ends a record that lacks no answer.
func (s *session) goOnWithout(ctx context.Context, run *stopped) (*reports.Report, error) {
	if err := s.reopen(run); err != nil {
		return nil, err
	}
	defer s.journal.Close()
	all, err := lab.Interrupt(s.journal, run.ev, run.in, s.gap(run))
	if err == nil {
		err = lab.KeepLeg(s.journal, run.ev, run.in)
	}
	if err != nil {
		return nil, s.cannotGoOn(err)
	}
	outcome := lab.Finished
	if slices.ContainsFunc(run.in.Plan.Steps, func(step plan.Step) bool { _, due := lab.Due(step, run.in.Begin.Unit.ID, all); return due }) {
		outcome = lab.Cancelled
	}
	if err := s.end(lab.End{Outcome: outcome}); err != nil {
		return nil, s.cannotGoOn(err)
	}
	return s.sealAgain(ctx)
}

// reopen takes the journal for this process alone, if it still is what was read.
func (s *session) reopen(run *stopped) error {
	var err error
	s.journal, err = evidence.Resume(s.dir, time.Now)
	switch {
	case errors.Is(err, evidence.ErrBusy):
		return unusable(err, "wait until it has ended")
	case err != nil:
		return unusable(err, "is the clock right, and the folder writable?")
	}
	ev, err := evidence.Open(s.dir)
	if err != nil {
		return s.cannotGoOn(err)
	}
	more := ev.Records[min(len(run.ev.Records), len(ev.Records)):]
	if slices.ContainsFunc(more, func(r evidence.Record) bool { return r.Kind != evidence.KindGap }) {
		_ = s.journal.Close()
		return unusable(fmt.Errorf("somebody else has just gone on with %s", s.dir), "try again")
	}
	return nil
}

// sealAgain seals a record that has ended, unless that was all but done already.
func (s *session) sealAgain(ctx context.Context) (*reports.Report, error) {
	// What a seal that was interrupted has left under no name of its own.
	parts, _ := filepath.Glob(filepath.Join(s.dir, ".assay-*"))
	for _, part := range parts {
		_ = os.Remove(part)
	}
	if _, err := os.Lstat(s.bundle()); errors.Is(err, fs.ErrNotExist) {
		return s.seal(ctx)
	}
	var keys []signature.Verifier
	if s.signer.verifier != nil {
		keys = append(keys, s.signer.verifier)
	}
	if v, err := evidence.LoadVerifier(filepath.Join(s.dir, "lab.pub")); err == nil {
		keys = append(keys, v)
	}
	ev, err := verified(ctx, s.bundle(), keys...)
	if err != nil {
		return nil, unverified(fmt.Errorf("%s was sealed, but: %w", s.bundle(), err), "move it away, and resume seals the journal anew")
	}
	return s.publish(ev)
}
