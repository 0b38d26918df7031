package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/spf13/cobra"

	"assay/lab/evidence"
	"assay/reports"
)

func verifyCommand() *cobra.Command {
	var o verifyFlags
	cmd := &cobra.Command{
		Use:   "verify EVIDENCE --key LAB.pub",
		Short: "Recompute everything a sealed file claims, offline",
		Long: "verify recomputes hashes, chain, tree and signature of a sealed .assay file, and every verdict from its observations.\n" +
			"The key comes from you, never from the file. A failing run that verifies is a verified failing run (exit 0).\n" +
			"A run's folder that was never sealed (power loss, kill) is read as far as it goes and is incomplete (exit 3).",
		Args: oneArg("sealed file or run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return verify(cmd.Context(), cmd.OutOrStdout(), args[0], o)
		},
	}
	cmd.Flags().StringArrayVar(&o.keys, "key", nil, "public key (PEM) that the seal must verify under, or reviewer=FILE, approver=FILE, operator=FILE for amendments; may be given several times")
	cmd.Flags().StringVar(&o.authority, "tsa-root", "", "root certificates (PEM) that the seal's time-stamp must lead to")
	cmd.Flags().StringVar(&o.through, "amended-through", "", "SHA-256 that a report or an earlier verify printed as \"amended through\": fail where the file does not hold that amendment (or seal) any more")
	o.keyless.add(cmd)
	formatFlag(cmd, &o.format, "text", "json")
	return cmd
}

// verifyFlags are what a verifier brings along.
type verifyFlags struct {
	keys              []string
	authority, format string
	through           string
	keyless           keylessRoots
}

// trust reads what the flags name.
func (o verifyFlags) trust() (evidence.Trust, error) {
	t := evidence.Trust{Now: time.Now(), Through: strings.ToLower(o.through)}
	if b, err := hex.DecodeString(o.through); o.through != "" && (err != nil || len(b) != sha256.Size) {
		return t, unusable(fmt.Errorf("--amended-through %.80q is no SHA-256 digest", o.through), "it takes the 64 hexadecimal digits that a report or `assay verify` prints behind \"amended through\"")
	}
	t.Roles = map[string][]signature.Verifier{}
	for _, k := range o.keys {
		role, path, ok := strings.Cut(k, "=")
		if !ok || !slices.Contains(evidence.AmendmentRoles, role) {
			role, path = "", k
		}
		v, err := evidence.LoadVerifier(path)
		if err != nil {
			return t, unusable(err, "--key takes the lab's public key as PEM, e.g. lab.pub from `assay keys`, or ROLE=FILE for whoever amended")
		}
		if role == "" {
			t.Keys = append(t.Keys, v)
			continue
		}
		t.Roles[role] = append(t.Roles[role], v)
	}
	if o.authority != "" {
		var err error
		if t.Authorities, err = evidence.LoadAuthorities(o.authority); err != nil {
			return t, unusable(err, "--tsa-root takes the root certificate of the time-stamp authority as PEM; get it from the authority")
		}
	}
	return t, o.keyless.trust(&t)
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

	Redacted bool     `json:"redacted,omitempty"`
	Withheld []string `json:"withheld,omitempty"`
	Attested bool     `json:"attested_only,omitempty"` // the conformity is the lab's word: what it is made of is withheld, or another judge's

	Judge *reports.OtherJudge `json:"judge,omitempty"` // wrote the verdicts, and this program's does not come to them

	Signer *evidence.Certified `json:"signer,omitempty"`
	Stamp  *evidence.Stamp     `json:"timestamp,omitempty"`

	Through *reports.Through `json:"amended_through,omitempty"`
	later
}

