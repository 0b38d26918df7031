package segment

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Label marks the bench's own IPv4 addresses on an interface, so that those of a run that was killed are
// told from somebody else's.
const Label = "assay"

// A NIC is a network interface that the bench owns, and how it was found.
type NIC struct {
	name     string
	link     netlink.Link
	found    Found
	own      []netlink.Addr // given by us, to be taken off again
	settings []setting      // as found, in the order in which they were changed
	offloads []offload      // that were on
	off      []string
	wasUp    bool
}

// Found tells what there was on the interface.
type Found struct {
	Up    bool
	Stale []string // addresses of an earlier run that was killed
	Kept  []string // addresses that were there and are the ones we want
}

// A setting is one file below /proc/sys/net and what it said.
type setting struct{ path, value string }

// Take makes an interface the bench's own: it is set down, so that nothing passes before somebody watches,
// its offloads are switched off, it accepts no router but forwards nothing, and it gets the addresses. It refuses
// an interface that somebody else uses. Up sets it up; Close leaves it as it was found.
func Take(name string, addresses []netip.Prefix) (*NIC, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, refused("find "+name, err)
	}
	n := &NIC{name: name, link: link, wasUp: link.Attrs().Flags&net.FlagUp != 0}
	n.found.Up = n.wasUp
	if err := n.unusedBy(addresses); err != nil {
		return nil, err
	}
	if err := n.take(addresses); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// unusedBy refuses what belongs to somebody, and takes the addresses of a run that was killed off.
func (n *NIC) unusedBy(ours []netip.Prefix) error {
	stale, err := n.strangers(ours)
	if err != nil {
		return err
	}
	for _, addr := range stale {
		if err := netlink.AddrDel(n.link, &addr); err != nil {
			return refused("take off the stale address "+addr.IPNet.String(), err)
		}
		n.found.Stale = append(n.found.Stale, addr.IPNet.String())
	}
	return nil
}

// strangers refuses an interface that is somebody's: a DHCP server of ours on it would harm them. It lists the
// addresses that an earlier run of ours left.
func (n *NIC) strangers(ours []netip.Prefix) (stale []netlink.Addr, err error) {
	a := n.link.Attrs()
	if a.Flags&net.FlagLoopback != 0 {
		return nil, refused("take "+n.name, &InUseError{n.name, "it is the loopback interface"})
	}
	if a.MasterIndex != 0 {
		return nil, refused("take "+n.name, &InUseError{n.name, "it is part of a bridge or bond"})
	}
	all, err := netlink.AddrList(n.link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, refused("list addresses of "+n.name, err)
	}
	for _, addr := range all {
		p, ok := prefixOf(addr)
		switch {
		case !ok || p.Addr().IsLinkLocalUnicast():
		case slices.Contains(ours, p) && addr.Label != Label && p.Addr().Is4():
			n.found.Kept = append(n.found.Kept, p.String())
		case addr.Label == Label || slices.Contains(ours, p):
			stale = append(stale, addr)
		default:
			return nil, refused("take "+n.name, &InUseError{n.name, "it has the address " + p.String()})
		}
	}
	return stale, nil
}

func prefixOf(a netlink.Addr) (netip.Prefix, bool) {
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	bits, _ := a.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits), true
}

func (n *NIC) take(addresses []netip.Prefix) error {
	if err := netlink.LinkSetDown(n.link); err != nil {
		return refused("set "+n.name+" down", err)
	}
	for _, s := range []struct{ family, key, value string }{
		{"ipv4", "forwarding", "0"}, {"ipv4", "accept_redirects", "0"}, {"ipv4", "send_redirects", "0"},
		// A device that calls itself a router must not become this machine's.
		{"ipv6", "accept_ra", "0"}, {"ipv6", "accept_redirects", "0"}, {"ipv6", "forwarding", "0"},
		{"ipv6", "keep_addr_on_down", "1"}, {"ipv6", "accept_dad", "0"},
	} {
		if err := n.set(s.family, s.key, s.value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return refused("set "+s.family+" "+s.key+" of "+n.name, err)
		}
	}
	n.offloads = offloadsOn(n.name)
	var err error
	if n.off, err = offloadsOff(n.name); err != nil {
		return refused("switch offloads off on "+n.name, err)
	}
	for _, p := range addresses {
		if slices.Contains(n.found.Kept, p.String()) {
			continue
		}
		a := address(p)
		if err := netlink.AddrAdd(n.link, &a); err != nil {
			return refused("give "+n.name+" the address "+p.String(), err)
		}
		n.own = append(n.own, a)
	}
	return nil
}

