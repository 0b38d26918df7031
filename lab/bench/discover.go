package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"assay/lab/bench/scan"
	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/lab/capture"
	"assay/probes"
	"assay/profiles/dossier"
)

// Watching says how an unknown device is watched.
type Watching struct {
	Dir    string // where the capture is written; it exists
	File   *File  // mode gateway or attached
	Device string // gateway: its MAC address; empty: the first that asks for an address
	Host   string // attached: where it is
	For    time.Duration
	Log    func(string)
	Doing  func(string) // what goes on now
}

// Watched is what a bench saw of a device.
type Watched struct {
	MAC, Host string                // what is not known is empty
	Capture   string                // the file; empty: nothing was captured
	Scan      *probes.Scan          // nil: the ports were not scanned
	Inside    map[int]probes.Speech // what TCP ports that speak TLS speak inside of it
	Notes     []string              // what limits all this
}

// afterwards bounds the scan: the slowest takes about two minutes.
const afterwards = 5 * time.Minute

// Watch watches an unknown device for some time, then scans its ports. A context that ends while it is watched
// ends the watching early: what was seen until then is returned, without a scan.
func Watch(ctx context.Context, w Watching) (*Watched, error) {
	if w.Doing == nil {
		w.Doing = func(string) {}
	}
	file := *w.File
	b, err := newBench(file.Mode, Options{Dir: w.Dir, Dossier: &dossier.Dossier{}, File: &file, Log: w.Log})
	if err != nil {
		return nil, err
	}
	out := &Watched{Inside: map[int]probes.Speech{}}
	watch := b.watchAttached
	if file.Mode == ModeGateway {
		watch = b.watchGateway
	}
	if err = watch(ctx, w, &file, out); err == nil {
		err = b.knockAtAll(ctx, w, out)
	}
	out.Capture = b.CaptureFile
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, fmt.Errorf("watch the device: %w", err)
	}
	return out, nil
}

// watchGateway is the whole network of whatever device boots: every name leads to the bench, where nothing is
// ever answered, so that whom the device calls is seen by what it says first.
func (b *Bench) watchGateway(ctx context.Context, w Watching, file *File, out *Watched) error {
	if err := MayGateway(); err != nil {
		return err
	}
	if file.Uplink == nil {
		names := NamesFile{}
		if file.DNS != nil {
			names = *file.DNS
		}
		names.Lie, file.DNS = append(slices.Clone(names.Lie), "*"), &names
	}
	address, err := GatewayAddress(file)
	if err != nil {
		return err
	}
	if err := b.gatewayUp(ctx, Options{Dir: w.Dir, Dossier: &dossier.Dossier{}, File: file, Log: w.Log}, address, nil); err != nil {
		return err
	}
	leases := b.leased
	b.deafEars(ctx, address.Addr())
	b.knows(func() string { return out.Host })
	waiting, cancel := context.WithTimeout(ctx, w.For)
	defer cancel()
	w.Doing("waiting for a device to ask for an address on " + file.Interface + ",")
	next := b.Probes.Clock.Now().Add(holdPatience)
	for b.Probes.Clock.Wait(waiting, upInterval) == nil {
		if out.MAC != "" {
			continue
		}
		l, ok := chosen(leases.Leases(), w.Device)
		if !ok && !b.Probes.Clock.Now().Before(next) {
			if l, ok = holding(waiting, file.Interface, address, w.Device); ok {
				out.Notes = append(out.Notes, "the device asked for no address, it still holds one of an earlier run: its boot was not seen")
			}
			next = b.Probes.Clock.Now().Add(holdPatience)
		}
		if ok {
			out.MAC, out.Host = l.MAC, l.Address.String()
			w.Doing("watching " + l.MAC + " at " + out.Host + ",")
		}
	}
	var others []string
	for _, l := range leases.Leases() {
		if l.MAC != out.MAC {
			others = append(others, l.MAC)
		}
	}
	switch {
	case out.MAC == "" && ctx.Err() != nil:
		return ctx.Err()
	case out.MAC == "":
		hint := "is it plugged into " + file.Interface + " and switched on? does it use DHCP? --seconds gives it more time"
		if len(others) > 0 {
			hint = "those that did: " + strings.Join(others, ", ")
		}
		return withHint(fmt.Errorf("the device asked for no address on %s within %s: %w", file.Interface, w.For, probes.ErrBench), hint)
	case len(others) > 0:
		out.Notes = append(out.Notes, "others asked for addresses, too: "+strings.Join(others, ", ")+"; --device chooses")
	}
	return nil
}

// chosen is the device's lease: of the MAC address that was named, or the first of all.
func chosen(all []services.Lease, mac string) (services.Lease, bool) {
	if mac != "" {
		all = slices.DeleteFunc(all, func(l services.Lease) bool { return !strings.EqualFold(l.MAC, mac) })
	}
	if len(all) == 0 {
		return services.Lease{}, false
	}
	return slices.MinFunc(all, func(a, b services.Lease) int { return a.At.Compare(b.At) }), true
}

