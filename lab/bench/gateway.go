package bench

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/probes"
)

// LeasePatience is how long a gateway waits for its device to ask for an address: somebody may have
// to walk to it and switch it on.
const LeasePatience = 2 * time.Minute

const (
	// gatewayLease is short, so that a device that was not switched off between two runs asks again soon.
	gatewayLease = 4 * time.Minute
	// A device that still holds a lease is looked for from then on, and has so long to answer.
	holdPatience = 3 * time.Second
	holdAnswer   = 200 * time.Millisecond
)

// Gateway builds a bench that is the whole network of a device: it owns the interface that the device is
// plugged into, leases it its address, answers for names, time and cloud, and captures from the
// first frame on: the interface is set up last of all. Nothing of the device goes further unless the bench file has
// an uplink. Close leaves the interface as it was found.
func Gateway(ctx context.Context, o Options) (*Bench, error) {
	return around(ctx, ModeGateway, o, (*Bench).gateway)
}

func (b *Bench) gateway(ctx context.Context, o Options) error {
	unit, err := unitOf(o.Dossier, o.Unit)
	if err != nil {
		return err
	}
	o.File = o.File.of(unit.ID, o.Beside != nil)
	mac, err := net.ParseMAC(unit.MAC)
	if err != nil || len(mac) != 6 {
		return withHint(unusable(fmt.Errorf("dossier: unit %s has no mac: a gateway leases an address to it and must know it", unit.ID)),
			"give the unit the MAC address of its label: `mac: 02:00:5e:00:53:01`")
	}
	on := o.File.Interface
	b.description.Device = "plugged into " + on + ", which the bench owns"
	if o.Beside != nil {
		b.besideOn(o.Beside, unit.ID, mac)
		b.description.Device += ", beside others"
	} else if err := b.gatewayGround(ctx, o, mac); err != nil {
		return err
	}
	b.knows(func() string { return b.leaseOf(mac.String()) })
	b.unit(unit)
	button, err := b.instruments(ctx, o)
	if err != nil {
		return err
	}
	if err := b.drive(o, b.address, b.serves, button); err != nil {
		return err
	}
	b.pressed = button != nil
	b.flashed(o.File.Flash, o.File.Dir)
	b.restore = b.restoreByStrategy
	if why := b.stays(); why != "" {
		b.say("between steps the device stays as it is: %s", why)
	}
	if err := b.awaitLease(ctx, o.Dossier, mac.String(), on); err != nil {
		return err
	}
	if err := b.reachable(ctx, b.Host()); err != nil {
		return err
	}
	return b.identify(ctx, on, o.Dossier, unit, true)
}

// gatewayGround makes the gateway that the units are plugged into.
func (b *Bench) gatewayGround(ctx context.Context, o Options, mac net.HardwareAddr) error {
	if err := MayGateway(); err != nil {
		return err
	}
	address, err := GatewayAddress(o.File)
	if err != nil {
		return err
	}
	if err := roomFor(o.Dossier, o.File, address); err != nil {
		return err
	}
	if err := b.gatewayUp(ctx, o, address, mac); err != nil {
		return err
	}
	on := o.File.Interface
	b.prover(o, address, proof{
		how:  "a process in a network namespace of its own; what it sends is received at " + on + " and what goes out there reaches it",
		plug: func(mac net.HardwareAddr) (*segment.Guest, error) { return segment.Visit(on, mac) },
		live: func() bool { return true },
	})
	return nil
}