func verify(ctx context.Context, w io.Writer, path string, o verifyFlags) error {
	if err := readable(path, "evidence"); err != nil {
		return err
	}
	trust, err := o.trust()
	if err != nil {
		return err
	}
	ev, err := verifiedBy(ctx, path, trust)
	if errors.Is(err, evidence.ErrNoKey) {
		return unusable(err, "name the lab's public key with --key, or its Fulcio's root with --fulcio-root; neither is ever taken from the file it should vouch for")
	}
	var other *reports.OtherJudge
	attested := errors.Is(err, reports.ErrAttested) || errors.As(err, &other)
	if attested {
		err = nil
	}
	var broken *evidence.Broken
	if err != nil && !errors.As(err, &broken) {
		hint := "is this a file that assay sealed, or a run's folder?"
		if sealed, _ := filepath.Glob(filepath.Join(path, "*.assay")); len(sealed) > 0 {
			hint = "this run was sealed: `assay verify " + sealed[0] + "`"
		}
		return unusable(err, hint)
	}
	f := finding{Verified: err == nil, Judge: other}
	if broken != nil {
		f.Broken, f.Where, f.Why = broken.What, broken.Where, broken.Why
	}
	if ev != nil {
		f.Records, f.Artefacts, f.Torn = len(ev.Records), len(ev.Artefacts), ev.Torn
		f.Complete, f.Stamp, f.Signer, f.Through = ev.Sealed, ev.Stamp, ev.Signer, reports.ThroughOf(ev)
		if seen, err := ev.Observations(); err == nil {
			f.Observations = len(seen)
		}
		if r, err := reports.Build(ev); err == nil {
			f.Run, f.Conformity = r.Run, string(r.Profiles[0].Conformity)
		}
		f.redacted(ev, attested)
		if f.Verified && ev.Sealed {
			l, err := since(ev, true)
			if err != nil {
				return unverified(err, "the run verifies, its amendments cannot be read")
			}
			f.later = *l
		}
	}
	return sayFinding(w, path, f, o.format)
}

func sayFinding(w io.Writer, path string, f finding, format string) error {
	code := exitDone
	switch {
	case !f.Verified:
		code = exitUnverified
	case !f.Complete || f.Unchecked > 0 || f.Judge != nil:
		code = exitIncomplete
	}
	if format == "json" {
		if err := writeJSON(w, f); err != nil {
			return err
		}
		return ended(code)
	}
	switch {
	case !f.Verified:
		fmt.Fprintf(w, "%s does NOT verify: %s: %s: %s\n", path, f.Broken, clean(f.Where), clean(f.Why))
	case !f.Complete:
		fmt.Fprintf(w, "%s is incomplete: never sealed. %d records in an unbroken chain, %d observations, %d artefacts", path, f.Records, f.Observations, f.Artefacts)
		if f.Torn > 0 {
			fmt.Fprintf(w, "; a last line of %d bytes was never finished and does not count", f.Torn)
		}
		fmt.Fprintln(w)
	default:
		what := ""
		if f.Redacted {
			what = " of what is there"
		}
		fmt.Fprintf(w, "%s verifies: %d records, %d observations, %d artefacts; every hash%s, the chain, the tree and the signature.\n", path, f.Records, f.Observations, f.Artefacts, what)
		f.sayRun(w)
		saySigner(w, f.Signer)
		sayStamp(w, f.Stamp)
		f.say(w, true)
		fmt.Fprintf(w, "amended through: %v\n", f.Through)
	}
	return ended(code)
}

// verified checks evidence and recomputes its verdicts. Evidence comes back with a
// *evidence.Broken as far as it could be read.
func verified(ctx context.Context, path string, keys ...signature.Verifier) (*evidence.Evidence, error) {
	return verifiedBy(ctx, path, evidence.Trust{Keys: keys, Now: time.Now()})
}

// sayStamp tells when the seal existed, and who says so.
func sayStamp(w io.Writer, s *evidence.Stamp) {
	switch {
	case s == nil:
	case s.Checked:
		fmt.Fprintf(w, "%s: the seal is not younger than that\n", stampWords(s))
	default:
		fmt.Fprintf(w, "%s, NOT CHECKED: name the authority's root certificate with --tsa-root\n", stampWords(s))
	}
}

func verifiedBy(ctx context.Context, path string, t evidence.Trust) (*evidence.Evidence, error) {
	ev, err := evidence.VerifyBy(ctx, path, t)
	if err != nil {
		return ev, err
	}
	return ev, reports.Recheck(ev)
}
