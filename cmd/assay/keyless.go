package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/lab/evidence"
	"assay/reports"
)

// tokenVariable holds an identity token, as for Sigstore's tools: an argument would show in the process list.
const tokenVariable = "SIGSTORE_ID_TOKEN"

// outsideVariable names the file into which a bench in namespaces of its own writes which run waits for its seal.
const outsideVariable = "ASSAY_SEAL_OUTSIDE"

// keyKeyless is how a record says that its seal is under a certificate.
const keyKeyless = "keyless"

// errOutside says that a run has its end, and that who entered the namespaces seals it: nobody else is reached from there.
var errOutside = errors.New("this run is sealed outside of the bench")

// keylessFlags are those of every verb that seals under a certificate.
type keylessFlags struct {
	fulcio, file string
	token        string // from the environment
}

func (f *keylessFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.fulcio, "fulcio", "", "address of the lab's own Fulcio: seal under its certificate for whoever the identity token in "+tokenVariable+" names; needs --tsa")
	cmd.Flags().StringVar(&f.file, "identity-token-file", "", "file with the identity token for --fulcio, read again when the run is sealed")
}

// check refuses what cannot be meant, before a device is asked anything.
func (f *keylessFlags) check(key string, stamps stampFlags) error {
	switch {
	case f.fulcio == "" && f.file == "":
		return nil
	case f.fulcio == "":
		return unusable(errors.New("--identity-token-file is for a Fulcio"), "name its address with --fulcio")
	case key != "":
		return unusable(errors.New("--key and --fulcio are two ways to seal"), "name one of them")
	case stamps.tsa == "":
		return unusable(errors.New("--fulcio needs a time-stamp authority: its certificate lives some minutes, and without a time-stamp nobody can tell later that the seal was made in them"),
			"name the authority's address with --tsa")
	}
	if err := evidence.CheckFulcio(f.fulcio); err != nil {
		return unusable(err, "--fulcio takes the address of the lab's own Fulcio, e.g. https://fulcio.lab.example")
	}
	if bench.Inside() {
		return nil
	}
	// Neither a device's program nor a recipe's command finds it in its environment.
	f.token = os.Getenv(tokenVariable)
	if err := os.Unsetenv(tokenVariable); err != nil {
		return fmt.Errorf("take %s out of the environment: %w", tokenVariable, err)
	}
	if _, err := f.identity(); err != nil {
		return unusable(err, "put a fresh identity token into "+tokenVariable+", or name a file with --identity-token-file")
	}
	return nil
}

// identity reads the token as it is now.
func (f *keylessFlags) identity() (*evidence.IdentityToken, error) {
	text := f.token
	if f.file != "" {
		file, err := os.Open(f.file)
		if err != nil {
			return nil, fmt.Errorf("read the identity token: %w", err)
		}
		defer file.Close()
		b, err := io.ReadAll(io.LimitReader(file, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("read the identity token: %w", err)
		}
		text = string(b)
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("there is no identity token")
	}
	return evidence.ParseIdentityToken(text, time.Now())
}

// signer is what a run is sealed with: a key, or whatever a Fulcio certifies when the run has its end.
func (f *keylessFlags) signer(ctx context.Context, key string, stamps stampFlags) (*signer, error) {
	if err := f.check(key, stamps); err != nil {
		return nil, err
	}
	if f.fulcio == "" {
		return newSigner(ctx, key)
	}
	return &signer{kind: keyKeyless, keyless: f}, nil
}

// sealKeyless has a key certified that lives as long as this process, seals under it, and has that stamped. Only
// then the sealed file has its name; until then the journal is what there is.
func (s *session) sealKeyless(ctx context.Context) error {
	if bench.Inside() {
		return errOutside
	}
	again := "the run has its end and waits for its seal: `assay resume " + s.dir + " --fulcio " + s.signer.keyless.fulcio + " --tsa " + s.stamps.tsa + "` makes it, with a fresh identity token"
	s.progress.doing("asking for a certificate")
	id, err := s.signer.keyless.identity()
	if err != nil {
		return benchFailed(err, again)
	}
	k, err := evidence.RequestCertificate(ctx, s.signer.keyless.fulcio, id)
	if err != nil {
		return benchFailed(err, again)
	}
	s.signer.signer, s.signer.certified = k, k.Certified
	if s.signer.public, s.signer.verifier, err = evidence.Public(k); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "lab.pub"), s.signer.public, 0o644); err != nil {
		return s.cannotWrite(err)
	}
	s.progress.doing("sealing the evidence, and asking for its time-stamp")
	stamp, err := evidence.SealStamped(ctx, s.dir, s.bundle(), k, s.stamps.tsa)
	if err != nil {
		return benchFailed(err, again)
	}
	s.progress.say("signed by %s, vouched for by %s", clean(k.Certified.Identity), clean(k.Certified.Issuer))
	s.progress.say("%s", stampWords(stamp))
	return nil
}

