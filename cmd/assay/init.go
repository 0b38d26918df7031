package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"assay/profiles/dossier"
)

// mostNotes is how many places that a dossier leaves open are named one by one.
const mostNotes = 12

func initCommand() *cobra.Command {
	var out string
	var schema, watch bool
	var d discovery
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a dossier to fill in, or the JSON Schema for editors",
		Long: "init writes a commented dossier: every section, every IXIT table of TS 103 701 with its fields and what each is for.\n" +
			"`" + dossier.Placeholder + "` stands where the maker has to write; `assay plan` names what is left. An existing file is never overwritten.\n\n" +
			"With --schema it prints the JSON Schema of dossiers, or writes it to --out: the first line of a new dossier\n" +
			"names " + dossier.SchemaFile + ", so that an editor with a YAML language server completes and explains the keys.\n\n" +
			"With --discover it watches a device, on a bench (--bench) or in a capture (--capture), and drafts what it saw into the dossier:\n" +
			"services, hosts, protocols, TLS. Each value is marked `# guess`, and none counts as declared before its row is described.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen := cmd.Flags().Changed("out")
			if chosen && out == "" {
				return unusable(errors.New("--out is empty"), "name a file")
			}
			if watch && !schema {
				return discoverDossier(cmd, d, out)
			}
			for _, name := range []string{"bench", "capture", "device", "host", "seconds", "discover"} {
				if cmd.Flags().Changed(name) {
					return unusable(fmt.Errorf("--%s does not go with this", name), "--discover takes --bench or --capture, and no --schema")
				}
			}
			if schema {
				b, err := dossier.Schema()
				switch {
				case err != nil:
					return fmt.Errorf("make the schema: %w", err)
				case !chosen:
					_, err = cmd.OutOrStdout().Write(b)
					return err
				}
				return writeNamed(cmd.OutOrStdout(), out, b)
			}
			b, err := dossier.Template()
			if err != nil {
				return fmt.Errorf("make a dossier: %w", err)
			}
			return writeNamed(cmd.OutOrStdout(), out, b)
		},
	}
	cmd.Flags().StringVar(&out, "out", "dossier.yaml", "file to write")
	cmd.Flags().BoolVar(&schema, "schema", false, "the JSON Schema instead; on stdout unless --out names a file")
	cmd.Flags().BoolVar(&watch, "discover", false, "draft it from what is seen of a device; needs --bench or --capture")
	d.flags(cmd)
	return cmd
}

// writeNamed writes a file that must be new, and says its name.
func writeNamed(w io.Writer, path string, b []byte) error {
	if err := writeNew(path, b, 0o600, "it is never overwritten: choose another name with --out"); err != nil { // a dossier will hold secrets
		return err
	}
	_, err := fmt.Fprintln(w, path)
	return err
}

// sayNotes tells what a dossier leaves open.
func sayNotes(w io.Writer, d *dossier.Dossier) {
	notes := d.Notes()
	for i, n := range notes {
		if i == mostNotes {
			fmt.Fprintf(w, "%s: and %d more places like these\n", d.Source, len(notes)-i)
			return
		}
		fmt.Fprintln(w, n)
	}
}
