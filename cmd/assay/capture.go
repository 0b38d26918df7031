package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"assay/lab/capture/analyze"
	"assay/reports/traffic"
)

func captureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "capture", Short: "Look into captures: anybody's pcap or pcapng", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(analyzeCommand())
	return cmd
}

func analyzeCommand() *cobra.Command {
	var format, out string
	var o analyze.Options
	cmd := &cobra.Command{
		Use:   "analyze FILE",
		Short: "Tell who talked to whom, what went in clear, and what encryption shows from outside",
		Long: "analyze reads a pcap or pcapng of any size (gzip too) once, in bounded memory, and tells flows, endpoints, names, services,\n" +
			"credentials in clear, TLS and DTLS handshakes, and the conversations over MQTT, CoAP, HTTP, DNS and DHCP.\n" +
			"What it had to leave out, it says. Secrets are masked unless --show-secrets asks for them.",
		Args: oneArg("capture file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return analyzeCapture(cmd.Context(), cmd.OutOrStdout(), args[0], format, out, o)
		},
	}
	formatFlag(cmd, &format, "text", "json", "html")
	cmd.Flags().StringVar(&out, "out", "", "write to this file instead of stdout")
	cmd.Flags().StringVar(&o.Device, "device", "", "look only at frames of this MAC or IP address")
	cmd.Flags().BoolVar(&o.ShowSecrets, "show-secrets", false, "tell secrets found in clear whole, not masked")
	return cmd
}

func analyzeCapture(ctx context.Context, w io.Writer, path, format, out string, o analyze.Options) error {
	if err := readable(path, "capture"); err != nil {
		return err
	}
	if same(path, out) {
		return unusable(fmt.Errorf("write the analysis: %s is the capture itself", out), "choose another file with --out")
	}
	p := newProgress(os.Stderr, !terminal(os.Stderr), false)
	o.Progress = drawRead(p, path)
	a, err := analyze.File(ctx, path, o)
	p.end()
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return unusable(fmt.Errorf("analyze the capture: %w", err), "it must be a pcap or pcapng file, gzip or not; --device takes a MAC or an IP address")
	}
	if out != "" {
		f, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return unusable(fmt.Errorf("write the analysis: %w", err), "choose a writable file with --out")
		}
		defer f.Close()
		w = f
	}
	if err := trafficFace(w, a, format); err != nil {
		return benchFailed(fmt.Errorf("print the analysis: %w", err), "is the disk full?")
	}
	return nil
}

// same tells whether two paths are one file.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func trafficFace(w io.Writer, a *analyze.Analysis, format string) error {
	switch format {
	case "json":
		return writeJSON(w, a)
	case "html":
		return traffic.HTML(w, a)
	}
	return traffic.Text(w, a)
}

// drawRead draws how much of a file is read.
func drawRead(p *progress, path string) func(int64) {
	size := int64(1)
	if info, err := os.Stat(path); err == nil {
		size = max(1, info.Size())
	}
	return func(read int64) {
		if share := 100 * read / size; share <= 100 {
			p.doing("%s: %d %% read,", path, share)
			return
		}
		p.doing("%s: %d MB read,", path, read>>20) // unpacked
	}
}
