package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
)

// defaultProfile is what is run where nobody names another.
const defaultProfile = "baseline"

// runFlags are the flags of every verb that runs a device.
type runFlags struct {
	profile, out, key, format, unit string
	quiet, verbose                  bool
	stamp                           stampFlags
	keyless                         keylessFlags
}

func (f *runFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.profile, "profile", defaultProfile, "embedded profile, or a file")
	cmd.Flags().StringVar(&f.out, "out", "assay-runs", "folder for the run's own folder")
	cmd.Flags().StringVar(&f.key, "key", "", "the lab's private key: a PEM file, or NAME://ID; without it, one for this run only")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "no story on stderr")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "tell what the bench's servers see, too")
	f.stamp.add(cmd)
	f.keyless.add(cmd)
	formatFlag(cmd, &f.format, "text", "json")
}

// sampleFlags tell how the unit came to the laboratory.
type sampleFlags struct{ received, condition string }

func (f *sampleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.received, "received", "", "day on which the unit came to the laboratory, for the report: 2026-11-25")
	cmd.Flags().StringVar(&f.condition, "condition", "", "the unit as it came, for the report, e.g. \"sealed retail box\"")
}

func (f sampleFlags) check() error {
	if f.received == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, f.received)
	if err != nil {
		return unusable(fmt.Errorf("--received %s is no day", quote(f.received)), "write it like 2026-11-25")
	}
	if day.After(time.Now().Add(24 * time.Hour)) {
		return unusable(fmt.Errorf("--received %s is still to come", f.received), "is the clock right?")
	}
	return nil
}

func runCommand() *cobra.Command {
	var f runFlags
	var benchPath, reviews string
	var sample sampleFlags
	cmd := &cobra.Command{
		Use:   "run DOSSIER --bench BENCH.yaml",
		Short: "Take a device through a profile and seal the evidence",
		Args:  oneArg("dossier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if benchPath == "" {
				return unusable(fmt.Errorf("run needs a bench file"), "name one with --bench; `assay demo` needs none and brings its own device")
			}
			if err := sample.check(); err != nil {
				return err
			}
			return run(cmd, args[0], benchPath, reviews, sample, f)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.unit, "unit", "", "which unit of the dossier, several separated by commas, or all; without it, the first one")
	cmd.Flags().StringVar(&reviews, "reviews", "", "what named persons answered where no program can, as assay review writes it")
	cmd.Flags().StringVar(&benchPath, "bench", "", "bench file: interface and instruments")
	sample.add(cmd)
	return cmd
}

func run(cmd *cobra.Command, dossierPath, benchPath, reviews string, sample sampleFlags, f runFlags) error {
	in, err := readInputs(dossierPath, f.profile, benchPath, f.unit)
	if err != nil {
		return err
	}
	if in.file.Mode == bench.ModeOffline {
		return unusable(fmt.Errorf("%s: mode offline has no device to run", benchPath),
			"`assay capture analyze` reads a capture that was recorded elsewhere, `assay judge` judges a finished run again")
	}
	if err := in.readReviews(cmd.ErrOrStderr(), reviews); err != nil {
		return err
	}
	if err := f.stamp.check(); err != nil {
		return err
	}
	key, err := f.keyless.signer(cmd.Context(), f.key, f.stamp)
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr, f.quiet, f.verbose)
	defer p.end()
	s, err := newSession(in.dossier.Product.Model, strings.Join(in.units(), "-"), f.out, key, p)
	if err != nil {
		return err
	}
	s.in, s.stamps, s.sample = in, f.stamp, sample
	has, missing := bench.OffersAll(in.file.Mode, in.file, in.dossier, in.units())
	for _, m := range missing {
		if strings.Contains(string(m.Instrument), "/") {
			continue // what an instrument cannot do for this product stands in the plan, at the steps that want it
		}
		p.say("without %s: %s. To mend it: %s", m.Instrument, m.Because, m.Mend)
	}
	put := bench.Attached
	if in.file.Mode == bench.ModeGateway {
		put = bench.Gateway
		var who []string
		for _, u := range in.specimens() {
			who = append(who, fmt.Sprintf("%s (%s)", u.ID, u.MAC))
		}
		p.say("the bench takes %s as its own and waits there for %s, %s for each to ask for an address: switch it off and on again now",
			in.file.Interface, strings.Join(who, ", "), bench.LeasePatience)
	}
	r, err := s.conduct(cmd.Context(), offer{has, missing}, put)
	p.end()
	if err != nil {
		return err
	}
	return s.tell(cmd.OutOrStdout(), p.w, r, f.format)
}
