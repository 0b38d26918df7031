package segment

import (
	"errors"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The names of a guest's cable: the bench's end, and the one that goes to the guest.
const (
	GuestEnd  = "assay-guest"
	guestFar  = "assay-guest1"
	guestRank = 0xA55A // of our filters on an interface
)

// A Guest is one more device on the segment for a while, which the bench brings itself.
type Guest struct {
	nic   netlink.Link // nil: it is plugged into the bridge
	queue bool         // the interface's hook for filters is ours
	qlen  int          // of the interface as it was: the hook may change it
}

// Visit plugs a guest into an interface that the bench owns: what it sends is received at that interface, by its
// capture, its rules and its servers, as if it had come by the cable; what goes out there to it or to everybody reaches
// it, too. The interface itself stays as it is, and nothing of the guest goes out by the cable but what the bench
// answers it: frames to an address that the device does not have.
func Visit(nic string, mac net.HardwareAddr) (*Guest, error) {
	link, err := netlink.LinkByName(nic)
	if err != nil {
		return nil, refused("find "+nic, err)
	}
	g := &Guest{nic: link, qlen: link.Attrs().TxQLen}
	// The bench's end has the interface's own address, or the kernel would take the frames for somebody else's.
	end, err := guestCable(mac, link.Attrs().HardwareAddr)
	if err == nil {
		err = g.patch(end, mac)
	}
	if err == nil {
		err = refused("set "+GuestEnd+" up", netlink.LinkSetUp(end))
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Visit plugs a guest into the bridge.
func (s *Segment) Visit(mac net.HardwareAddr) (*Guest, error) {
	g := &Guest{}
	bridge, err := netlink.LinkByName(Bridge)
	if err != nil {
		return nil, refused("find bridge", err)
	}
	end, err := guestCable(mac, nil)
	if err == nil {
		err = refused("plug the guest into the bridge", errors.Join(netlink.LinkSetMaster(end, bridge), netlink.LinkSetUp(end)))
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// guestCable makes the cable; one that a killed run left is taken away first.
func guestCable(guest, own net.HardwareAddr) (netlink.Link, error) {
	if old, err := netlink.LinkByName(GuestEnd); err == nil {
		if err := netlink.LinkDel(old); err != nil {
			return nil, refused("take the cable of an earlier guest away", err)
		}
	}
	attrs := named(GuestEnd)
	attrs.HardwareAddr = own
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: guestFar, PeerHardwareAddr: guest}
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, refused("add veth", err)
	}
	for _, name := range []string{GuestEnd, guestFar} {
		if _, err := offloadsOff(name); err != nil {
			return nil, refused("switch offloads off on "+name, err)
		}
	}
	return veth, nil
}

// patch leads the frames: from the guest into the interface, and from the interface to the guest.
func (g *Guest) patch(end netlink.Link, mac net.HardwareAddr) error {
	if err := hook(end); err != nil {
		return refused("filters on "+GuestEnd, err)
	}
	in := netlink.NewMirredAction(g.nic.Attrs().Index)
	in.MirredAction = netlink.TCA_INGRESS_REDIR
	if err := steer(end, netlink.HANDLE_MIN_INGRESS, guestRank, in); err != nil {
		return refused("lead the guest's frames into "+g.nic.Attrs().Name, err)
	}
	switch err := hook(g.nic); {
	case err == nil:
		g.queue = true
	case !errors.Is(err, unix.EEXIST):
		return refused("filters on "+g.nic.Attrs().Name, err)
	}
	g.unpatch() // what a killed run left
	// u32 compares words at offsets from the network header, which 14 bytes of Ethernet are before (IEEE 802.3):
	// the receiver's address is the lower half of the word at -16 and the word at -12.
	to := func(b ...byte) uint32 { return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]) }
	for n, keys := range [][]nl.TcU32Key{
		{{Mask: 0x0000ffff, Val: to(0, 0, mac[0], mac[1]), Off: -16}, {Mask: 0xffffffff, Val: to(mac[2:6]...), Off: -12}},
		{{Mask: 0x00000100, Val: 0x00000100, Off: -16}}, // to a group or everybody
	} {
		out := netlink.NewMirredAction(end.Attrs().Index)
		out.MirredAction, out.Action = netlink.TCA_EGRESS_MIRROR, netlink.TC_ACT_PIPE
		if err := steer(g.nic, netlink.HANDLE_MIN_EGRESS, guestRank+uint16(n), out, keys...); err != nil { //nolint:gosec // two of them
			return refused("lead frames from "+g.nic.Attrs().Name+" to the guest", err)
		}
	}
	return nil
}

// hook gives an interface the place where filters hang.
func hook(l netlink.Link) error {
	return netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
}

// steer hangs one filter there; without keys it is for every frame.
func steer(l netlink.Link, side uint32, rank uint16, a netlink.Action, keys ...nl.TcU32Key) error {
	f := &netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: side, Priority: rank, Protocol: unix.ETH_P_ALL},
		Actions:     []netlink.Action{a},
	}
	if len(keys) > 0 {
		f.Sel = &nl.TcU32Sel{Flags: nl.TC_U32_TERMINAL, Keys: keys}
	}
	return netlink.FilterAdd(f)
}

// unpatch takes our filters off the interface.
func (g *Guest) unpatch() {
	for rank := uint16(guestRank); rank < guestRank+2; rank++ {
		_ = netlink.FilterDel(&netlink.U32{FilterAttrs: netlink.FilterAttrs{
			LinkIndex: g.nic.Attrs().Index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: rank, Protocol: unix.ETH_P_ALL,
		}})
	}
}

// Hand moves the guest's end of the cable into the network namespace of a process, and tells its name there.
func (g *Guest) Hand(pid int) (string, error) {
	l, err := netlink.LinkByName(guestFar)
	if err == nil {
		err = netlink.LinkSetNsPid(l, pid)
	}
	return guestFar, refused("move the guest's end of the cable", err)
}

// Close pulls the guest's cable out and leaves the interface as it was.
func (g *Guest) Close() error {
	var errs []error
	if g.nic != nil {
		g.unpatch()
	}
	if g.queue {
		g.queue = false
		err := netlink.QdiscDel(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: g.nic.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}})
		if err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, refused("take the filters off "+g.nic.Attrs().Name, err))
		}
		if now, err := netlink.LinkByIndex(g.nic.Attrs().Index); err == nil && now.Attrs().TxQLen != g.qlen {
			errs = append(errs, refused("set the queue of "+g.nic.Attrs().Name+" back", netlink.LinkSetTxQLen(now, g.qlen)))
		}
	}
	if l, err := netlink.LinkByName(GuestEnd); err == nil {
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, refused("pull the guest's cable out", err))
		}
	}
	return errors.Join(errs...)
}

// CanVisit tries, on a cable that exists for a moment, whether this kernel and this user can plug a guest into an interface.
func CanVisit() error {
	const near, far = "assay-trial", "assay-trial1"
	if old, err := netlink.LinkByName(near); err == nil {
		_ = netlink.LinkDel(old)
	}
	veth := &netlink.Veth{LinkAttrs: named(near), PeerName: far}
	if err := netlink.LinkAdd(veth); err != nil {
		return refused("add veth", err)
	}
	defer func() { _ = netlink.LinkDel(veth) }()
	if err := hook(veth); err != nil {
		return refused("filters", err)
	}
	in := netlink.NewMirredAction(veth.Attrs().Index)
	in.MirredAction = netlink.TCA_INGRESS_REDIR
	return refused("filters", steer(veth, netlink.HANDLE_MIN_INGRESS, guestRank, in))
}
