package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/spf13/cobra"

	"assay/lab/evidence"
)

// passwordVariable holds the password of an encrypted private key: an argument would show in the process list.
const passwordVariable = "ASSAY_KEY_PASSWORD"

// keysStay is the hint for whoever would overwrite a key.
const keysStay = "keys are never overwritten: choose another name with --out"

func keysCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make the lab's key pair for sealing evidence",
		Long: "keys makes an ECDSA P-256 key pair: NAME.key stays in the lab, NAME.pub goes to whoever verifies.\n" +
			"With a password in " + passwordVariable + " the private key is written encrypted.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			private, public, err := evidence.GenerateKey([]byte(os.Getenv(passwordVariable)))
			if err != nil {
				return fmt.Errorf("make a key pair: %w", err)
			}
			if err := writeNew(out+".key", private, 0o600, keysStay); err != nil {
				return err
			}
			if err := writeNew(out+".pub", public, 0o644, keysStay); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s.key\n%s.pub\n", out, out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "lab", "path and name without ending")
	return cmd
}

// writeNew never overwrites: a lost private key, or a dossier filled in by hand, cannot be made again.
func writeNew(path string, b []byte, mode os.FileMode, exists string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	switch {
	case errors.Is(err, os.ErrExist):
		return unusable(fmt.Errorf("%s exists", path), exists)
	case err != nil:
		return unusable(fmt.Errorf("write %s: %w", path, err), "choose a writable folder with --out")
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return benchFailed(fmt.Errorf("write %s: %w", path, err), "is the disk full?")
	}
	return nil
}

// A signer is the key that a run is sealed with.
type signer struct {
	signer   signature.Signer
	verifier signature.Verifier
	public   []byte // PEM
	kind     string // "ephemeral", "lab" or "keyless"

	keyless   *keylessFlags       // of kind keyless, whose key is made when the run has its end
	certified *evidence.Certified // and to whom it was certified then
}

// newSigner loads the lab's key, or makes one for this run only.
func newSigner(ctx context.Context, ref string) (*signer, error) {
	s := &signer{kind: "lab"}
	var err error
	if ref == "" {
		s.kind = "ephemeral"
		s.signer, err = evidence.Ephemeral()
	} else {
		s.signer, err = evidence.OpenSigner(ctx, ref, []byte(os.Getenv(passwordVariable)))
	}
	switch {
	case errors.Is(err, evidence.ErrKeyReference):
		return nil, unusable(err, "--key takes a key file, or NAME://ID with a program sigstore-kms-NAME in PATH; `assay keys` makes a key file")
	case err != nil:
		return nil, unusable(err, "`assay keys` makes a key pair; the password of an encrypted key comes in "+passwordVariable)
	}
	if s.public, s.verifier, err = evidence.Public(s.signer); err != nil {
		return nil, unusable(err, "")
	}
	return s, nil
}
