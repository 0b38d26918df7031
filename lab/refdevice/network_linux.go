package refdevice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
)

// How patiently the device asks for an address: nclient4 doubles the wait at each try.
const (
	dhcpTimeout = 500 * time.Millisecond
	dhcpTries   = 4
	dhcpPause   = time.Second
	dhcpDefault = time.Hour // where the server names no duration
)

// A dhcp client holds one interface of the device.
type dhcp struct {
	link netlink.Link
	name string // option 12
	log  *slog.Logger
	last *nclient4.Lease
}

// lease brings the interface up and asks for an address until it has one.
func lease(ctx context.Context, iface, mac, name string, log *slog.Logger) (*uplink, error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("lease an address on %s: %w", iface, err)
	}
	if have := link.Attrs().HardwareAddr.String(); !strings.EqualFold(have, mac) {
		log.Warn("interface has another address than the label", "interface", iface, "have", have, "label", mac)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("lease an address on %s: set it up: %w", iface, err)
	}
	d := &dhcp{link: link, name: name, log: log}
	for {
		err := d.request(ctx)
		if err == nil {
			break
		}
		log.Warn("no lease", "error", err)
		if !pause(ctx, dhcpPause) {
			return nil, ctx.Err()
		}
	}
	up, err := d.configure()
	if err != nil {
		return nil, fmt.Errorf("lease an address on %s: %w", iface, err)
	}
	return up, nil
}

// with opens a client for one exchange.
func (d *dhcp) with(f func(*nclient4.Client) error) error {
	c, err := nclient4.New(d.link.Attrs().Name, nclient4.WithTimeout(dhcpTimeout), nclient4.WithRetry(dhcpTries))
	if err != nil {
		return fmt.Errorf("open dhcp client: %w", err)
	}
	return errors.Join(f(c), c.Close())
}

func (d *dhcp) options() []dhcpv4.Modifier {
	return []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptHostName(d.name)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionNTPServers),
	}
}

func (d *dhcp) request(ctx context.Context) error {
	return d.with(func(c *nclient4.Client) (err error) {
		d.last, err = c.Request(ctx, d.options()...)
		return err
	})
}

func (d *dhcp) renew(ctx context.Context) error {
	return d.with(func(c *nclient4.Client) error {
		l, err := c.Renew(ctx, d.last, d.options()...)
		if err == nil {
			d.last = l
		}
		return err
	})
}

// configure gives the leased address and route to the interface.
func (d *dhcp) configure() (*uplink, error) {
	ack := d.last.ACK
	mask := ack.SubnetMask()
	if mask == nil {
		mask = ack.YourIPAddr.DefaultMask()
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: ack.YourIPAddr, Mask: mask}}
	if err := d.flush(); err != nil {
		return nil, err
	}
	if err := netlink.AddrReplace(d.link, addr); err != nil {
		return nil, fmt.Errorf("set %s: %w", addr.IPNet, err)
	}
	if routers := ack.Router(); len(routers) > 0 {
		route := &netlink.Route{LinkIndex: d.link.Attrs().Index, Gw: routers[0]}
		if err := netlink.RouteReplace(route); err != nil {
			return nil, fmt.Errorf("set route by %s: %w", routers[0], err)
		}
	}
	up := &uplink{address: ack.YourIPAddr.String(), hold: d.hold, leave: d.leave}
	if servers := ack.DNS(); len(servers) > 0 {
		if a, ok := netip.AddrFromSlice(servers[0]); ok {
			up.resolver.server = netip.AddrPortFrom(a.Unmap(), 53)
		}
	}
	if servers := ack.NTPServers(); len(servers) > 0 {
		up.ntp = net.JoinHostPort(servers[0].String(), "123")
	}
	d.log.Info("leased", "address", up.address, "resolver", up.resolver.server, "ntp", up.ntp)
	return up, nil
}

// hold renews the lease from half of its time on (RFC 2131 section 4.4.5) and tells when it has run out.
func (d *dhcp) hold(ctx context.Context) error {
	for {
		half := d.last.ACK.IPAddressLeaseTime(dhcpDefault) / 2
		if !pause(ctx, half) {
			return nil
		}
		err := d.renewWithin(ctx, half)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the lease ran out: %w", err)
		}
	}
}

// renewWithin asks again and again for so long.
func (d *dhcp) renewWithin(ctx context.Context, left time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	for {
		err := d.renew(ctx)
		if err == nil || !pause(ctx, dhcpPause) {
			return err
		}
	}
}

// leave takes the address off again; its routes go with it.
func (d *dhcp) leave() {
	if err := d.flush(); err != nil {
		d.log.Warn("address not given up", "error", err)
	}
}

func (d *dhcp) flush() error {
	addrs, err := netlink.AddrList(d.link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if err := netlink.AddrDel(d.link, &a); err != nil {
			return fmt.Errorf("take off %s: %w", a.IPNet, err)
		}
	}
	return nil
}
