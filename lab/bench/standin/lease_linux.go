package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
)

// The client doubles its patience at each try.
const (
	firstWait = 250 * time.Millisecond
	tries     = 5 // nearly as long as Patience: a busy machine is late, a bench without DHCP is silent for ever
)

// lease sets the interface up, asks for an address and takes it.
func (d *device) lease(ctx context.Context, r Request) (Answer, error) {
	link, err := netlink.LinkByName(r.Interface)
	if err != nil {
		return Answer{}, fmt.Errorf("find %s: %w", r.Interface, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return Answer{}, fmt.Errorf("set %s up: %w", r.Interface, err)
	}
	c, err := nclient4.New(r.Interface, nclient4.WithTimeout(firstWait), nclient4.WithRetry(tries))
	if err != nil {
		return Answer{}, fmt.Errorf("open dhcp client: %w", err)
	}
	l, err := c.Request(ctx, dhcpv4.WithOption(dhcpv4.OptHostName("bench-self-test")),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionNTPServers))
	if err := errors.Join(err, c.Close()); err != nil {
		return Answer{}, err
	}
	ack := l.ACK
	at := &net.IPNet{IP: ack.YourIPAddr.To4(), Mask: ack.SubnetMask()}
	if len(at.IP) != net.IPv4len || len(at.Mask) != net.IPv4len {
		return Answer{}, fmt.Errorf("the lease %s has no address with a network", at)
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: at}); err != nil {
		return Answer{}, fmt.Errorf("take %s: %w", at, err)
	}
	everybody := make(net.IP, net.IPv4len)
	for n := range everybody {
		everybody[n] = at.IP[n] | ^at.Mask[n]
	}
	d.broadcast = everybody.String()
	a := Answer{Address: at.String(), Server: ack.ServerIdentifier().String(), DNS: texts(ack.DNS()), NTP: texts(ack.NTPServers())}
	if routers := ack.Router(); len(routers) > 0 {
		a.Router = routers[0].String()
	}
	return a, nil
}