// outside makes the file into which the bench inside writes what is left to seal.
func (f *keylessFlags) outside() (env []string, file string, err error) {
	if f.fulcio == "" {
		return nil, "", nil
	}
	dir, err := os.MkdirTemp("", "assay-seal-")
	if err != nil {
		return nil, "", benchFailed(fmt.Errorf("make a place for the seal: %w", err), "is the disk full?")
	}
	file = filepath.Join(dir, "run")
	return []string{outsideVariable + "=" + file}, file, nil
}

// leave tells who entered the namespaces which run waits for its seal.
func (s *session) leave() error {
	file := os.Getenv(outsideVariable)
	if file == "" {
		return nil // who resumes knows which run it is
	}
	if err := os.WriteFile(file, []byte(s.dir), 0o600); err != nil {
		return s.cannotWrite(err)
	}
	return nil
}

// sealLeft seals the run that the bench inside has left.
func (f *keylessFlags) sealLeft(cmd *cobra.Command, file string, code int, r resumeFlags) error {
	defer os.RemoveAll(filepath.Dir(file))
	b, err := os.ReadFile(file)
	switch {
	case code != exitDone:
		return ended(code) // it came to no end, and has told why
	case err != nil:
		return benchFailed(fmt.Errorf("find the run that waits for its seal: %w", err), "`assay resume` seals it; it is the newest folder")
	}
	r.keyless = *f
	cmd.SetContext(context.WithoutCancel(cmd.Context())) // sealing takes a moment and loses nothing
	return goOnHere(cmd, string(b), r)
}

// howToVerify is how somebody checks what this session sealed.
func (s *session) howToVerify(r *reports.Report) string {
	file := filepath.Join(s.dir, r.Run+".assay")
	if who := s.signer.certified; who != nil {
		return fmt.Sprintf("assay verify %s --fulcio-root ROOT.pem --signer %s --oidc-issuer %s --tsa-root ROOT.pem", file, shown(who.Identity), shown(who.Issuer))
	}
	return fmt.Sprintf("assay verify %s --key %s", file, filepath.Join(s.dir, "lab.pub"))
}

// shown is a word for a shell: quoted where it is not plain.
func shown(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+") == "" {
		return word
	}
	return strconv.Quote(clean(word))
}

// keylessRoots are verify's flags for seals under a certificate.
type keylessRoots struct{ root, signer, issuer string }

func (k *keylessRoots) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.root, "fulcio-root", "", "root certificates (PEM) of the lab's Fulcio that the seal's certificate must lead to; with --signer, --oidc-issuer and --tsa-root")
	cmd.Flags().StringVar(&k.signer, "signer", "", "who must have sealed: the certificate's identity, exactly")
	cmd.Flags().StringVar(&k.issuer, "oidc-issuer", "", "who must have vouched for the signer: the issuer of the identity token, exactly")
}

// trust reads what the flags name; all of it is wanted, or nothing.
func (k *keylessRoots) trust(t *evidence.Trust) error {
	given := 0
	for _, v := range []string{k.root, k.signer, k.issuer} {
		if v != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil
	case given < 3:
		return unusable(errors.New("--fulcio-root, --signer and --oidc-issuer go together"), "a root alone vouches for everybody whom that Fulcio certifies: say who must have sealed")
	case t.Authorities == nil:
		return unusable(errors.New("--fulcio-root needs --tsa-root: a certificate of minutes shows nothing later without a time-stamp from then"),
			"name the root certificate of the lab's time-stamp authority")
	}
	roots, err := evidence.LoadAuthorities(k.root)
	if err != nil {
		return unusable(err, "--fulcio-root takes the root certificates of the lab's Fulcio as PEM; get them from the lab, not with the evidence")
	}
	t.Keyless = &evidence.Keyless{Roots: roots, Identity: k.signer, Issuer: k.issuer}
	return nil
}

// saySigner tells whom the seal's certificate names.
func saySigner(w io.Writer, s *evidence.Certified) {
	switch {
	case s == nil:
	case s.Checked:
		fmt.Fprintf(w, "signed by %s, vouched for by %s, under a certificate of %s to %s\n", clean(s.Identity), clean(s.Issuer), s.From.Format(time.RFC3339), s.To.Format(time.RFC3339))
	default:
		fmt.Fprintf(w, "it says: signed by %s, vouched for by %s. NOT CHECKED: name --fulcio-root, --signer, --oidc-issuer and --tsa-root\n", clean(s.Identity), clean(s.Issuer))
	}
}
