package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/firmware"
	"assay/reports/image"
)

// tamperFlags are what the refusal set is made of.
type tamperFlags struct {
	imageFlags
	key, issuerKey string
	certificates   []string
	older, sister  string
	variants       []string
	out, face      string
}

func firmwareTamperCommand() *cobra.Command {
	var f tamperFlags
	cmd := &cobra.Command{
		Use:   "tamper IMAGE --out DIR",
		Short: "Make every variant of an image that a good device refuses",
		Long: "tamper writes the refusal set of a genuine image: each variant with what was changed, which checksums were repaired, and the layer at which a\n" +
			"good device refuses it. With --trust each variant is first put before our own verifier: one that it accepts is an error (exit 5), never a file.\n" +
			"What needs the maker's key (an older version with a good signature) is made with --key or taken from --older.",
		Args: oneArg("image"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return tamperImage(cmd.Context(), cmd.OutOrStdout(), args[0], f)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.out, "out", "", "new folder for the variants and manifest.json")
	cmd.Flags().StringVar(&f.key, "key", "", "the maker's private signing key (PEM), for genuine images of another version or product")
	cmd.Flags().StringSliceVar(&f.certificates, "certificate", nil, "certificate of --key, and its chain (PEM)")
	cmd.Flags().StringVar(&f.issuerKey, "issuer-key", "", "private key of the authority that issued --certificate (PEM), for expired and wrong-purpose certificates")
	cmd.Flags().StringVar(&f.older, "older", "", "a genuine older image of the maker")
	cmd.Flags().StringVar(&f.sister, "sister", "", "a genuine image of another product of the maker")
	cmd.Flags().StringSliceVar(&f.variants, "variant", nil, "make only these: "+strings.Join(firmware.Variants(), ", "))
	formatFlag(cmd, &f.face, "text", "json")
	return cmd
}

func tamperImage(ctx context.Context, w io.Writer, path string, f tamperFlags) error {
	for _, v := range f.variants {
		if !slices.Contains(firmware.Variants(), v) {
			return unusable(fmt.Errorf("--variant %s is not known", quote(v)), "use "+strings.Join(firmware.Variants(), ", "))
		}
	}
	if f.out == "" {
		return unusable(errors.New("tamper needs a folder for what it makes"), "name a new one with --out")
	}
	trust, err := f.read(time.Now())
	if err != nil {
		return err
	}
	means, done, err := f.means()
	if err != nil {
		return err
	}
	defer done()
	in, err := f.open(path)
	if err != nil {
		return err
	}
	defer in.close()
	t := &tampering{in: in, means: means, out: f.out, trust: trust, judged: len(f.trust)+len(f.secrets) > 0}
	if err := t.begin(); err != nil {
		return err
	}
	if err := t.make(ctx, f.variants); err != nil {
		return err
	}
	return t.finish(w, f.face)
}

// means reads what the maker lent.
func (f *tamperFlags) means() (m firmware.Means, done func(), err error) {
	lent := &opened{}
	done = lent.close
	read := func(path, what string) error {
		if path == "" {
			return nil
		}
		b, err := bounded(path, what, maxAnchor)
		if err != nil {
			return err
		}
		key, err := firmware.ParseSigner(b)
		if err != nil {
			return unusable(fmt.Errorf("read --%s %s: %w", what, path, err), "give one private key in PEM, without a passphrase")
		}
		if what == "key" {
			m.Signer = key
		} else {
			m.Issuer = key
		}
		return nil
	}
	source := func(path, what string, into **firmware.Source) error {
		if path == "" {
			return nil
		}
		src, err := lent.source(path, what)
		if err != nil {
			return err
		}
		*into = &src
		return nil
	}
	m.Chain, err = certificatesOf(f.certificates, "certificate")
	for _, step := range []func() error{
		func() error { return read(f.key, "key") },
		func() error { return read(f.issuerKey, "issuer-key") },
		func() error { return source(f.older, "older", &m.Older) },
		func() error { return source(f.sister, "sister", &m.Sister) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		done()
	}
	return m, done, err
}

// tampering makes one refusal set.
type tampering struct {
	in     *opened
	means  firmware.Means
	trust  firmware.Trust
	judged bool // a trust was given: our own verifier must refuse what is made
	out    string
	image  firmware.Image
	known  []string // variants of the format
	set    image.Refusals
}

// begin opens the image and wants it genuine, where that can be told.
func (t *tampering) begin() error {
	f, err := firmware.Detect(t.in.Input)
	if err == nil {
		t.image, err = f.OpenUnverified(t.in.Input)
	}
	if err != nil {
		return unusable(fmt.Errorf("image %s: %w", t.in.path, err), "a refusal set is made of a genuine image; known formats: "+formatNames())
	}
	if t.judged {
		if _, err := t.image.Verify(t.trust); err != nil {
			return unusable(fmt.Errorf("image %s is not genuine under the trust given: %w", t.in.path, err), "a device could refuse every variant for that alone; give the genuine image and its key")
		}
	}
	t.known = f.Variants
	facts := t.image.Describe()
	t.set = image.Refusals{Image: t.in.path, Format: f.Name, Version: facts.Version}
	if t.set.SHA256, err = t.in.digest(); err != nil {
		return err
	}
	if err := os.Mkdir(t.out, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return unusable(fmt.Errorf("folder %s exists already", t.out), "name a new one with --out: nothing is overwritten")
		}
		return unusable(fmt.Errorf("make the folder: %w", err), "name a new one with --out")
	}
	return nil
}

func (t *tampering) make(ctx context.Context, wanted []string) error {
	p := newProgress(os.Stderr, !terminal(os.Stderr), false)
	defer p.end()
	for _, variant := range firmware.Variants() {
		if len(wanted) > 0 && !slices.Contains(wanted, variant) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		p.doing("making %s", variant)
		if !slices.Contains(t.known, variant) {
			t.set.Missing = append(t.set.Missing, image.Missing{Variant: variant, Why: "the format " + t.set.Format + " has nothing that it could change"})
			continue
		}
		made, err := t.image.Tamper(variant, t.means)
		if errors.Is(err, firmware.ErrNotApplicable) {
			t.set.Missing = append(t.set.Missing, image.Missing{Variant: variant, Why: err.Error()})
			continue
		}
		if err != nil {
			return unusable(err, "the other variants are in "+t.out)
		}
		if err := t.keep(made); err != nil {
			return err
		}
	}
	return nil
}

// keep puts a variant before our own verifier and writes it.
func (t *tampering) keep(made firmware.Variant) error {
	r := image.Refusal{Manifest: made.Manifest}
	if t.judged {
		ours, err := t.ours(made)
		if err != nil {
			return err
		}
		r.Ours = ours
	}
	files := made.Files
	if files == nil {
		files = map[string][]byte{"": made.Bytes}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(made.Manifest.Variant, filepath.FromSlash(name))
		if name == "" {
			file = made.Manifest.Variant + filepath.Ext(t.in.path)
		}
		if !filepath.IsLocal(file) {
			return benchFailed(fmt.Errorf("variant %s: file name %s leaves the folder", made.Manifest.Variant, quote(name)), "")
		}
		if err := writeVariant(filepath.Join(t.out, file), files[name]); err != nil {
			return benchFailed(fmt.Errorf("write variant %s: %w", made.Manifest.Variant, err), "is the disk full?")
		}
		sum := sha256.Sum256(files[name])
		r.Files = append(r.Files, image.File{Name: filepath.ToSlash(file), Size: int64(len(files[name])), SHA256: hex.EncodeToString(sum[:])})
	}
	t.set.Variants = append(t.set.Variants, r)
	return nil
}

func writeVariant(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// ours is how our own verifier refuses a variant. One that it accepts is a bug of one of the two.
func (t *tampering) ours(made firmware.Variant) (string, error) {
	err := firmware.Refuses(t.in.Input, made, t.trust)
	if err == nil {
		return "", benchFailed(fmt.Errorf("variant %s of %s: our own verifier accepts it: this is a bug of assay; it is not written", made.Manifest.Variant, t.in.path), "please report it with the image's format")
	}
	return err.Error(), nil
}

func (t *tampering) finish(w io.Writer, face string) error {
	file, err := os.OpenFile(filepath.Join(t.out, "manifest.json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		err = errors.Join(writeJSON(file, &t.set), file.Close())
	}
	if err != nil {
		return benchFailed(fmt.Errorf("write the manifest: %w", err), "is the disk full?")
	}
	if face == "json" {
		return writeJSON(w, &t.set)
	}
	return t.set.Text(w)
}
