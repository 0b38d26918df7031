package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/firmware"
	"assay/firmware/format"
	"assay/reports/image"
)

func firmwareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "firmware", Short: "Verify a signed image, attack it, look inside; no device needed", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(firmwareInspectCommand(), firmwareTamperCommand(), firmwareVerifyCommand())
	return cmd
}

// maxAnchor bounds a file of trust: the largest known are trusted roots of some 100 kB.
const maxAnchor = 8 << 20

// imageFlags name one image and what is trusted.
type imageFlags struct {
	signature     string
	trust         []string
	intermediates []string
	secrets       []string
	decrypt       []string
	requireCRLs   bool
	purpose       string
	signer        string
	issuer        string
	at            string
	noLog         bool
	configuration string
	installed     bool
}

func (f *imageFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.signature, "signature", "", "detached signature of IMAGE")
	cmd.Flags().StringSliceVar(&f.trust, "trust", nil, "trust anchor: public keys, certificates or CRLs (PEM, DER), an OpenPGP, minisign or signify key, a control device tree, a Sigstore or TUF root (may be given again)")
	cmd.Flags().StringSliceVar(&f.intermediates, "intermediate", nil, "certificates that help to build a chain and vouch for nothing")
	cmd.Flags().StringSliceVar(&f.secrets, "secret", nil, "file with a symmetric key, for images that carry a MAC")
	cmd.Flags().StringSliceVar(&f.decrypt, "decrypt", nil, "key that opens an encrypted image: a recipient's private key (PKCS #8), or the key file of swupdate -K")
	cmd.Flags().BoolVar(&f.requireCRLs, "require-crls", false, "every issuer in a chain must have a revocation list in --trust, and not out of date")
	cmd.Flags().StringVar(&f.purpose, "purpose", "", "extended key usage that the signer's certificate must have: code-signing, email-protection or any")
	cmd.Flags().StringVar(&f.signer, "signer", "", "identity that must have signed: a subject alternative name")
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "OIDC issuer that must have vouched for --signer (Sigstore)")
	cmd.Flags().StringVar(&f.at, "at", "", "time at which certificates must be valid, e.g. 2026-11-25 or RFC 3339 (default now)")
	cmd.Flags().StringVar(&f.configuration, "configuration", "", "configuration of a U-Boot FIT that the device boots (default that of the image)")
	cmd.Flags().BoolVar(&f.noLog, "no-log", false, "a managed key's Sigstore signature counts without a transparency log")
	cmd.Flags().BoolVar(&f.installed, "installed", false, "SUIT: the device has installed the manifest and only starts it, so what the installation alone needs may be gone")
}

// opened is an image with its file, which lives as long as the image is looked at.
type opened struct {
	firmware.Input
	path  string
	files []*os.File
}

func (o *opened) close() {
	for _, f := range o.files {
		_ = f.Close()
	}
}