// gatewayUp takes the interface, starts everything that the device will find there, arms the capture, and
// only then sets the interface up.
func (b *Bench) gatewayUp(ctx context.Context, o Options, address netip.Prefix, mac net.HardwareAddr) error {
	began := b.Probes.Clock.Now()
	f := o.File
	if _, err := net.InterfaceByName(f.Interface); err != nil {
		return noInterface(f.Interface)
	}
	out, err := findWay(ctx, f)
	if err != nil {
		return err
	}
	owned := []netip.Prefix{address}
	if second := secondServer(f, address); second.IsValid() {
		owned = append(owned, netip.PrefixFrom(second, address.Bits()))
	}
	at6 := network6(f)
	if at6.IsValid() {
		owned = append(owned, at6)
	}
	nic, err := segment.Take(f.Interface, owned)
	if err != nil {
		return takeHint(err, f.Interface)
	}
	b.onClose(nic.Close)
	b.description.Interfaces = []segment.Interface{nic.Interface()}
	for _, stale := range nic.Found().Stale {
		b.note("the address %s of an earlier run that was killed was found on %s and taken over", stale, f.Interface)
	}
	if err := b.fence(f, nic, address, out); err != nil {
		return err
	}
	names := services.DNSOptions{Pinned: out.pinned}
	names.Pinned[selfName] = []netip.Addr{address.Addr()}
	if f.DNS != nil {
		names.Lie, names.Upstream = f.DNS.Lie, f.DNS.Upstream
	}
	if b.leased, err = b.gatewayLeases(ctx, o, address); err != nil {
		return withHint(err, "another DHCP server of this machine has the port: sudo ss -lnup | grep -w :67")
	}
	s, err := serve(ctx, o.Dossier, serving{
		address: address.Addr(), address6: at6.Addr(), dns: true, ntp: true, broker: true, updates: true, nameUpdates: true, names: names, log: o.Log,
		keys: b.keys, callers: b.callers(ctx, o, f.Interface, mac.String()),
	})
	if err != nil {
		return withHint(err, "another server of this machine has the port: sudo ss -lntup | grep -w "+portOf(err))
	}
	b.onClose(s.close)
	b.serves, b.address = s, address.Addr().String()
	b.provide(s, o.Unit)
	if err := errors.Join(b.names6(ctx, o, address, names, at6), b.gateway6(ctx, o, at6)); err != nil {
		return err
	}
	frames, err := b.capturing(o, mac)
	if err != nil {
		return err
	}
	if err := b.capture(ctx, frames); err != nil {
		return err
	}
	if !b.several { // it is the others' cable, too
		b.cable(f.Interface)
	}
	b.checkOwned(f.Interface, address)
	b.checkNames(netip.AddrPortFrom(address.Addr(), portDNS).String())
	if err := nic.Up(); err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	b.say("gateway: %s is up at %s after %d ms", f.Interface, address, b.Probes.Clock.Now().Sub(began).Milliseconds())
	return nil
}

func (b *Bench) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.description.Notes = append(b.description.Notes, text)
	b.say("%s", text)
}

// MayGateway tells whether this user may run a gateway; the error's hint is the command that allows it.
func MayGateway() error {
	lacks := segment.Capabilities()
	if len(lacks) == 0 {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		program = "/path/to/assay"
	}
	return withHint(fmt.Errorf("this user may not run a gateway: %s is missing: %w", strings.Join(lacks, ", "), probes.ErrBench),
		"sudo setcap cap_net_admin,cap_net_raw,cap_net_bind_service+ep "+program+", or run it with sudo")
}

