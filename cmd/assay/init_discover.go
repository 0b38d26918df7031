package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/lab/capture/analyze"
	"assay/lab/discover"
	"assay/profiles/dossier"
)

// discovery is what `init --discover` was asked for.
type discovery struct {
	bench, capture, device, host string
	seconds                      int
}

const maxWatch = 24 * 3600

func (d *discovery) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.bench, "bench", "", "with --discover: watch a device on this bench (gateway, or attached with --host)")
	f.StringVar(&d.capture, "capture", "", "with --discover: a pcap or pcapng that was recorded elsewhere")
	f.StringVar(&d.device, "device", "", "with --discover: which device, by MAC address (in a capture by IP address, too)")
	f.StringVar(&d.host, "host", "", "with --discover and an attached bench: where the device is")
	f.IntVar(&d.seconds, "seconds", 120, "with --discover and --bench: how long to watch before the ports are scanned; Ctrl-C ends it early")
}

func (d *discovery) check() error {
	switch {
	case (d.bench == "") == (d.capture == ""):
		return unusable(errors.New("--discover needs either --bench or --capture"), "--bench BENCH.yaml watches a device boot, --capture FILE reads what was recorded elsewhere")
	case d.seconds < 1 || d.seconds > maxWatch:
		return unusable(fmt.Errorf("--seconds is %d", d.seconds), fmt.Sprintf("want 1 to %d", maxWatch))
	case d.bench != "" && d.device != "" && !isMAC(d.device):
		return unusable(fmt.Errorf("--device %q is no MAC address", d.device), "write it like 02:00:5e:00:53:01")
	case d.host != "" && d.bench == "":
		return unusable(errors.New("--host belongs to an attached bench"), "a capture's device is named with --device")
	}
	return nil
}

// discoverDossier drafts a dossier from what is seen of a device.
func discoverDossier(cmd *cobra.Command, d discovery, out string) error {
	if err := d.check(); err != nil {
		return err
	}
	if _, err := os.Lstat(out); err == nil {
		return unusable(fmt.Errorf("%s exists", out), "it is never overwritten: choose another name with --out")
	}
	p := newProgress(os.Stderr, false, false)
	defer p.end()
	// Ctrl-C ends the watching; what was seen is still read and written.
	lasting := context.WithoutCancel(cmd.Context())
	o := discover.Observation{Host: d.host}
	if d.capture == "" {
		w, file, err := watchDevice(cmd.Context(), p, d, out)
		if err != nil {
			return err
		}
		o.MAC, o.Host, o.Scan, o.Inside, o.Notes = w.MAC, w.Host, w.Scan, w.Inside, w.Notes
		d.capture = file
	} else {
		lasting = cmd.Context()
	}
	if d.capture != "" {
		if err := readTraffic(lasting, p, d, &o); err != nil {
			return err
		}
	}
	o.Made.At, o.Made.Tool = time.Now(), "assay "+version()
	b, err := discover.Draft(o)
	if err != nil {
		return err
	}
	p.end()
	if err := writeNamed(cmd.OutOrStdout(), out, b); err != nil {
		return err
	}
	return sayDraft(cmd.ErrOrStderr(), out, b)
}

func isMAC(text string) bool {
	mac, err := net.ParseMAC(text)
	return err == nil && len(mac) == 6
}

// sayDraft tells what comes next.
func sayDraft(w io.Writer, out string, b []byte) error {
	d, err := dossier.Parse(out, b, filepath.Dir(out))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d guesses, %d places to fill in: `assay plan %s` names them\n", strings.Count(string(b), "# guess: "), len(d.Notes()), out)
	return nil
}

