package segment

import (
	"errors"
	"net"

	"github.com/vishvananda/netlink"
)

// Plug plugs one more device's cable into the bridge: end is the name of the bench's side, in which the
// device is captured. The device's side is handed out by Hand, before the next cable is plugged.
func (s *Segment) Plug(end, device string) error {
	mac, err := net.ParseMAC(device)
	if err != nil {
		return refused("device address", err)
	}
	bridge, err := netlink.LinkByName(Bridge)
	if err != nil {
		return refused("find bridge", err)
	}
	veth := &netlink.Veth{LinkAttrs: named(end), PeerName: UnitEnd, PeerHardwareAddr: mac}
	if err := netlink.LinkAdd(veth); err != nil {
		return refused("add veth", err)
	}
	s.plugged = append(s.plugged, end)
	off := map[string][]string{}
	for _, name := range []string{end, UnitEnd} {
		if off[name], err = offloadsOff(name); err != nil {
			return refused("switch offloads off on "+name, err)
		}
	}
	err = errors.Join(netlink.LinkSetMaster(veth, bridge), netlink.LinkSetUp(veth))
	s.interfaces = append(s.interfaces, Interface{Name: end, OffloadsOff: off[end]}, Interface{Name: UnitEnd, MAC: mac.String(), OffloadsOff: off[UnitEnd]})
	return refused("plug the cable into the bridge", err)
}
