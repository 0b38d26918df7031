package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assay/lab/bench/segment"
	"assay/probes"
	"assay/profiles/dossier"
)

// Attached builds a bench around a device that already has its address on a network that the lab
// does not own. It checks before anything is asked that the interface is up and the device answers.
func Attached(ctx context.Context, o Options) (*Bench, error) {
	return around(ctx, ModeAttached, o, (*Bench).attached)
}

func (b *Bench) attached(ctx context.Context, o Options) error {
	unit, err := unitOf(o.Dossier, o.Unit)
	if err != nil {
		return err
	}
	if unit.Host == "" {
		return withHint(unusable(fmt.Errorf("dossier: unit %s has no host", unit.ID)),
			"give the unit its address: `host: 192.0.2.50`")
	}
	b.knows(func() string { return unit.Host })
	o.File = o.File.of(unit.ID, o.Beside != nil)
	up, err := liveInterface(o.File.Interface)
	if err != nil {
		return err
	}
	if err := routed(ctx, unit.Host, up); err != nil {
		return err
	}
	b.description.Interfaces = []segment.Interface{{Name: up.Name, MAC: up.HardwareAddr.String(), Address: addresses(up)}}
	if err := b.watch(ctx, o, unit); err != nil {
		return err
	}
	s, address, err := b.serveAttached(ctx, o)
	if err != nil {
		return err
	}
	b.description.Device = "at " + unit.Host + ", on a network that the bench does not own"
	b.unit(unit)
	button, err := b.instruments(ctx, o)
	if err != nil {
		return err
	}
	if err := b.drive(o, address, s, button); err != nil {
		return err
	}
	b.pressed = button != nil
	b.flashed(o.File.Flash, o.File.Dir)
	b.restore = b.restoreByStrategy
	if why := b.stays(); why != "" {
		b.say("between steps the device stays as it is: %s", why)
	}
	if err := b.reachable(ctx, unit.Host); err != nil {
		return err
	}
	return b.identify(ctx, o.File.Interface, o.Dossier, unit, true)
}

// watch captures where this user may; where not, that is already among what is missing.
func (b *Bench) watch(ctx context.Context, o Options, unit dossier.Unit) error {
	if segment.CanCapture() != nil {
		return nil
	}
	var mac net.HardwareAddr
	if unit.MAC != "" {
		var err error
		if mac, err = net.ParseMAC(unit.MAC); err != nil {
			return unusable(fmt.Errorf("dossier: unit %s: mac: %w", unit.ID, err))
		}
	}
	c, err := b.capturing(o, mac)
	if err != nil {
		return err
	}
	return b.capture(ctx, c)
}

// serveAttached starts what bench.yaml lets the bench serve, and tells the bench's address.
func (b *Bench) serveAttached(ctx context.Context, o Options) (*servers, string, error) {
	if first := o.Beside; first != nil {
		b.provide(first.serves, o.Unit)
		return first.serves, first.address, nil
	}
	b.serves = &servers{}
	f := o.File.Serve
	if f == nil {
		return b.serves, "", nil
	}
	address, err := netip.ParseAddr(f.Address)
	if err != nil {
		return nil, "", unusable(fmt.Errorf("%s: serve.address: %w", o.File.Name, err))
	}
	s, err := serve(ctx, o.Dossier, serving{
		address: address, broker: f.Broker, updates: f.Updates, log: o.Log, keys: b.keys, callers: b.callers(ctx, o, "", ""),
	})
	if err != nil {
		return nil, "", withHint(err, "serve.address must be an address of this machine, and its ports free: ip addr show "+o.File.Interface)
	}
	b.onClose(s.close)
	b.provide(s, o.Unit)
	b.serves, b.address = s, address.String()
	return s, b.address, nil
}

func storage(f *Storage, dir string) probes.Flash {
	if len(f.Command) > 0 {
		return flashCommand{command{f.Command, dir}}
	}
	if filepath.IsAbs(f.File) {
		return flashFile{f.File}
	}
	return flashFile{filepath.Join(dir, f.File)}
}

// liveInterface finds a network interface that is up.
func liveInterface(name string) (*net.Interface, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, noInterface(name)
	}
	if i.Flags&net.FlagUp == 0 {
		return nil, withHint(fmt.Errorf("interface %s is down: %w", name, probes.ErrBench), "sudo ip link set "+name+" up")
	}
	return i, nil
}

func noInterface(name string) error {
	var names []string
	if all, lerr := net.Interfaces(); lerr == nil {
		for _, one := range all {
			names = append(names, one.Name)
		}
	}
	return withHint(fmt.Errorf("interface %s does not exist: %w", name, probes.ErrBench),
		"bench.yaml names the interface; this machine has "+strings.Join(names, ", "))
}

func addresses(i *net.Interface) string {
	list, err := i.Addrs()
	if err != nil {
		return ""
	}
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}

// reachable refuses to begin where the device answers nothing at all.
func (b *Bench) reachable(ctx context.Context, host string) error {
	answered, tried := b.answers(ctx)
	for until := b.Probes.Clock.Now().Add(bootPatience); !answered && len(tried) > 0 && b.Probes.Clock.Now().Before(until); {
		if b.Probes.Clock.Wait(ctx, bootPause) != nil {
			break
		}
		answered, tried = b.answers(ctx)
	}
	if answered || len(tried) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("the device at %s answers none of %s: %w", host, strings.Join(tried, ", "), probes.ErrBench),
		"is it switched on, at that address, and reachable from this machine? ping "+host)
}

const (
	answerPatience = 15 * time.Second
	// A device that was switched on a moment ago refuses connections until its servers are up.
	bootPatience = 5 * time.Second
	bootPause    = 250 * time.Millisecond
)

// answers asks the gentlest operations until the device says anything at all. The label's own
// logins are used, so that no brute-force protection is woken.
func (b *Bench) answers(ctx context.Context) (answered bool, tried []string) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	for _, name := range b.gentle() {
		var args probes.Args
		if way, is := strings.CutPrefix(name, probes.LoginPrefix); is {
			login, has := b.driver.Unit().Logins[way]
			if !has {
				continue
			}
			args = probes.Args{probes.ArgUsername: login.Username, probes.ArgPassword: login.Password}
		}
		tried = append(tried, name)
		r, err := b.driver.Do(ctx, name, args)
		if err == nil && r.Outcome != probes.Unreachable && r.Outcome != probes.Silent {
			return true, tried
		}
	}
	return false, tried
}

// gentle lists the operations that change nothing and need nobody's hands.
func (b *Bench) gentle() []string {
	var names []string
	for _, name := range b.driver.Operations() {
		if name != probes.Health && name != probes.ReadVersion && !strings.HasPrefix(name, probes.LoginPrefix) {
			continue
		}
		if !byHand(b.operations[name]) {
			names = append(names, name)
		}
	}
	// Health comes first, then the version, then the logins.
	slices.SortFunc(names, func(a, c string) int { return rank(a) - rank(c) })
	return names
}

// byHand tells whether an operation asks a person or presses a button.
func byHand(o dossier.Operation) bool {
	return slices.ContainsFunc(slices.Concat(o.Steps, o.Anonymous), func(s dossier.Step) bool { return s.Person != nil || s.Button != nil })
}

func rank(operation string) int {
	switch operation {
	case probes.Health:
		return 0
	case probes.ReadVersion:
		return 1
	}
	return 2
}
