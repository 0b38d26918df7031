package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"assay/lab"
	"assay/lab/bench"
	"assay/lab/evidence"
	"assay/probes"
	"assay/profiles/plan"
	"assay/reports"
)

// A session is one run from the first record to the sealed file.
type session struct {
	in       *inputs
	dir      string // the run's folder
	id       string
	journal  *evidence.Journal
	signer   *signer
	operator string
	sample   sampleFlags
	note     string
	progress *progress
	stamps   stampFlags
	beside   []*bench.Bench // of the further units
}

// build puts up the bench of a session; it is called when the run's folder exists.
type build func(ctx context.Context, o bench.Options) (*bench.Bench, error)

// offer tells what the bench of a session has, before it is put up.
type offer struct {
	has     []probes.Instrument
	missing []bench.Missing
}

// newSession makes the folder of a run of one unit. It never reuses one: evidence is not overwritten.
func newSession(model, unit, out string, key *signer, p *progress) (*session, error) {
	at := time.Now().UTC().Format("20060102T150405Z")
	s := &session{signer: key, progress: p, operator: operator()}
	s.id = tidy(model) + "-" + tidy(unit) + "-" + at
	base := filepath.Join(out, s.id)
	for n := 1; ; n++ {
		s.dir = base
		if n > 1 {
			s.dir = fmt.Sprintf("%s-%d", base, n)
		}
		err := os.MkdirAll(filepath.Dir(s.dir), 0o755)
		if err == nil {
			err = os.Mkdir(s.dir, 0o755)
		}
		if errors.Is(err, os.ErrExist) && n < 100 {
			continue
		}
		if errors.Is(err, syscall.ENOSPC) {
			return nil, benchFailed(fmt.Errorf("make the run's folder: %w", err), "free some disk or choose another folder with --out")
		}
		if err != nil {
			return nil, unusable(fmt.Errorf("make the run's folder: %w", err), "choose a writable folder with --out")
		}
		s.id = filepath.Base(s.dir)
		// From here on there is a record, so that whatever ends the run leaves something to verify.
		if s.journal, err = evidence.Create(s.dir, time.Now); err != nil {
			s.discard()
			return nil, benchFailed(err, "is the disk full or read-only? choose another folder with --out")
		}
		return s, nil
	}
}

var untidy = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func tidy(s string) string { return strings.Trim(untidy.ReplaceAllString(s, "-"), "-.") }

