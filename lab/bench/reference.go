package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"assay/lab/bench/power"
	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/lab/bench/states"
	"assay/lab/capture"
	"assay/lab/refdevice"
	"assay/probes"
)

// The reference segment, in documentation space (RFC 5737): no real network has these addresses.
const (
	referenceBench = "192.0.2.1/24"
	referenceFirst = "192.0.2.100" // of the first unit; the next has the next
	spareAddresses = 50
	portDHCP       = 67
	leaseTime      = time.Hour
)

// Reference builds the reference bench in the namespaces that this process was put into by Enter:
// segment, services, capture, and then the device in a process and a network namespace of its own.
// Nothing of the device passes uncaptured: its cable is watched before the device has it.
func Reference(ctx context.Context, o Options) (*Bench, error) {
	if !Inside() {
		return nil, fmt.Errorf("build the reference bench: this process is not in namespaces of its own: %w", probes.ErrBench)
	}
	b, err := newBench(ModeReference, o)
	if err != nil {
		return nil, err
	}
	if err := b.reference(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("build the reference bench: %w", err), b.Close())
	}
	return b, nil
}

func (b *Bench) reference(ctx context.Context, o Options) error {
	m, err := prepare(o, func(c *refdevice.Config) {
		c.Network = refdevice.Network{Mode: refdevice.ModeDHCP, Interface: segment.UnitEnd}
		c.Cloud = cloudAt(c.Cloud, portBroker)
	})
	if err != nil {
		return err
	}
	defer m.discard()
	mac, err := net.ParseMAC(m.config.MAC)
	if err != nil {
		return unusable(fmt.Errorf("device's MAC address: %w", err))
	}
	end := segment.BenchEnd
	if first := o.Beside; first != nil {
		if end, err = first.plug(mac.String()); err != nil {
			return err
		}
		b.segment, b.leased, b.serves, b.address = first.segment, first.leased, first.serves, first.address
	} else if err := b.ground(ctx, o, mac.String()); err != nil {
		return err
	}
	b.provide(b.serves, o.Unit)
	b.knows(func() string { return b.leaseOf(mac.String()) })
	// The device's end of the cable goes with its process: the capture is closed before that, and after the last frame.
	var p *process
	b.onClose(func() error {
		if p != nil {
			p.close()
		}
		return nil
	})
	if err := b.capture(ctx, capture.Options{Interface: end, Path: o.file("capture", ".pcapng"), MAC: mac}); err != nil {
		return err
	}
	if p, err = b.startProcess(o, m.args, true); err != nil {
		return err
	}
	b.onClose(func() error {
		_ = p.control(context.WithoutCancel(ctx), "power off") // a process that has ended is dark already
		return nil
	})
	if err := b.segment.Hand(p.pid()); err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	b.cable(end)
	if o.Beside == nil {
		b.prover(o, netip.MustParsePrefix(referenceBench), proof{
			how: "a process in a network namespace of its own, plugged into " + segment.Bridge, plug: b.segment.Visit,
			live: func() bool { n, err := segment.Look(end); return err == nil && n.Carrier },
		})
	}
	b.description.Device = "a process in a network namespace of its own, at the other end of " + end
	return b.power(ctx, o, m, p, b.serves, b.address, func() { b.leased.Forget(mac.String()) })
}

// ground makes the segment with its servers.
func (b *Bench) ground(ctx context.Context, o Options, mac string) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("find the run's folder: %w: %w", err, probes.ErrBench)
	}
	address := netip.MustParsePrefix(referenceBench)
	if b.segment, err = segment.Up(ctx, segment.Options{Address: address, MAC: mac, Dir: dir}); err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	b.onClose(b.segment.Close)
	b.cables = 1
	b.description.Interfaces, b.description.Notes = b.segment.Interfaces(), b.segment.Notes()
	if b.leased, err = b.leases(ctx, o, address); err != nil {
		return err
	}
	if b.serves, err = serve(ctx, o.Dossier, serving{
		address: address.Addr(), dns: true, ntp: true, broker: true, updates: true, nameUpdates: true, log: o.Log,
		names: services.DNSOptions{Pinned: map[string][]netip.Addr{selfName: {address.Addr()}}},
		keys:  b.keys, callers: b.callers(ctx, o, "", mac),
	}); err != nil {
		return err
	}
	b.address = address.Addr().String()
	b.onClose(b.serves.close)
	return nil
}