// open opens an image: a file, a file beside its signature, or a folder.
func (f *imageFlags) open(path string) (*opened, error) {
	if err := readable(path, "image"); err != nil {
		return nil, err
	}
	o := &opened{path: path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if f.signature != "" {
			return nil, unusable(errors.New("--signature goes with a file, "+path+" is a folder"), "name the signed file")
		}
		o.Dir = os.DirFS(path)
		return o, nil
	}
	src, err := o.source(path, "image")
	if err != nil {
		return nil, err
	}
	o.Source = src
	if f.signature == "" {
		return o, nil
	}
	o.Artifact = &src
	if o.Source, err = o.source(f.signature, "signature"); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *opened) source(path, what string) (firmware.Source, error) {
	if err := readable(path, what); err != nil {
		return firmware.Source{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return firmware.Source{}, unusable(fmt.Errorf("open the %s: %w", what, err), "")
	}
	o.files = append(o.files, file)
	info, err := file.Stat()
	if err != nil {
		return firmware.Source{}, unusable(fmt.Errorf("open the %s: %w", what, err), "")
	}
	if !info.Mode().IsRegular() {
		return firmware.Source{}, unusable(fmt.Errorf("the %s %s is no regular file", what, path), "copy it into a file first")
	}
	return format.NewSource(file, info.Size()), nil
}

// digest is the SHA-256 of the file; empty for a folder.
func (o *opened) digest() (string, error) {
	if o.Dir != nil {
		return "", nil
	}
	src := o.Source
	if o.Artifact != nil {
		src = *o.Artifact
	}
	h := sha256.New()
	if _, err := io.Copy(h, src.Section(0, src.Size())); err != nil {
		return "", unusable(fmt.Errorf("read the image: %w", err), "")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// read returns the trust that the flags name.
func (f *imageFlags) read(now time.Time) (firmware.Trust, error) {
	anchors, err := anchorsOf(f.trust, "trust")
	if err != nil {
		return firmware.Trust{}, err
	}
	trust, err := firmware.ParseTrust(anchors...)
	if err != nil {
		return firmware.Trust{}, unusable(err, "--trust takes public keys and certificates, never a private key")
	}
	if trust.Secrets, err = anchorsOf(f.secrets, "secret"); err != nil {
		return firmware.Trust{}, err
	}
	if trust.Recipients, err = anchorsOf(f.decrypt, "decrypt"); err != nil {
		return firmware.Trust{}, err
	}
	if trust.Intermediates, err = certificatesOf(f.intermediates, "intermediate"); err != nil {
		return firmware.Trust{}, err
	}
	if f.purpose != "" && f.purpose != format.PurposeCodeSigning && f.purpose != format.PurposeEmail && f.purpose != format.PurposeAny {
		return firmware.Trust{}, unusable(fmt.Errorf("--purpose %s is not known", f.purpose), "use code-signing, email-protection or any")
	}
	trust.RequireCRLs = f.requireCRLs
	trust.Purpose, trust.Signer, trust.Issuer, trust.NoLog, trust.At = f.purpose, f.signer, f.issuer, f.noLog, now
	trust.Configuration = f.configuration
	trust.Installed = f.installed
	if f.at != "" {
		if trust.At, err = moment(f.at); err != nil {
			return firmware.Trust{}, err
		}
	}
	return trust, nil
}

func moment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, unusable(fmt.Errorf("--at %s is no time", quote(text)), "write 2026-11-25 or 2026-11-25T12:00:00Z")
}

func anchorsOf(paths []string, what string) ([]firmware.Anchor, error) {
	var list []firmware.Anchor
	for _, path := range paths {
		b, err := bounded(path, what, maxAnchor)
		if err != nil {
			return nil, err
		}
		list = append(list, firmware.Anchor{From: filepath.Base(path), Bytes: b})
	}
	return list, nil
}

func certificatesOf(paths []string, what string) (list []*x509.Certificate, err error) {
	for _, path := range paths {
		b, err := bounded(path, what, maxAnchor)
		if err != nil {
			return nil, err
		}
		before := len(list)
		for rest := b; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, unusable(fmt.Errorf("read --%s %s: %w", what, path, err), "give certificates in PEM")
			}
			list = append(list, c)
		}
		if len(list) == before {
			return nil, unusable(fmt.Errorf("read --%s %s: no PEM certificate in it", what, path), "give certificates in PEM")
		}
	}
	return list, nil
}

func bounded(path, what string, limit int64) ([]byte, error) {
	if err := readable(path, what); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, unusable(fmt.Errorf("read --%s: %w", what, err), "")
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, unusable(fmt.Errorf("read --%s: %w", what, err), "")
	}
	if int64(len(b)) > limit {
		return nil, unusable(fmt.Errorf("--%s %s is larger than %d bytes", what, path, limit), "is it the right file?")
	}
	return b, nil
}

