package main

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"assay/reports"
	"assay/reports/show"
)

func showCommand() *cobra.Command {
	var format string
	var packets int
	var frame uint64
	cmd := &cobra.Command{
		Use:   "show EVIDENCE OBSERVATION|REQUIREMENT|UNIT|CHECK",
		Short: "Follow a verdict to its observation, frames and bytes",
		Long: "show prints one observation decoded (what was asked, the facts, how each condition came out, all attempts, the frames), or a\n" +
			"requirement with its units, checks and reviews and where each is anchored. --bytes prints one frame of the observation's capture as it\n" +
			"was on the wire, with whatever the device sent in clear. It checks no seal: that is `assay verify`.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return unusable(errors.New("`"+cmd.CommandPath()+"` takes a sealed file or run folder, and what to show of it"), "e.g. o-001, 5.1-1, or a check's id; `assay report` names them")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return showOne(cmd, args[0], args[1], format, packets, frame)
		},
	}
	cmd.Flags().IntVar(&packets, "packets", 20, "decode at most this many frames")
	cmd.Flags().Uint64Var(&frame, "bytes", 0, "print all bytes of this frame, by its number in the capture that the observation cites")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// mostPackets bounds what is decoded at once.
const mostPackets = 100000

func showOne(cmd *cobra.Command, path, id, format string, packets int, frame uint64) error {
	if packets < 0 || packets > mostPackets {
		return unusable(fmt.Errorf("--packets %d is out of range", packets), fmt.Sprintf("0 to %d", mostPackets))
	}
	ev, err := recorded(path)
	if err != nil {
		return err
	}
	r, err := reports.Build(ev)
	if err != nil {
		return unjudged(err)
	}
	a, err := show.Find(r, id, packets)
	if err != nil {
		return unusable(err, "`assay report "+path+" --format json` has every id")
	}
	w := cmd.OutOrStdout()
	if cmd.Flags().Changed("bytes") {
		b, err := frameOf(r, a, frame)
		if err != nil {
			return err
		}
		if format == "json" {
			return writeJSON(w, map[string]any{"file": a.Observation.Frames.File, "frame": frame, "bytes": hex.EncodeToString(b)})
		}
		return show.Hex(w, b)
	}
	if format == "json" {
		return writeJSON(w, a)
	}
	return a.Text(w)
}

// frameOf reads one frame of the capture that an observation cites.
func frameOf(r *reports.Report, a *show.Answer, number uint64) ([]byte, error) {
	if a.Observation == nil || a.Observation.Frames == nil {
		return nil, unusable(errors.New("--bytes wants an observation that cites frames"), "show the requirement or check first: it names its observation")
	}
	f := a.Observation.Frames
	b, err := r.FrameBytes(f.File, number)
	switch {
	case errors.Is(err, reports.ErrNoFrame):
		return nil, unusable(err, fmt.Sprintf("%s cites the frames %d to %d", a.Observation.ID, f.First, f.Last))
	case err != nil:
		return nil, unverified(err, "`assay verify` tells what is broken")
	}
	return b, nil
}
