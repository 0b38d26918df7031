package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/probes"
)

// ownPrefix6 is the gateway's IPv6 network where bench.yaml names none: unique local (RFC 4193), routed nowhere.
const ownPrefix6 = "fd77:a55a:7700::/64"

const (
	portDHCP6 = 547
	// neighbourPatience is how long a caller over IPv6 may take to say which hardware address it has.
	neighbourPatience = time.Second
)

// network6 is the bench's address and network over IPv6; not valid where bench.yaml wants none.
func network6(f *File) netip.Prefix {
	if f.IPv6 == nil {
		return netip.Prefix{}
	}
	text := f.IPv6.Prefix
	if text == "" {
		text = ownPrefix6
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{} // refused when the file was read
	}
	return netip.PrefixFrom(p.Addr().Next(), p.Bits())
}

// gateway6 starts the router advertisements and the DHCPv6 server.
func (b *Bench) gateway6(ctx context.Context, o Options, at netip.Prefix) error {
	if !at.IsValid() {
		return nil
	}
	i, err := net.InterfaceByName(o.File.Interface)
	if err != nil {
		return fmt.Errorf("find %s: %w: %w", o.File.Interface, err, probes.ErrBench)
	}
	f := o.File.IPv6
	conn, err := segment.GroupUDP6(ctx, i, "ff02::1:2", portDHCP6)
	if err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	domain := ""
	if o.File.DHCP != nil {
		domain = o.File.DHCP.Domain
	}
	leases := services.StartDHCP6(conn, services.DHCP6Options{
		Server: at.Addr(), MAC: i.HardwareAddr, Prefix: at.Masked(), Addresses: f.DHCP, Spare: spareAddresses,
		Lease: o.File.DHCP.lease(), Domain: domain, Now: b.Probes.Clock.Now, Log: o.Log,
	})
	b.onClose(leases.Close)
	router := services.StartRouter(services.RouterOptions{
		Interface: i, Prefix: at.Masked(), Server: at.Addr(), SLAAC: f.SLAAC, Managed: f.DHCP, Now: b.Probes.Clock.Now,
	})
	b.onClose(router.Close)
	b.counters["dhcpv6"], b.counters["router advertisements"] = leases.Counts, router.Counts
	b.description.Services = append(b.description.Services,
		Service{Name: "dhcpv6", Address: fmt.Sprintf("[%s]:%d on %s", at.Addr(), portDHCP6, i.Name)},
		Service{Name: "router advertisements", Address: at.Masked().String() + " on " + i.Name})
	return nil
}

// names6 starts the name server's IPv6 side: the same answers at another address.
func (b *Bench) names6(ctx context.Context, o Options, address netip.Prefix, names services.DNSOptions, at netip.Prefix) error {
	if !at.IsValid() {
		return nil
	}
	conn, err := segment.FreeUDP6(ctx, at.Addr(), portDNS)
	if err != nil {
		return fmt.Errorf("serve dns over ipv6: %w: %w", err, probes.ErrBench)
	}
	tcp, err := segment.FreeTCP6(ctx, at.Addr(), portDNS)
	if err != nil {
		return errors.Join(fmt.Errorf("serve dns over ipv6: %w: %w", err, probes.ErrBench), conn.Close())
	}
	names.Hosts, names.Address, names.Address6, names.Now, names.Log = cloudHosts(o.Dossier), address.Addr(), at.Addr(), Clock{}.Now, o.Log
	d, err := services.StartDNS(ctx, conn, tcp, names)
	if err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	b.onClose(d.Close)
	b.counters["dns over ipv6"] = d.Counts
	b.description.Services = append(b.description.Services, Service{Name: "dns over ipv6", Address: conn.LocalAddr().String()})
	return nil
}

// callsFrom6 tells the device's calls over IPv6 by the hardware address that the kernel knows their sender by: a
// device makes itself IPv6 addresses as it likes, and changes them.
func callsFrom6(ctx context.Context, over4 func(net.Addr) bool, on string, device net.HardwareAddr) func(net.Addr) bool {
	return func(a net.Addr) bool {
		from, err := netip.ParseAddrPort(a.String())
		if err != nil || !from.Addr().Unmap().Is6() {
			return over4(a)
		}
		mac, err := segment.Neighbour6(ctx, on, from.Addr().WithZone(""), neighbourPatience)
		return err == nil && bytes.Equal(mac, device)
	}
}