// address is one of ours. Nobody but us gives addresses here, so IPv6 need not ask for duplicates first.
func address(p netip.Prefix) netlink.Addr {
	a := netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is4() {
		a.Label = Label
	} else {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

// set changes one of the kernel's settings for the interface and remembers what it was.
func (n *NIC) set(family, key, value string) error {
	return n.setOn(n.name, family, key, value)
}

func (n *NIC) setOn(name, family, key, value string) error {
	path := filepath.Join("/proc/sys/net", family, "conf", name, key)
	was, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s := setting{path, strings.TrimSpace(string(was))}
	if s.value == value {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil { //nolint:gosec // a file of the kernel
		return err
	}
	n.settings = append(n.settings, s)
	return nil
}

// Up sets the interface up: from here on the device can be heard.
func (n *NIC) Up() error { return refused("set "+n.name+" up", netlink.LinkSetUp(n.link)) }

// Found tells what there was.
func (n *NIC) Found() Found { return n.found }

// Interface describes it for the record.
func (n *NIC) Interface() Interface {
	i := Interface{Name: n.name, MAC: n.link.Attrs().HardwareAddr.String(), OffloadsOff: n.off}
	var all []string
	for _, a := range n.own {
		all = append(all, a.IPNet.String())
	}
	i.Address = strings.Join(append(all, n.found.Kept...), ", ")
	return i
}

// Close leaves the interface as it was found: addresses, settings, offloads, up or down. One that is gone is
// left alone.
func (n *NIC) Close() error {
	if _, err := netlink.LinkByName(n.name); err != nil {
		return nil
	}
	var errs []error
	for _, a := range slices.Backward(n.own) {
		if err := netlink.AddrDel(n.link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, refused("take the address "+a.IPNet.String()+" off", err))
		}
	}
	n.own = nil
	if !n.wasUp {
		if err := netlink.LinkSetDown(n.link); err != nil {
			errs = append(errs, refused("set "+n.name+" down", err))
		}
	}
	for _, s := range slices.Backward(n.settings) {
		if err := os.WriteFile(s.path, []byte(s.value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) { //nolint:gosec // a file of the kernel
			errs = append(errs, refused("set "+s.path+" back", err))
		}
	}
	n.settings = nil
	if err := offloadsSet(n.name, n.offloads); err != nil {
		errs = append(errs, refused("switch offloads on again on "+n.name, err))
	}
	n.offloads = nil
	if n.wasUp {
		if err := netlink.LinkSetUp(n.link); err != nil {
			errs = append(errs, refused("set "+n.name+" up again", err))
		}
	}
	return errors.Join(errs...)
}

// Capabilities names what this process lacks of what a gateway needs.
func Capabilities() []string {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return nil // an odd kernel: the steps themselves will tell
	}
	var lacks []string
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, "cap_net_admin"}, {unix.CAP_NET_RAW, "cap_net_raw"}, {unix.CAP_NET_BIND_SERVICE, "cap_net_bind_service"}} {
		if data[0].Effective&(1<<c.bit) == 0 {
			lacks = append(lacks, c.name)
		}
	}
	return lacks
}

// FreePrefix finds an address for the bench whose network overlaps no route and no address of this
// machine, those of the interface itself apart.
func FreePrefix(except string) (netip.Prefix, error) {
	taken, err := routed(except)
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, s := range candidates() {
		p := netip.MustParsePrefix(s)
		if !slices.ContainsFunc(taken, p.Overlaps) {
			return p, nil
		}
	}
	return netip.Prefix{}, refused("choose an address", fmt.Errorf("each of %s is routed elsewhere", strings.Join(candidates(), ", ")))
}

// Overlaps finds a route of another interface into a network; empty: there is none.
func Overlaps(p netip.Prefix, except string) (string, error) {
	taken, err := routed(except)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(taken, p.Overlaps); i >= 0 {
		return taken[i].String(), nil
	}
	return "", nil
}

func candidates() []string {
	return []string{"10.77.0.1/24", "10.177.77.1/24", "172.29.77.1/24", "192.168.177.1/24", "192.168.77.1/24"}
}

// routed lists the networks that this machine has routes to by other interfaces, the default route apart.
func routed(except string) ([]netip.Prefix, error) {
	own := -1
	if l, err := netlink.LinkByName(except); err == nil {
		own = l.Attrs().Index
	}
	all, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, refused("list routes", err)
	}
	var out []netip.Prefix
	for _, r := range all {
		if r.Dst == nil || r.LinkIndex == own {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP)
		if bits, _ := r.Dst.Mask.Size(); ok && bits > 0 {
			out = append(out, netip.PrefixFrom(ip.Unmap(), bits))
		}
	}
	return out, nil
}
