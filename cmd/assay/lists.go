package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"assay/probes"
	"assay/probes/catalog"
)

// formatFlag adds --format with the given choices, the first one the default.
func formatFlag(cmd *cobra.Command, into *string, choices ...string) {
	cmd.Flags().StringVar(into, "format", choices[0], "output: "+strings.Join(choices, " or "))
	old := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		for _, c := range choices {
			if *into == c {
				if old != nil {
					return old(cmd, args)
				}
				return nil
			}
		}
		return unusable(fmt.Errorf("--format %s is not known here", *into), "use "+strings.Join(choices, " or "))
	}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func probesCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "probes", Short: "List the questions assay can ask", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listProbes(cmd.OutOrStdout(), format)
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func listProbes(w io.Writer, format string) error {
	type row struct {
		Name       string       `json:"name"`
		Version    string       `json:"version"`
		Asks       string       `json:"asks"`
		Touch      probes.Touch `json:"touch"`
		Needs      []string     `json:"needs"`
		Parameters any          `json:"parameters"`
	}
	var rows []row
	for _, k := range catalog.All() {
		r := row{Name: k.Name, Version: k.Version, Asks: k.Asks, Touch: k.Touch, Parameters: k.New()}
		for _, n := range k.Needs {
			r.Needs = append(r.Needs, string(n.Instrument)+n.Operation)
		}
		rows = append(rows, r)
	}
	if format == "json" {
		return writeJSON(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		parameters, err := json.Marshal(r.Parameters)
		if err != nil {
			return fmt.Errorf("list the parameters of %s: %w", r.Name, err)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n\t\tneeds %s; parameters %s\n", r.Name, r.Touch, r.Asks, strings.Join(r.Needs, ", "), parameters)
	}
	return t.Flush()
}
