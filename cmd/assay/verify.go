package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/spf13/cobra"

	"assay/lab/evidence"
	"assay/reports"
)

func verifyCommand() *cobra.Command {
	var keys []string
	var format string
	cmd := &cobra.Command{
		Use:   "verify EVIDENCE --key LAB.pub",
		Short: "Recompute everything a sealed file claims, offline",
		Long: "verify recomputes hashes, chain, tree and signature of a sealed .assay file, and every verdict from its observations.\n" +
			"The key comes from you, never from the file. A failing run that verifies is a verified failing run (exit 0).\n" +
			"A run's folder that was never sealed (power loss, kill) is read as far as it goes and is incomplete (exit 3).",
		Args: oneArg("sealed file or run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return verify(cmd.Context(), cmd.OutOrStdout(), args[0], keys, format)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "public key (PEM) that the seal must verify under; may be given several times")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// finding is verify's answer.
type finding struct {
	Verified     bool   `json:"verified"`
	Complete     bool   `json:"complete"`
	Broken       string `json:"broken,omitempty"`
	Where        string `json:"where,omitempty"`
	Why          string `json:"why,omitempty"`
	Run          string `json:"run,omitempty"`
	Conformity   string `json:"conformity,omitempty"`
	Records      int    `json:"records"`
	Observations int    `json:"observations"`
	Artefacts    int    `json:"artefacts"`
	Torn         int64  `json:"torn_bytes,omitempty"`
}

func verify(ctx context.Context, w io.Writer, path string, keys []string, format string) error {
	if err := readable(path, "evidence"); err != nil {
		return err
	}
	var verifiers []signature.Verifier
	for _, k := range keys {
		v, err := evidence.LoadVerifier(k)
		if err != nil {
			return unusable(err, "--key takes the lab's public key as PEM, e.g. lab.pub from `assay keys`")
		}
		verifiers = append(verifiers, v)
	}
	ev, err := verified(ctx, path, verifiers...)
	if errors.Is(err, evidence.ErrNoKey) {
		return unusable(err, "name the lab's public key with --key; it is never taken from the file it should vouch for")
	}
	var broken *evidence.Broken
	if err != nil && !errors.As(err, &broken) {
		hint := "is this a file that assay sealed, or a run's folder?"
		if sealed, _ := filepath.Glob(filepath.Join(path, "*.assay")); len(sealed) > 0 {
			hint = "this run was sealed: `assay verify " + sealed[0] + "`"
		}
		return unusable(err, hint)
	}
	f := finding{Verified: err == nil}
	if broken != nil {
		f.Broken, f.Where, f.Why = broken.What, broken.Where, broken.Why
	}
	if ev != nil {
		f.Records, f.Artefacts, f.Torn = len(ev.Records), len(ev.Artefacts), ev.Torn
		f.Complete = ev.Sealed
		if seen, err := ev.Observations(); err == nil {
			f.Observations = len(seen)
		}
		if r, err := reports.Build(ev); err == nil {
			f.Run, f.Conformity = r.Run, string(r.Profiles[0].Conformity)
		}
	}
	return sayFinding(w, path, f, format)
}

func sayFinding(w io.Writer, path string, f finding, format string) error {
	code := exitDone
	switch {
	case !f.Verified:
		code = exitUnverified
	case !f.Complete:
		code = exitIncomplete
	}
	if format == "json" {
		if err := writeJSON(w, f); err != nil {
			return err
		}
		return ended(code)
	}
	switch code {
	case exitUnverified:
		fmt.Fprintf(w, "%s does NOT verify: %s: %s: %s\n", path, f.Broken, f.Where, f.Why)
	case exitIncomplete:
		fmt.Fprintf(w, "%s is incomplete: never sealed. %d records in an unbroken chain, %d observations, %d artefacts", path, f.Records, f.Observations, f.Artefacts)
		if f.Torn > 0 {
			fmt.Fprintf(w, "; a last line of %d bytes was never finished and does not count", f.Torn)
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintf(w, "%s verifies: %d records, %d observations, %d artefacts; every hash, the chain, the tree and the signature.\n", path, f.Records, f.Observations, f.Artefacts)
		fmt.Fprintf(w, "run %s: %s, recomputed from the observations\n", f.Run, f.Conformity)
	}
	return ended(code)
}

// verified checks evidence and recomputes its verdicts. Evidence comes back with a
// *evidence.Broken as far as it could be read.
func verified(ctx context.Context, path string, keys ...signature.Verifier) (*evidence.Evidence, error) {
	ev, err := evidence.Verify(ctx, path, keys)
	if err != nil {
		return ev, err
	}
	return ev, reports.Recheck(ev)
}
