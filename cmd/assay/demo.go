package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/lab/refdevice"
)

// maxUnits is how many units of a batch fit on the private bench at once.
const maxUnits = 8

// deviceFolder is where in a run's folder its reference device lives, as long as the run does.
const deviceFolder = "device"

// demoFlags are demo's own, beside those of every run.
type demoFlags struct {
	runFlags
	units   int
	flaws   []string
	list    bool
	reduced bool
}

func demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Test a reference device on a private bench: no root, no hardware",
		Long: "demo builds a private bench (its own network namespace, bridge, DHCP, DNS, NTP, MQTT broker, update server, capture),\n" +
			"boots a reference thermostat on it, takes it through a profile and seals the evidence. Where namespaces are forbidden it\n" +
			"falls back to a reduced bench on loopback, says what is missing, and leaves what it cannot observe inconclusive.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return listFlaws(cmd.OutOrStdout())
			}
			return demo(cmd, f)
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&f.units, "units", 1, "how many units of the batch are tested, on one segment; of the others only the label is known")
	cmd.Flags().StringSliceVar(&f.flaws, "flaws", nil, "boot a device with these flaws, separated by commas")
	cmd.Flags().BoolVar(&f.list, "list-flaws", false, "list the flaws a device can have")
	cmd.Flags().BoolVar(&f.reduced, "reduced", false, "use the reduced bench on loopback even where the full one is possible")
	return cmd
}

func listFlaws(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, f := range refdevice.Flaws() {
		fmt.Fprintf(t, "%s\t%s\n", f.Name, f.Explains)
	}
	return t.Flush()
}

// checkFlaws refuses a flaw nobody knows before anything is built.
func checkFlaws(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(refdevice.Flaws(), func(f refdevice.Flaw) bool { return string(f.Name) == name }) {
			return unusable(fmt.Errorf("no flaw is called %q", name), "`assay demo --list-flaws` lists them")
		}
	}
	return nil
}

// demo runs outside first, where it only finds out what this machine allows, and then
// inside new namespaces, where the same command is the bench.
func demo(cmd *cobra.Command, f demoFlags) error {
	if err := checkFlaws(f.flaws); err != nil {
		return err
	}
	if err := f.stamp.check(); err != nil {
		return err
	}
	if f.units < 1 || f.units > maxUnits {
		return unusable(fmt.Errorf("--units is %d", f.units), fmt.Sprintf("give a number from 1 to %d", maxUnits))
	}
	if bench.Inside() {
		return demoOn(cmd, f, nil)
	}
	var why error
	if !f.reduced {
		if why = bench.Preflight(cmd.Context()); why == nil {
			return demoInside(cmd, f)
		}
	}
	return demoOn(cmd, f, why)
}

// demoInside has the same command be the bench in namespaces of its own, and does what needs the network out here.
func demoInside(cmd *cobra.Command, f demoFlags) error {
	if err := f.keyless.check(f.key, f.stamp); err != nil {
		return err
	}
	env, left, err := f.keyless.outside()
	if err != nil {
		return err
	}
	before := sealedBelow(f.out)
	code, err := bench.Enter(cmd.Context(), os.Args[1:], env)
	if err != nil {
		return benchFailed(fmt.Errorf("enter the bench's namespaces: %w", err), "")
	}
	if code >= 128 {
		return benchFailed(fmt.Errorf("the bench's process was ended by signal %d", code-128),
			"what was observed so far is in the newest folder in "+f.out+", and `assay verify` reads it")
	}
	if left != "" {
		return f.keyless.sealLeft(cmd, left, code, resumeFlags{format: f.format, quiet: f.quiet, verbose: f.verbose, stamp: f.stamp})
	}
	p := newProgress(os.Stderr, f.quiet, f.verbose)
	defer p.end()
	if err := f.stamp.stampNew(context.WithoutCancel(cmd.Context()), p, f.out, before); err != nil {
		return err
	}
	return ended(code)
}