// deviceOf reads key=value pairs: version, counter and size are every format's, part.NAME
// the version of another part, anything else what the device is in the format's own words.
func deviceOf(pairs []string) (*firmware.Device, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	d := firmware.Device{Is: map[string]string{}, Has: map[string]string{}}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" || value == "" {
			return nil, unusable(fmt.Errorf("--device %s is no key=value", quote(pair)), "e.g. --device version=1.2.0 --device counter=5")
		}
		part, isPart := strings.CutPrefix(key, "part.")
		var err error
		switch {
		case key == "version":
			d.Version = value
		case key == "counter":
			var n uint64
			n, err = strconv.ParseUint(value, 0, 64)
			d.Counter = &n
		case key == "size":
			d.Size, err = strconv.ParseInt(value, 0, 64)
		case isPart:
			d.Has[part] = value
		default:
			d.Is[key] = value
		}
		if err != nil {
			return nil, unusable(fmt.Errorf("--device %s is no number", quote(pair)), "write "+key+"=5 or "+key+"=0x8000")
		}
	}
	return &d, nil
}

func firmwareVerifyCommand() *cobra.Command {
	var f imageFlags
	var face string
	var device, keys []string
	cmd := &cobra.Command{
		Use:   "verify IMAGE --trust FILE",
		Short: "Tell whether an image is what its maker signed, and what the signature does not cover",
		Long: "verify finds the format by content, follows the signature link by link from the trust given, and tells what is covered and what is not.\n" +
			"Formats: " + formatNames() + ".\n\n" +
			"Exit codes: 0 genuine (and, with --device, one that the device may take); 1 refused, the first line says why; 2 no image of a known format, or unusable flags.",
		Args: oneArg("image"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := deviceOf(device)
			if err != nil {
				return err
			}
			f.trust = append(f.trust, keys...)
			return verifyImage(cmd.OutOrStdout(), args[0], f, d, face)
		},
	}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&keys, "key", nil, "the same as --trust")
	cmd.Flags().StringArrayVar(&device, "device", nil, "what a device knows, key=value: version, counter, size, part.NAME, or what it is in the format's own words (may be given again)")
	formatFlag(cmd, &face, "text", "json")
	return cmd
}

func formatNames() string {
	var names []string
	for _, f := range firmware.Formats() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func verifyImage(w io.Writer, path string, f imageFlags, d *firmware.Device, face string) error {
	trust, err := f.read(time.Now())
	if err != nil {
		return err
	}
	in, err := f.open(path)
	if err != nil {
		return err
	}
	defer in.close()
	v, err := verification(in, trust, d)
	if err != nil {
		return err
	}
	if face == "json" {
		err = writeJSON(w, v)
	} else {
		err = v.Text(w)
	}
	if err != nil {
		return benchFailed(fmt.Errorf("print the verification: %w", err), "is the disk full?")
	}
	if v.Refused != "" {
		return ended(exitNonConformant)
	}
	return nil
}

// verification is an error only where there is nothing to tell about.
func verification(in *opened, trust firmware.Trust, d *firmware.Device) (*image.Verification, error) {
	v := &image.Verification{File: in.path, Device: d}
	whole := make(chan error, 1)
	go func() { // the name of the file goes beside the verification: both read all of it
		var err error
		v.SHA256, err = in.digest()
		whole <- err
	}()
	err := check(v, in, trust, d)
	if digested := <-whole; digested != nil {
		return nil, digested
	}
	return v, err
}

// check fills what the formats say.
func check(v *image.Verification, in *opened, trust firmware.Trust, d *firmware.Device) error {
	img, err := firmware.OpenUnverified(in.Input)
	if errors.Is(err, firmware.ErrUnknownFormat) {
		return unusable(fmt.Errorf("image %s: %w", in.path, err), "known are "+formatNames()+"; a detached signature goes to --signature")
	}
	if err == nil {
		v.Report, err = img.Verify(trust)
	}
	if err == nil && d != nil {
		accepts := false
		v.Accepts = &accepts
		if err = img.Check(*d); errors.Is(err, firmware.ErrDevice) {
			return unusable(err, "--device wants the words of the format; the README lists them")
		}
		accepts = err == nil
	}
	if err != nil {
		v.Refused = err.Error()
	}
	return nil
}