func operator() string {
	for _, name := range []string{"ASSAY_OPERATOR", "SUDO_USER", "USER"} {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// conduct plans, puts up the bench, asks, judges, seals and reports. Whatever was
// observed before something went wrong stays in the run's folder.
func (s *session) conduct(ctx context.Context, has offer, put build) (*reports.Report, error) {
	steps, err := s.in.makePlan(has.has, has.missing)
	if err != nil {
		s.discard()
		return nil, err
	}
	defer s.journal.Close()
	s.progress.doing("putting up the bench")
	b, err := put(ctx, bench.Options{
		Dir: s.dir, Dossier: s.in.dossier, Unit: s.in.unit.ID, File: s.in.file, Several: len(s.in.others) > 0, Person: person(), Log: s.progress.story,
	})
	if err != nil {
		return nil, s.noBench(ctx, err)
	}
	defer b.Close()
	if err := s.putBeside(ctx, b, put); err != nil {
		return nil, s.noBench(ctx, err)
	}
	defer s.closeBeside()
	if err := lab.Open(s.journal, s.begin(), s.in.dossier, s.in.set, s.in.reviews, b.Description(), steps); err != nil {
		return nil, s.cannotWrite(err)
	}
	if err := s.identities(b); err != nil {
		return nil, s.cannotWrite(err)
	}
	outcome, err := s.ask(ctx, b, steps, nil)
	if err != nil {
		return nil, s.cannotAsk(err)
	}
	// From here on a second Ctrl-C is not obeyed: sealing takes a moment and loses nothing.
	ctx = context.WithoutCancel(ctx)
	if err := s.finish(b, outcome); err != nil {
		return nil, s.cannotWrite(err)
	}
	return s.seal(ctx)
}

// ask runs the loop.
func (s *session) ask(ctx context.Context, b *bench.Bench, steps *plan.Plan, earlier []probes.Observation) (lab.Outcome, error) {
	run := lab.Run{Rig: b, Plan: steps, Kinds: s.in.kinds, Journal: s.journal, Unit: s.in.unit.ID, Watch: s.progress.step, Earlier: earlier, Every: s.in.file.ProvesEvery(), Proved: s.progress.proved()}
	if b.Capture != nil {
		run.Capture, run.Sync = filepath.Base(b.CaptureFile), b.Capture.Sync
	}
	for n, other := range s.beside {
		o := lab.Specimen{Unit: s.in.others[n].ID, Rig: other}
		if other.Capture != nil {
			o.Capture, o.Sync = filepath.Base(other.CaptureFile), other.Capture.Sync
		}
		run.Others = append(run.Others, o)
	}
	return run.Do(ctx)
}

// finish closes the bench, adds what it captured and the verdicts, and ends the record.
func (s *session) finish(b *bench.Bench, outcome lab.Outcome) error {
	end := lab.End{Outcome: outcome}
	if err := s.closeBench(b, &end); err != nil {
		return err
	}
	return s.end(end)
}

// closeBench closes the bench and adds what it leaves.
func (s *session) closeBench(b *bench.Bench, end *lab.End) error {
	s.progress.doing("closing the bench")
	j := s.journal
	if err := s.finishBeside(b); err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		s.progress.say("close the bench: %v", err)
	}
	if b.Capture != nil {
		kept, err := lab.KeepCapture(j, b.Capture)
		if err != nil {
			return err
		}
		end.Capture, end.Frames, end.Dropped = kept.File, kept.Frames, kept.Dropped
	}
	if err := s.strangers(b); err != nil {
		return err
	}
	for _, log := range b.Logs() {
		if _, err := j.AddFile(filepath.Base(log), "text/plain", log); err != nil {
			return err
		}
	}
	return nil
}

// end adds the verdicts and ends the record. The journal stays open, and so nobody else's, until it is sealed.
func (s *session) end(end lab.End) error {
	ev, err := evidence.Open(s.dir)
	if err != nil {
		return fmt.Errorf("read the journal back: %w", err)
	}
	verdicts, err := reports.Verdicts(ev)
	if err != nil {
		return fmt.Errorf("judge: %w", err)
	}
	seen, err := ev.Observations()
	if err != nil {
		return fmt.Errorf("read the journal back: %w", err)
	}
	end.Observations = len(seen)
	// An interruption may have come between the two records.
	if _, there := ev.Find(lab.FileVerdicts); !there {
		if _, err := s.journal.AddBytes(lab.FileVerdicts, "application/json", verdicts); err != nil {
			return err
		}
	} else if err := reports.Recheck(ev); err != nil {
		return err
	}
	_, err = s.journal.Append(evidence.KindEnd, end)
	return err
}

// seal makes the one file, verifies it as a stranger would, and writes the faces beside it.
func (s *session) seal(ctx context.Context) (*reports.Report, error) {
	s.progress.doing("sealing the evidence")
	file := s.bundle()
	if s.signer.kind == keyKeyless {
		if err := s.sealKeyless(ctx); err != nil {
			return nil, err
		}
		return s.readBack(ctx)
	}
	// The key comes first: a sealed file that is there can be verified, whenever this is interrupted.
	if err := os.WriteFile(filepath.Join(s.dir, "lab.pub"), s.signer.public, 0o644); err != nil {
		return nil, s.cannotWrite(err)
	}
	if err := evidence.Seal(ctx, s.dir, file, s.signer.signer); err != nil {
		return nil, benchFailed(fmt.Errorf("seal the evidence: %w", err), "the observations are safe in "+s.dir+"; `assay verify` reads them")
	}
	r, err := s.readBack(ctx)
	if err != nil {
		return nil, err
	}
	return r, s.stamps.stamp(ctx, s.progress, file)
}

// readBack verifies what was sealed, and publishes it.
func (s *session) readBack(ctx context.Context) (*reports.Report, error) {
	ev, err := verified(ctx, s.bundle(), s.signer.verifier)
	if err != nil {
		return nil, benchFailed(fmt.Errorf("verify what was just sealed: %w", err), "the disk may be failing; the observations are in "+s.dir)
	}
	return s.publish(ev)
}

// bundle is where the sealed file lies.
func (s *session) bundle() string { return filepath.Join(s.dir, s.id+".assay") }

// publish writes the faces beside evidence that was sealed and verified, and takes away what it was made of.
func (s *session) publish(ev *evidence.Evidence) (*reports.Report, error) {
	r, err := reports.Build(ev)
	if err != nil {
		return nil, benchFailed(err, "")
	}
	if err := writeFaces(r, s.dir); err != nil {
		return nil, s.cannotWrite(err)
	}
	// The sealed file holds the journal and every artefact, and was read back whole.
	if s.journal != nil {
		_ = s.journal.Close() // what is open cannot be removed everywhere
	}
	if err := s.unrecord(); err != nil {
		return nil, s.cannotWrite(err)
	}
	return r, nil
}

func (s *session) begin() lab.Begin {
	var units []lab.Unit
	if len(s.in.others) > 0 {
		for _, u := range s.in.specimens() {
			units = append(units, lab.Unit{ID: u.ID, Serial: u.Serial, MAC: u.MAC})
		}
	}
	var laboratory *lab.Laboratory
	if s.in.file != nil {
		laboratory = s.in.file.Laboratory
	}
	return lab.Begin{
		Units: units, Lab: laboratory, Received: s.sample.received, State: s.sample.condition,
		Run: s.id, Tool: tool(), Operator: s.operator, Product: s.in.dossier.Product,
		Unit:    lab.Unit{ID: s.in.unit.ID, Serial: s.in.unit.Serial, MAC: s.in.unit.MAC},
		Profile: s.in.set.Profile.ID, Edition: s.in.set.Profile.Version, Key: s.signer.kind, Note: s.note,
	}
}

// noBench explains why there is no bench. Nothing was observed, so no empty record is left behind.
func (s *session) noBench(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		s.discard()
		return &complaint{exitIncomplete, errors.New("stopped before the bench was up; nothing was observed"), ""}
	case errors.Is(err, bench.ErrInput):
		s.discard()
		hint := hintOf(err)
		if hint == "" {
			hint = "mend what it names; nothing was asked of the device"
		}
		return unusable(err, hint)
	}
	if errors.Is(err, syscall.ENOSPC) {
		s.discard()
		return benchFailed(fmt.Errorf("put up the bench: %w", err), "free some disk or choose another folder with --out")
	}
	_ = s.journal.Close()
	_ = s.unrecord()
	// What the capture or the device's own log tell of the attempt is left to look at.
	if os.Remove(s.dir) != nil {
		s.progress.say("what there is of the attempt is in %s", s.dir)
	}
	return benchFailed(fmt.Errorf("put up the bench: %w", err), hintOf(err))
}