// demoOn makes a product and tests its first unit on the bench that is possible here.
func demoOn(cmd *cobra.Command, f demoFlags, why error) error {
	p := newProgress(os.Stderr, f.quiet, f.verbose)
	defer p.end()
	reduced := !bench.Inside()
	if reduced && f.units > 1 {
		return benchFailed(errors.Join(errors.New("several units need a segment of their own, and this is the reduced bench"), why), "leave --units out, or: "+hintOf(why))
	}
	if reduced {
		sayReduced(p, why)
	}
	key, err := f.keyless.signer(cmd.Context(), f.key, f.stamp)
	if err != nil {
		return err
	}
	var ids []string
	for n := range f.units {
		ids = append(ids, fmt.Sprintf("unit-%d", n+1))
	}
	s, err := newSession(refdevice.Model, strings.Join(ids, "-"), f.out, key, p)
	if err != nil {
		return err
	}
	// The device lives below the run's folder, so that a run that is killed leaves nothing elsewhere.
	place := filepath.Join(s.dir, deviceFolder)
	defer os.RemoveAll(place)
	p.doing("manufacturing a thermostat")
	product, err := manufacture(place, f.units, f.flaws, reduced)
	if err != nil {
		s.discard()
		return benchFailed(err, "is the disk full?")
	}
	if s.in, err = readInputs(product.Dossier, f.profile, "", strings.Join(ids, ",")); err != nil {
		s.discard()
		return err
	}
	if err := s.example(product); err != nil {
		s.discard()
		return benchFailed(err, "is the disk full?")
	}
	s.stamps = f.stamp
	s.note = deviceNote(f.flaws)
	mode, put := bench.ModeReference, bench.Reference
	if reduced {
		mode, put = bench.ModeReduced, bench.Reduced
	}
	has, missing := bench.OffersAll(mode, nil, s.in.dossier, s.in.units())
	r, err := s.conduct(cmd.Context(), offer{has, missing}, func(ctx context.Context, o bench.Options) (*bench.Bench, error) {
		u := product.Units[slices.IndexFunc(product.Units, func(u refdevice.Unit) bool { return u.ID == o.Unit })]
		o.Device = simulated(u.Config, u.Flash, u.MAC)
		return put(ctx, o)
	})
	p.end()
	if errors.Is(err, errOutside) {
		return s.leave()
	}
	if err != nil {
		return err
	}
	return s.tell(cmd.OutOrStdout(), p.w, r, f.format)
}

// simulated is the reference device with that configuration and flash.
func simulated(config, flash, mac string) *bench.Simulated {
	return &bench.Simulated{Config: config, Flash: flash, MAC: mac, Delivered: flash + ".delivered", Args: []string{refdeviceVerb, "--config", config}}
}

// manufacture makes the thermostat, its dossier and its images.
func manufacture(dir string, units int, flaws []string, reduced bool) (*refdevice.Product, error) {
	o := refdevice.ManufactureOptions{Units: max(2, units), Flaws: flaws, Now: time.Now()}
	if reduced {
		var err error
		if o, err = bench.Loopback(o); err != nil {
			return nil, fmt.Errorf("find free ports on loopback: %w", err)
		}
	}
	product, err := refdevice.Manufacture(dir, o)
	if err != nil {
		return nil, fmt.Errorf("manufacture the reference device: %w", err)
	}
	return product, nil
}

// example leaves beside the run what its maker handed over, for somebody to write their own after and for
// `assay plan` and `assay review` to be tried on: the dossier with its remarks, images and keys, but
// nothing of what the labels say.
func (s *session) example(p *refdevice.Product) error {
	const label = "on-the-label"
	dir := filepath.Join(s.dir, "example")
	b, err := os.ReadFile(p.Dossier)
	if err != nil {
		return fmt.Errorf("read the device's dossier: %w", err)
	}
	text := string(b)
	for _, u := range s.in.dossier.Units {
		for _, l := range u.Logins {
			text = strings.ReplaceAll(text, l.Password.Reveal(), label)
		}
	}
	labels, err := filepath.Glob(filepath.Join(p.Dir, "units", "*", "label", "*"))
	if err != nil {
		return fmt.Errorf("find the labels: %w", err)
	}
	advisories, err := filepath.Glob(filepath.Join(p.Dir, "advisories", "*"))
	if err != nil {
		return fmt.Errorf("find the advisories: %w", err)
	}
	files := map[string][]byte{p.Dossier: []byte(text)}
	for _, name := range labels {
		files[name] = []byte(label + "\n")
	}
	for _, name := range append(advisories, p.FirmwarePublic, p.Root, p.RootKey, p.CloudCert, p.CloudKey) {
		files[name] = nil
	}
	for _, image := range p.Images {
		files[image.File] = nil
	}
	for from, b := range files {
		if b == nil {
			if b, err = os.ReadFile(from); err != nil {
				return fmt.Errorf("leave an example: %w", err)
			}
		}
		rel, err := filepath.Rel(p.Dir, from)
		if err == nil {
			to := filepath.Join(dir, rel)
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o644))
		}
		if err != nil {
			return fmt.Errorf("leave an example: %w", err)
		}
	}
	return nil
}

func deviceNote(flaws []string) string {
	if len(flaws) == 0 {
		return "The unit is assay's own reference device, without any flaw switched on."
	}
	return "The unit is assay's own reference device, with these flaws switched on: " + strings.Join(flaws, ", ") + "."
}

// sayReduced tells before the run what a reduced bench cannot see.
func sayReduced(p *progress, why error) {
	p.say("REDUCED BENCH on loopback: no segment of our own, no capture, no DHCP; what cannot be observed stays inconclusive.")
	if why == nil {
		p.say("  it was asked for with --reduced; without it, demo tries the full bench.")
		return
	}
	p.say("  why: %v", why)
	if hint := hintOf(why); hint != "" {
		p.say("  for the full bench: %s", hint)
	}
}
