package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/lab/evidence"
)

func stampCommand() *cobra.Command {
	var tsa string
	cmd := &cobra.Command{
		Use:   "stamp RUN.assay --tsa URL",
		Short: "Have an authority say that a seal existed today",
		Long: "stamp asks a time-stamp authority (RFC 3161) about the signature of a sealed file and puts its answer into the file, as\n" +
			"seal/timestamp.tsr. Only the signature's hash leaves this machine. Nothing that was in the file changes a byte.\n" +
			"`assay run --tsa URL` does the same as soon as a run is sealed; `assay verify --tsa-root ROOT.pem` checks it.",
		Args: oneArg("sealed file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readable(args[0], "evidence"); err != nil {
				return err
			}
			f := stampFlags{tsa: tsa}
			if tsa == "" {
				return unusable(errors.New("stamp needs an authority"), "name its address with --tsa")
			}
			if err := f.check(); err != nil {
				return err
			}
			s, err := evidence.AddStamp(cmd.Context(), args[0], tsa)
			switch {
			case errors.Is(err, evidence.ErrNotWhole):
				return unusable(err, "stamp the whole bundle and redact that again")
			case errors.Is(err, evidence.ErrBroken):
				return unverified(err, "`assay verify` tells what is broken")
			case errors.Is(err, evidence.ErrStamped):
				return unusable(err, "`assay verify "+args[0]+"` tells of when")
			case err != nil:
				return benchFailed(err, "the file is as it was; is the authority's address right, and can it be reached from here?")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), stampWords(s))
			return err
		},
	}
	cmd.Flags().StringVar(&tsa, "tsa", "", "address of a time-stamp authority, e.g. http://timestamp.example/tsr")
	return cmd
}

// stampFlags are those of every verb that seals.
type stampFlags struct {
	tsa     string
	require bool
}

func (f *stampFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.tsa, "tsa", "", "address of a time-stamp authority (RFC 3161) that is asked about the seal")
	cmd.Flags().BoolVar(&f.require, "require-timestamp", false, "exit 5 if the authority gives no time-stamp")
}

// check refuses what cannot be meant, before a device is asked anything.
func (f stampFlags) check() error {
	if f.tsa == "" && f.require {
		return unusable(errors.New("--require-timestamp needs an authority"), "name its address with --tsa")
	}
	if f.tsa == "" {
		return nil
	}
	if err := evidence.CheckAuthority(f.tsa); err != nil {
		return unusable(err, "--tsa takes the address of a time-stamp authority, e.g. http://timestamp.example/tsr")
	}
	return nil
}

// stamp asks for a time-stamp over what was just sealed. A bench that lives in namespaces of its own
// reaches no authority: whoever entered them asks when it has come back.
func (f stampFlags) stamp(ctx context.Context, p *progress, file string) error {
	if f.tsa == "" || bench.Inside() {
		return nil
	}
	p.doing("asking for a time-stamp")
	s, err := evidence.AddStamp(ctx, file, f.tsa)
	if err != nil {
		p.end()
		return f.unstamped(file, err)
	}
	p.say("%s", stampWords(s))
	return nil
}

func (f stampFlags) unstamped(file string, err error) error {
	hint := "`assay stamp " + file + " --tsa URL` asks again"
	if f.require {
		return benchFailed(err, "the run is sealed, without a time-stamp; "+hint)
	}
	// This is told even where no story is wanted: the file is less than was asked for.
	fmt.Fprintf(os.Stderr, "assay: NO TIME-STAMP: %v\nassay: hint: the run is sealed without one; %s\n", err, hint)
	return nil
}

func stampWords(s *evidence.Stamp) string {
	return fmt.Sprintf("time-stamp %s by %s", s.Time.Format(time.RFC3339), s.Authority)
}

// sealedBelow are the sealed files of all runs in a folder.
func sealedBelow(out string) map[string]bool {
	all := map[string]bool{}
	found, _ := filepath.Glob(filepath.Join(out, "*", "*.assay"))
	for _, name := range found {
		all[name] = true
	}
	return all
}

// stampNew stamps what another process has sealed since.
func (f stampFlags) stampNew(ctx context.Context, p *progress, out string, before map[string]bool) error {
	if f.tsa == "" {
		return nil
	}
	for name := range sealedBelow(out) {
		if before[name] {
			continue
		}
		s, err := evidence.AddStamp(ctx, name, f.tsa)
		switch {
		case errors.Is(err, evidence.ErrStamped): // by another run in the same folder
		case err != nil:
			if err := f.unstamped(name, err); err != nil {
				return err
			}
		default:
			p.say("%s", stampWords(s))
		}
	}
	return nil
}