// GatewayAddress is the address of bench.yaml, or one that collides with no route of this machine.
func GatewayAddress(f *File) (netip.Prefix, error) {
	if f.Address == "" {
		p, err := segment.FreePrefix(f.Interface)
		if err != nil {
			return p, withHint(fmt.Errorf("%w: %w", err, probes.ErrBench), "choose one yourself: `address: 10.200.0.1/24` in "+f.Name)
		}
		return p, nil
	}
	p, err := netip.ParsePrefix(f.Address)
	if err != nil {
		return p, unusable(fmt.Errorf("%s: address: %w", f.Name, err))
	}
	other, err := segment.Overlaps(p.Masked(), f.Interface)
	if err != nil {
		return p, fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	if other != "" {
		return p, withHint(fmt.Errorf("the address %s lies in %s, which this machine reaches by another interface: %w", p, other, probes.ErrBench),
			"choose another `address` in "+f.Name+", or leave it out: then one is found that is free")
	}
	return p, nil
}

// A Port is where one of the bench's servers stands.
type Port struct {
	Network string // tcp, udp
	Port    int
}

// GatewayPorts lists where a gateway's servers stand.
func GatewayPorts() []Port {
	return []Port{{"udp", portDNS}, {"tcp", portDNS}, {"udp", portDHCP}, {"udp", portNTP}, {"tcp", portBroker}, {"tcp", portHTTPS}, {"udp", portCoAP}}
}

// secondServer is where the failover server stands: the address after the bench's own.
func secondServer(f *File, address netip.Prefix) netip.Addr {
	if f.DHCP == nil || !f.DHCP.Failover {
		return netip.Addr{}
	}
	return address.Addr().Next()
}

// leased is where a gateway's leases begin: the hundredth address of the network, or the one in
// its middle where it has no hundred.
func leased(p netip.Prefix) (first netip.Addr, spare int) {
	size := 1 << (32 - p.Bits())
	offset, spare := 100, spareAddresses
	if size < 256 {
		offset, spare = size/2, size/2-2
	}
	a := p.Masked().Addr().As4()
	for i, n := 3, offset; n > 0; i, n = i-1, n>>8 {
		a[i] += byte(n)
	}
	first = netip.AddrFrom4(a)
	if own := p.Addr(); own.Compare(first) >= 0 && own.Compare(netip.AddrFrom4([4]byte{a[0], a[1], a[2], a[3] + byte(spare)})) <= 0 {
		first = p.Masked().Addr().Next().Next().Next() // the bench itself stands there
		spare = min(spare, size/2-4)
	}
	return first, spare
}

// gatewayLeases starts the DHCP server, or both of them.
func (b *Bench) gatewayLeases(ctx context.Context, o Options, address netip.Prefix) (*services.DHCP, error) {
	conn, err := segment.BroadcastUDP(ctx, o.File.Interface, portDHCP)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	var known []string
	for _, u := range o.Dossier.Units {
		known = append(known, u.MAC)
	}
	first, spare := leased(address)
	d := o.File.DHCP
	options := services.DHCPOptions{
		Server: address, Second: secondServer(o.File, address), Static: known, First: first, Spare: max(spare-len(known), 1),
		Lease: d.lease(), Now: b.Probes.Clock.Now, Log: o.Log,
	}
	if d != nil {
		options.Renew, options.Rebind = time.Duration(d.RenewSeconds)*time.Second, time.Duration(d.RebindSeconds)*time.Second
		options.Tell = d.tell()
	}
	server := services.StartDHCP(conn, options)
	b.onClose(server.Close)
	b.counters["dhcp"] = server.Counts
	b.description.Services = append(b.description.Services, Service{Name: "dhcp", Address: address.Addr().String() + ":67 on " + o.File.Interface})
	if options.Second.IsValid() {
		b.description.Services = append(b.description.Services, Service{Name: "dhcp, second server", Address: options.Second.String() + ":67 on " + o.File.Interface})
	}
	return server, nil
}

// tell is what bench.yaml wants told beside the address; it was checked when the file was read.
func (d *DHCPFile) tell() []dhcpv4.Modifier {
	var out []dhcpv4.Modifier
	if d == nil {
		return nil
	}
	list := func(all []string, option func(...net.IP) dhcpv4.Option) {
		var ips []net.IP
		for _, a := range all {
			ips = append(ips, net.ParseIP(a).To4())
		}
		if len(ips) > 0 {
			out = append(out, dhcpv4.WithOption(option(ips...)))
		}
	}
	list(some(d.Router), dhcpv4.OptRouter)
	list(d.DNS, dhcpv4.OptDNS)
	list(d.NTP, dhcpv4.OptNTPServers)
	if d.Domain != "" {
		out = append(out, dhcpv4.WithOption(dhcpv4.OptDomainName(d.Domain)))
	}
	if d.Portal != "" {
		out = append(out, dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(optionPortal), []byte(d.Portal)))
	}
	codes := make([]uint8, 0, len(d.Options))
	for code := range d.Options {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		value, _ := hex.DecodeString(d.Options[code])
		out = append(out, dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), value))
	}
	return out
}

// portOf is the port in an error about a listener, for the hint.
func portOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		if a, perr := netip.ParseAddrPort(op.Addr.String()); perr == nil {
			return fmt.Sprintf(":%d", a.Port())
		}
	}
	return ":53"
}
