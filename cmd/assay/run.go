package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"assay/lab/bench"
)

// runFlags are the flags of every verb that runs a device.
type runFlags struct {
	profile, out, key, format, unit string
	quiet, verbose                  bool
}

func (f *runFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.profile, "profile", "baseline", "embedded profile, or a file")
	cmd.Flags().StringVar(&f.out, "out", "assay-runs", "folder for the run's own folder")
	cmd.Flags().StringVar(&f.key, "key", "", "the lab's private key (PEM); without it, one for this run only")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "no story on stderr")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "tell what the bench's servers see, too")
	formatFlag(cmd, &f.format, "text", "json")
}

func runCommand() *cobra.Command {
	var f runFlags
	var benchPath string
	cmd := &cobra.Command{
		Use:   "run DOSSIER --bench BENCH.yaml",
		Short: "Take a device through a profile and seal the evidence",
		Args:  oneArg("dossier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if benchPath == "" {
				return unusable(fmt.Errorf("run needs a bench file"), "name one with --bench; `assay demo` needs none and brings its own device")
			}
			return run(cmd, args[0], benchPath, f)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.unit, "unit", "", "which unit of the dossier, several separated by commas, or all; without it, the first one")
	cmd.Flags().StringVar(&benchPath, "bench", "", "bench file: interface and instruments")
	return cmd
}

func run(cmd *cobra.Command, dossierPath, benchPath string, f runFlags) error {
	in, err := readInputs(dossierPath, f.profile, benchPath, f.unit)
	if err != nil {
		return err
	}
	key, err := newSigner(f.key)
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr, f.quiet, f.verbose)
	defer p.end()
	s, err := newSession(in.dossier.Product.Model, strings.Join(in.units(), "-"), f.out, key, p)
	if err != nil {
		return err
	}
	s.in = in
	has, missing := bench.OffersAll(in.file, in.dossier, in.units())
	for _, m := range missing {
		p.say("without %s: %s. To mend it: %s", m.Instrument, m.Because, m.Mend)
	}
	r, err := s.conduct(cmd.Context(), offer{has, missing}, func(ctx context.Context, o bench.Options) (*bench.Bench, error) {
		return bench.Attached(ctx, o)
	})
	p.end()
	if err != nil {
		return err
	}
	return tell(cmd.OutOrStdout(), p.w, r, s.dir, f.format)
}