// watchDevice watches on a bench. The capture stays beside the dossier: guesses point at its frames.
func watchDevice(ctx context.Context, p *progress, d discovery, out string) (*bench.Watched, string, error) {
	file, err := bench.ReadFile(d.bench)
	if err != nil {
		return nil, "", unusable(err, hintOf(err))
	}
	switch {
	case file.Mode == bench.ModeOffline:
		return nil, "", unusable(fmt.Errorf("%s: mode offline has no device to watch", d.bench), "give the capture with --capture")
	case file.Mode == bench.ModeAttached && d.host == "":
		return nil, "", unusable(errors.New("an attached bench does not know where the device is"), "name its address with --host")
	case file.Mode == bench.ModeGateway && d.host != "":
		return nil, "", unusable(errors.New("--host belongs to an attached bench"), "a gateway leases the address itself; --device names a MAC address")
	}
	kept := strings.TrimSuffix(out, filepath.Ext(out)) + ".pcapng"
	if _, err := os.Lstat(kept); err == nil {
		return nil, "", unusable(fmt.Errorf("%s exists, where the capture would go", kept), "it is never overwritten: choose another name with --out")
	}
	dir, err := os.MkdirTemp(filepath.Dir(out), ".assay-discover-")
	if err != nil {
		return nil, "", unusable(fmt.Errorf("make a folder beside %s: %w", out, err), "choose a writable folder with --out")
	}
	defer os.RemoveAll(dir)
	if file.Mode == bench.ModeGateway {
		p.say("the bench takes %s as its own: switch the device off and on again now; it is watched for %d s, then its ports are scanned", file.Interface, d.seconds)
	}
	w, err := bench.Watch(ctx, bench.Watching{
		Dir: dir, File: file, Device: d.device, Host: d.host, For: time.Duration(d.seconds) * time.Second,
		Log: p.story, Doing: func(what string) {
			if !p.live { // a moving line is drawn only where somebody looks
				p.say("%s", strings.TrimSuffix(what, ","))
			}
			p.doing("%s", what)
		},
	})
	switch {
	case errors.Is(err, context.Canceled):
		return nil, "", fmt.Errorf("nothing was seen yet: %w", err)
	case errors.Is(err, bench.ErrInput):
		return nil, "", unusable(err, hintOf(err))
	case err != nil:
		return nil, "", benchFailed(err, hintOf(err))
	case w.Capture == "":
		return w, "", nil
	}
	if err := os.Rename(w.Capture, kept); err != nil {
		return nil, "", benchFailed(fmt.Errorf("keep the capture: %w", err), "is the folder of "+out+" writable?")
	}
	p.say("%s", kept)
	return w, kept, nil
}

// readTraffic analyzes the device's frames of a capture, of which it must find the device first where nobody named it.
func readTraffic(ctx context.Context, p *progress, d discovery, o *discover.Observation) error {
	if err := readable(d.capture, "capture"); err != nil {
		return err
	}
	read := func(device string) (*analyze.Analysis, error) {
		a, err := analyze.File(ctx, d.capture, analyze.Options{Device: device, Progress: drawRead(p, d.capture)})
		if err != nil && ctx.Err() == nil {
			err = unusable(fmt.Errorf("analyze the capture: %w", err), "it must be a pcap or pcapng file, gzip or not; --device takes a MAC or an IP address")
		}
		return a, err
	}
	all, err := read("")
	if err != nil {
		return err
	}
	if o.MAC == "" && o.Host == "" {
		if o.MAC, o.Host, err = theDevice(all, d.device); err != nil {
			return err
		}
	}
	device := o.MAC
	if device == "" {
		device = o.Host
	}
	a, err := read(device)
	if err != nil {
		return err
	}
	if a.Capture.Selected == 0 {
		return unusable(fmt.Errorf("%s has no frame of %s", d.capture, device), "`assay capture analyze` lists who is in it")
	}
	a.DHCP = all.DHCP // servers answer by broadcast, which is no frame of the device
	o.Traffic, o.Notes = a, append(o.Notes, a.Notes...)
	o.Made.Capture = filepath.Base(d.capture)
	o.Made.Digest, err = digest(d.capture)
	return err
}

// theDevice finds a device in a capture: by its MAC or IP address, or the only one that asked for an address.
func theDevice(a *analyze.Analysis, named string) (mac, host string, err error) {
	if at, perr := netip.ParseAddr(named); perr == nil {
		return macOf(a, at.Unmap().String()), at.Unmap().String(), nil
	}
	if named != "" {
		return strings.ToLower(named), "", nil
	}
	var asked []string
	for _, c := range a.DHCP {
		asked = append(asked, c.MAC)
	}
	if len(asked) == 1 {
		return asked[0], "", nil
	}
	hint := "name it with --device MAC or --device IP; `assay capture analyze` lists who is in it"
	if len(asked) > 1 {
		hint = "name one with --device: " + strings.Join(asked[:min(len(asked), 12)], ", ")
	}
	return "", "", unusable(fmt.Errorf("which device? %d in the capture asked for an address", len(asked)), hint)
}

// macOf finds the MAC address behind an address; empty where it is not the address's alone, as a router's.
func macOf(a *analyze.Analysis, address string) string {
	i := slices.IndexFunc(a.Endpoints, func(e analyze.Endpoint) bool { return e.Address == address })
	if i < 0 || len(a.Endpoints[i].MACs) != 1 {
		return ""
	}
	mac := a.Endpoints[i].MACs[0]
	for _, e := range a.Endpoints {
		if at, err := netip.ParseAddr(e.Address); err == nil && at.Is4() && !at.IsUnspecified() && e.Address != address && slices.Contains(e.MACs, mac) {
			return ""
		}
	}
	return mac
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", unusable(fmt.Errorf("read the capture: %w", err), "is it still there?")
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", unusable(fmt.Errorf("read the capture: %w", err), "is the disk well?")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