// discard takes back the folder of a run in which nothing was observed.
func (s *session) discard() {
	if s.journal != nil {
		_ = s.journal.Close()
	}
	_ = os.RemoveAll(s.dir)
}

// unrecord takes the journal and its files out of the run's folder.
func (s *session) unrecord() error {
	for _, name := range []string{"journal.jsonl", "files"} {
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// cannotAsk explains why the loop ended before its end.
func (s *session) cannotAsk(err error) error {
	var unfit *lab.UnfitError
	if !errors.As(err, &unfit) {
		return s.cannotWrite(err)
	}
	return benchFailed(err, unfit.Hint()+". Nothing was asked of the device after that; what the test met is on record in "+s.dir+", and once the bench is mended `assay resume` goes on there")
}

func (s *session) cannotWrite(err error) error {
	return benchFailed(fmt.Errorf("write the evidence: %w", err),
		"free some disk or choose another folder with --out; what was observed so far is in "+s.dir+", and `assay verify` reads it")
}

// hintOf asks an error whether it knows its mend.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// tool describes this program as it runs.
func tool() lab.Tool {
	t := lab.Tool{Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	path, err := os.Executable()
	if err != nil {
		return t
	}
	f, err := os.Open(path)
	if err != nil {
		return t
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err == nil {
		t.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	return t
}