// plug gives one more unit a cable of its own, and tells the name of the bench's end.
func (b *Bench) plug(mac string) (string, error) {
	end := strings.TrimRight(segment.BenchEnd, "0123456789") + strconv.Itoa(b.cables)
	if err := b.segment.Plug(end, mac); err != nil {
		return "", fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	b.cables++
	return end, nil
}

// leases starts the segment's DHCP server.
func (b *Bench) leases(ctx context.Context, o Options, address netip.Prefix) (*services.DHCP, error) {
	conn, err := segment.BroadcastUDP(ctx, segment.Bridge, portDHCP)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	var known []string
	for _, u := range o.Dossier.Units {
		known = append(known, u.MAC)
	}
	d := services.StartDHCP(conn, services.DHCPOptions{
		Server: address, Static: known, First: netip.MustParseAddr(referenceFirst), Spare: spareAddresses,
		Lease: leaseTime, Now: b.Probes.Clock.Now, Log: o.Log,
	})
	b.onClose(d.Close)
	b.counters["dhcp"] = d.Counts
	b.description.Services = append(b.description.Services, Service{Name: "dhcp", Address: conn.LocalAddr().String() + " on " + segment.Bridge})
	return d, nil
}

// provide hands the services to the probes and to the record.
func (b *Bench) provide(s *servers, unit string) {
	if s.dns != nil {
		b.counters["dns"] = s.dns.Counts
	}
	if s.ntp != nil {
		b.counters["ntp"] = s.ntp.Counts
		b.ntp = s.ntp
		if !b.several { // it tells everybody the same
			b.Probes.Time = timeTeller{s.ntp, b.say}
		}
	}
	if s.updates != nil {
		b.Probes.Updates = s.updatesFor(unit, b.several)
		b.counters["updates over coap"] = s.updates.Counts
	}
	if s.broker != nil {
		b.Probes.Broker = s.broker
	}
	if own := s.units[unit]; s.broker != nil && b.Mode != ModeReduced && own != nil { // on loopback a call may be anybody's
		b.Probes.Interceptor = own
	}
	b.description.Services = append(b.description.Services, s.list...)
}

// power makes the instruments that lie in the device's process, switches the device on and waits for it.
func (b *Bench) power(ctx context.Context, o Options, m *machine, p *process, s *servers, address string, forget func()) error {
	b.Probes.Flash = flashFile{m.config.Flash}
	if err := b.drive(o, address, s, buttonLine{p}); err != nil {
		return err
	}
	unit, err := unitOf(o.Dossier, o.Unit)
	if err != nil {
		return err
	}
	// Only its flash as delivered will do: a reset of its own would leave the firmware that a step installed.
	b.delivered = asDelivered
	supply := power.New(processSwitch{p}, b.Probes.Clock)
	b.own = []states.Move{{
		Name: flashMove, Seconds: 1, To: b.delivered, From: []states.State{states.Off, states.Booting, states.InUse},
		Do: func(ctx context.Context) error {
			if err := m.renew(ctx, p, s, forget); err != nil {
				return err
			}
			if err := supply.On(ctx); err != nil {
				return err
			}
			return b.awaitUp(ctx)
		},
	}}
	b.pressed, b.restore = true, b.restoreByStrategy
	if err := p.control(ctx, "start"); err != nil {
		return err
	}
	if _, err := supply.Ask(ctx); err != nil {
		return err
	}
	b.supply(ctx, supply)
	if err := b.awaitUp(ctx); err != nil {
		return err
	}
	b.say("device: up at %s", b.Host())
	if b.Mode != ModeReference {
		return nil
	}
	return b.identify(ctx, segment.Bridge, o.Dossier, unit, o.Several)
}

// processSwitch is a reference device's plug: a line to its process, which answers when it is done.
type processSwitch struct{ process *process }

// String says what it is.
func (processSwitch) String() string { return "the process of the reference device" }

// Set cuts or gives the power.
func (s processSwitch) Set(ctx context.Context, on bool) error {
	line := "power off"
	if on {
		line = "power on"
	}
	return s.process.control(ctx, line)
}

// State is the last answer of the process.
func (processSwitch) State(context.Context) (bool, error) { return false, power.ErrBlind }