// holding finds a device that asks for nothing because it still holds the lease of an earlier run: it answers for
// the address that the first device gets.
func holding(ctx context.Context, on string, network netip.Prefix, mac string) (services.Lease, bool) {
	first, _ := leased(network)
	owners, err := segment.WhoHas(ctx, on, first, holdAnswer)
	if err != nil || len(owners) != 1 || mac != "" && !strings.EqualFold(owners[0].String(), mac) {
		return services.Lease{}, false
	}
	return services.Lease{MAC: owners[0].String(), Address: first}, true
}

// watchName is the capture of a watching on an attached bench.
const watchName = "watched.pcapng"

const (
	maxDeaf   = 64 // connections at a time
	deafTime  = 3 * time.Second
	deafBytes = 16 << 10
)

// deafEars take connections at the ports of usual clouds and answer nothing. A port that is taken is left out: a
// device that is refused there shows at least whom it called.
func (b *Bench) deafEars(ctx context.Context, at netip.Addr) {
	slots := make(chan struct{}, maxDeaf)
	for _, port := range []int{80, 443, 1883, 5671, 8080, 8443, portBroker, portHTTPS} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(at, uint16(port)).String())
		if err != nil {
			b.say("port %d is not listened at: %v", port, err)
			continue
		}
		b.onClose(l.Close)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				select {
				case slots <- struct{}{}:
					go func() { defer func() { <-slots }(); hear(c) }()
				default:
					_ = c.Close()
				}
			}
		}()
	}
}

func hear(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(Clock{}.Now().Add(deafTime))
	buf := make([]byte, 2048)
	for heard := 0; heard < deafBytes; {
		n, err := c.Read(buf)
		if heard += n; err != nil {
			return
		}
	}
}

// watchAttached watches a device that has its address already.
func (b *Bench) watchAttached(ctx context.Context, w Watching, file *File, out *Watched) error {
	up, err := liveInterface(file.Interface)
	if err != nil {
		return err
	}
	if err := routed(ctx, w.Host, up); err != nil {
		return err
	}
	at, err := lookup(ctx, w.Host)
	if err != nil {
		return fmt.Errorf("find the device %s: %w: %w", w.Host, err, probes.ErrBench)
	}
	out.Host = at.String()
	b.knows(func() string { return out.Host })
	if err := segment.CanCapture(); err != nil {
		out.Notes = append(out.Notes, "nothing was captured: this user may not (sudo setcap cap_net_raw,cap_net_admin+ep on the program)")
		return nil
	}
	if owners, err := segment.WhoHas(ctx, file.Interface, at, time.Second); err == nil && len(owners) == 1 {
		out.MAC = owners[0].String()
	}
	if err := b.capture(ctx, capture.Options{Interface: file.Interface, Path: filepath.Join(w.Dir, watchName)}); err != nil {
		return err
	}
	w.Doing("watching " + out.Host + ",")
	waiting, cancel := context.WithTimeout(ctx, w.For)
	defer cancel()
	_ = b.Probes.Clock.Wait(waiting, w.For) // an end before its time is no failure
	return nil
}

// knockAtAll scans the device's ports, and asks what those that speak TLS speak inside.
func (b *Bench) knockAtAll(ctx context.Context, w Watching, out *Watched) error {
	const without = "the watching was ended early, and the ports were not scanned: services are those that the capture shows"
	if ctx.Err() != nil {
		out.Notes = append(out.Notes, without)
		return nil
	}
	w.Doing("scanning the ports of " + out.Host + ",")
	scanning, cancel := context.WithTimeout(ctx, afterwards)
	defer cancel()
	knocks := b.knocks(newScanner(b.Mode, b.Host, &dossier.Dossier{}), w.File.Interface, out.MAC)
	s, err := knocks.Scan(scanning, probes.ScanRequest{First: 1, Last: 65535, UDP: true})
	switch {
	case ctx.Err() != nil:
		out.Notes = append(out.Notes, without)
		return nil
	case err != nil:
		return err
	case !s.Complete || !s.AliveAfter:
		out.Notes = append(out.Notes, strings.Join(append([]string{"the scan is not complete: there may be more services"}, s.Unscanned...), "; "))
	}
	out.Scan = &s
	for _, p := range s.TCP {
		if p.Speaks == probes.SpeaksTLS {
			out.Inside[p.Number] = inside(ctx, net.JoinHostPort(out.Host, strconv.Itoa(p.Number)))
		}
	}
	return nil
}

const insideTime = 3 * time.Second

// inside asks for a web page, then for a broker, over TLS; whoever answers, nobody is trusted with anything.
func inside(ctx context.Context, address string) probes.Speech {
	for _, words := range scan.Greetings() {
		ctx, cancel := context.WithTimeout(ctx, insideTime)
		heard := askInside(ctx, address, words)
		cancel()
		if s := scan.Recognise(heard); s != probes.SpeaksUnknown {
			return s
		}
	}
	return probes.SpeaksUnknown
}

func askInside(ctx context.Context, address string, words []byte) []byte {
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}} //nolint:gosec // to look at it, not to trust it
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil
	}
	defer c.Close()
	if at, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(at)
	}
	if _, err := c.Write(words); err != nil {
		return nil
	}
	heard := make([]byte, 512)
	n, _ := c.Read(heard)
	return heard[:n]
}
