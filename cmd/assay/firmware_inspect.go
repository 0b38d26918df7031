package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/spf13/cobra"

	"assay/firmware/inspect"
)

// inspectFlags are what an inspection is told beside the image.
type inspectFlags struct {
	vulnerabilities string
	words           string
	at              string
	sbom            string
	face            string
	limits          inspect.Limits
}

func firmwareInspectCommand() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Take an image apart and tell what is inside",
		Long: "inspect unpacks nested containers and file systems in bounded memory and tells the software, known vulnerabilities, keys and tokens,\n" +
			"accounts with known passwords, hardening of programs, kernel configuration and certificates. It runs nothing of the image, tells no secret,\n" +
			"and names what it could not look into. Known vulnerabilities come from a folder of OSV and CSAF-VEX files that you bring: without one they are NOT CHECKED.\n\n" +
			"Exit codes: 0 the inventory is told, whatever it holds; 2 no image, or unusable flags; 3 a part of the image was not looked into.",
		Args: oneArg("image"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inspectImage(cmd.Context(), cmd.OutOrStdout(), args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.vulnerabilities, "vulnerabilities", "", "folder of OSV entries and CSAF-VEX documents (JSON), dated and hashed in the result")
	cmd.Flags().StringVar(&f.words, "words", "", "file with passwords, one a line, that are tried on password hashes beside the built-in ones")
	cmd.Flags().StringVar(&f.at, "at", "", "time at which certificates must be valid, e.g. 2026-11-25 or RFC 3339 (default now)")
	cmd.Flags().StringVar(&f.sbom, "sbom", "", "write the software as CycloneDX JSON to this file")
	cmd.Flags().IntVar(&f.limits.Depth, "max-depth", 0, "containers inside each other (default 12)")
	cmd.Flags().IntVar(&f.limits.Files, "max-files", 0, "entries of all containers (default 500000)")
	cmd.Flags().Int64Var(&f.limits.Total, "max-bytes", 0, "unpacked bytes of all files (default 8 GiB)")
	formatFlag(cmd, &f.face, "text", "json", "cyclonedx")
	return cmd
}

func inspectImage(ctx context.Context, w io.Writer, path string, f inspectFlags) error {
	o, err := f.options(time.Now())
	if err != nil {
		return err
	}
	var none imageFlags
	in, err := none.open(path)
	if err != nil {
		return err
	}
	defer in.close()
	if in.Dir != nil {
		return unusable(fmt.Errorf("image %s is a folder", path), "name the image, a file")
	}
	if in.Size() == 0 {
		return unusable(fmt.Errorf("image %s is empty", path), "is it the right file?")
	}
	p := newProgress(os.Stderr, !terminal(os.Stderr), false)
	p.doing("taking %s apart", path)
	inv, err := inspect.Image(ctx, in.Source, o)
	p.end()
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return benchFailed(err, "is the image or the folder of vulnerabilities readable, and is there room in the temporary folder?")
	}
	if err := f.tell(w, inv); err != nil {
		return err
	}
	if !inv.Complete {
		return ended(exitIncomplete)
	}
	return nil
}

func (f *inspectFlags) options(now time.Time) (inspect.Options, error) {
	o := inspect.Options{At: now, Limits: f.limits}
	if f.limits.Depth < 0 || f.limits.Files < 0 || f.limits.Total < 0 {
		return o, unusable(errors.New("a limit is negative"), "leave it out for the default")
	}
	var err error
	if f.at != "" {
		if o.At, err = moment(f.at); err != nil {
			return o, err
		}
	}
	if f.words != "" {
		b, err := bounded(f.words, "words", maxAnchor)
		if err != nil {
			return o, err
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			if word := strings.TrimRight(s.Text(), "\r"); word != "" {
				o.Passwords = append(o.Passwords, word)
			}
		}
	}
	if f.vulnerabilities == "" {
		return o, nil
	}
	o.Snapshot, err = folder(f.vulnerabilities)
	o.SnapshotName = f.vulnerabilities
	return o, err
}

func folder(path string) (fs.FS, error) {
	if err := readable(path, "folder of vulnerabilities"); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return nil, unusable(fmt.Errorf("--vulnerabilities %s is no folder", path), "unpack the snapshot into a folder")
	}
	return os.DirFS(path), nil
}

// tell prints the inventory, and writes its software where that was asked.
func (f *inspectFlags) tell(w io.Writer, inv *inspect.Inventory) error {
	if f.sbom != "" {
		var b bytes.Buffer
		if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).Encode(inv.BOM()); err != nil {
			return fmt.Errorf("encode the software: %w", err)
		}
		if err := os.WriteFile(f.sbom, b.Bytes(), 0o644); err != nil {
			return unusable(fmt.Errorf("write the software: %w", err), "choose a writable file with --sbom")
		}
	}
	var err error
	switch f.face {
	case "json":
		err = writeJSON(w, inv)
	case "cyclonedx":
		err = cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).Encode(inv.BOM())
	default:
		err = inv.WriteText(w)
	}
	if err != nil {
		return benchFailed(fmt.Errorf("print the inventory: %w", err), "is the disk full?")
	}
	return nil
}
