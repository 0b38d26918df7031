package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"assay/lab/bench"
	"assay/lab/bench/segment"
)

const (
	arpPatience  = 500 * time.Millisecond
	dhcpPatience = time.Second
)

// nic looks at the interface; false: there is none to look further at.
func (x *examination) nic() bool {
	name := x.File.Interface
	n, err := segment.Look(name)
	if err != nil {
		var names []string
		if all, lerr := net.Interfaces(); lerr == nil {
			for _, i := range all {
				names = append(names, i.Name)
			}
		}
		x.note("interface", Problem, fmt.Sprintf("%s: %v", name, err), noBench, "bench.yaml names the interface; this machine has "+strings.Join(names, ", "))
		return false
	}
	says := fmt.Sprintf("%s: driver %s, %s, %s duplex", name, orUnknown(n.Driver), speed(n.Mbit), orUnknown(n.Duplex))
	switch {
	case !n.Up && x.mode == bench.ModeAttached:
		x.note("interface", Problem, says+"; it is down", noBench, "sudo ip link set "+name+" up")
		return false
	case !n.Up:
		x.note("interface", OK, says+"; down, the bench sets it up", "", "")
	case !n.Carrier && x.mode == bench.ModeAttached:
		x.note("interface", Problem, says+"; no carrier", noBench, "plug the cable in, and switch the device or its switch on")
	case !n.Carrier:
		x.note("interface", Warning, says+"; no carrier", "a run waits "+bench.LeasePatience.String()+" for the device and then fails", "plug the device in and switch it on")
	default:
		x.note("interface", OK, says+", up with carrier", "", "")
	}
	x.health(name, n)
	if x.mode == bench.ModeGateway {
		if err := segment.Takeable(name, x.wants()); err != nil {
			x.note("owner", Problem, err.Error(), noBench, "a gateway runs a DHCP server: name an interface that is for the device alone, or free it: sudo ip addr flush dev "+name)
			return false // nothing is sent into somebody's network
		}
		x.note("owner", OK, name+" is nobody else's", "", "")
	}
	return true
}

// health is what may make a capture on the interface lie.
func (x *examination) health(name string, n segment.Looks) {
	if n.Duplex == "half" {
		x.note("duplex", Warning, name+" runs at half duplex", noAbsence, "a duplex mismatch? let both ends negotiate: sudo ethtool -s "+name+" autoneg on")
	}
	if n.Errors+n.Dropped > 0 {
		x.note("counters", Warning, fmt.Sprintf("%s has counted %d errors and %d dropped frames since it came up", name, n.Errors, n.Dropped), noAbsence,
			"change cable or port; look whether they still rise: ip -s link show "+name)
	} else {
		x.note("counters", OK, name+" has counted no errors and no dropped frames", "", "")
	}
	if n.Promiscuous > 0 {
		x.note("promiscuity", Warning, name+" is in promiscuous mode: somebody else captures there", "none by itself; it costs time that the bench's own capture needs", "end the other capture")
	}
	on := segment.Offloads(name)
	switch {
	case len(on) == 0:
		x.note("offload", OK, name+" offloads nothing that hides true frames", "", "")
	case x.mode == bench.ModeGateway:
		x.note("offload", OK, name+" offloads "+strings.Join(on, ", ")+"; the bench switches it off, and on again afterwards", "", "")
	default:
		x.note("offload", Warning, name+" offloads "+strings.Join(on, ", ")+": captured frames are up to 64 KB long and have wrong checksums",
			"none is missed, but frames in the evidence are not those on the wire", "sudo ethtool -K "+name+" "+strings.Join(on, " off ")+" off")
	}
}

// wants are the addresses that a gateway would take.
func (x *examination) wants() []netip.Prefix {
	if p, err := bench.GatewayAddress(x.File); err == nil {
		return []netip.Prefix{p}
	}
	return nil
}

// addresses looks for addresses that more than one has.
func (x *examination) addresses(ctx context.Context) {
	if x.mode == bench.ModeGateway {
		p, err := bench.GatewayAddress(x.File)
		if err != nil {
			x.note("address", Problem, err.Error(), noBench, hint(err))
			return
		}
		x.note("address", OK, "the bench takes "+p.String(), "", "")
		x.duplicate(ctx, "the bench's address", p.Addr().String(), "", 0)
		x.rival(ctx)
	}
	if x.Dossier == nil {
		return
	}
	for _, u := range x.Dossier.Units {
		if u.Host != "" && x.mode == bench.ModeAttached {
			x.duplicate(ctx, "unit "+u.ID, u.Host, u.MAC, 1)
		}
		if u.MAC == "" && x.mode == bench.ModeGateway {
			x.note("unit "+u.ID, Warning, "the dossier has no mac for it", "it cannot be run on a gateway", "give the unit the MAC address of its label")
		}
	}
}

// duplicate asks who has an address; so many may.
func (x *examination) duplicate(ctx context.Context, what, host, mac string, may int) {
	check := "duplicate of " + what
	at, err := netip.ParseAddr(host)
	if err != nil {
		return // a name: whose it is, the resolver decides
	}
	if n, err := segment.Look(x.File.Interface); err != nil || !n.Up || !n.Carrier {
		x.note(check, OK, "not looked for: "+x.File.Interface+" is not connected", "", "")
		return
	}
	owners, err := segment.WhoHas(ctx, x.File.Interface, at, arpPatience)
	var all []string
	for _, o := range owners {
		all = append(all, o.String())
	}
	who := strings.Join(all, ", ")
	switch {
	case err != nil:
		x.note(check, Warning, "not looked for: "+err.Error(), "two owners of "+host+" would answer for each other unnoticed", "run it with the privileges of a run")
	case len(owners) > may:
		x.note(check, Problem, host+" is the address of "+who+" as well", "what answers may be anybody: no verdict would be about the device", "take the address from the other, or choose another one")
	case len(owners) == 1 && mac != "" && !strings.EqualFold(owners[0].String(), mac):
		x.note(check, Warning, host+" belongs to "+who+", the dossier says "+mac, "the capture would count the wrong frames as the device's", "correct the unit's mac or host in the dossier")
	case len(owners) < may:
		x.note(check, Warning, "nobody answers for "+host, "a run would not begin: the device is off, elsewhere, or behind a router", "switch it on")
	default:
		x.note(check, OK, host+": as it should be", "", "")
	}
}

// rival looks for another DHCP server on the segment.
func (x *examination) rival(ctx context.Context) {
	n, err := segment.Look(x.File.Interface)
	if err != nil || !n.Up || !n.Carrier || bench.MayGateway() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, dhcpPatience)
	defer cancel()
	if server := offered(ctx, x.File.Interface); server != "" {
		x.note("dhcp", Problem, "another DHCP server answers on "+x.File.Interface+": "+server, "the device may take the other's address and talk past the bench",
			"this is somebody's network: name another interface, or unplug the other server")
		return
	}
	x.note("dhcp", OK, "no other DHCP server answers on "+x.File.Interface, "", "")
}

// ports looks for other servers of this machine where the bench's shall stand.
func (x *examination) ports(ctx context.Context) {
	var taken []string
	for _, p := range bench.GatewayPorts() {
		at := fmt.Sprintf("127.0.0.1:%d", p.Port)
		var err error
		if p.Network == "udp" {
			var c net.PacketConn
			if c, err = new(net.ListenConfig).ListenPacket(ctx, "udp", at); err == nil {
				_ = c.Close()
			}
		} else {
			var l net.Listener
			if l, err = new(net.ListenConfig).Listen(ctx, "tcp", at); err == nil {
				_ = l.Close()
			}
		}
		if err != nil && strings.Contains(err.Error(), "in use") {
			taken = append(taken, fmt.Sprintf("%s %d", p.Network, p.Port))
		}
	}
	if len(taken) > 0 {
		x.note("ports", Problem, "another server of this machine may hold "+strings.Join(taken, ", "), noBench,
			"let it listen at its own addresses only, or stop it: sudo ss -lntup")
		return
	}
	x.note("ports", OK, "the ports of the bench's servers are free", "", "")
}

func (x *examination) uplink() {
	if x.File.Uplink == nil {
		x.note("uplink", OK, "none: nothing of the device leaves its segment", "", "")
		return
	}
	n, err := segment.Look(x.File.Uplink.Interface)
	switch {
	case err != nil:
		x.note("uplink", Problem, fmt.Sprintf("%s: %v", x.File.Uplink.Interface, err), noBench, "name another interface in uplink.interface, or leave the uplink out")
	case !n.Up || !n.Carrier:
		x.note("uplink", Problem, x.File.Uplink.Interface+" is not connected", noBench, "sudo ip link set "+x.File.Uplink.Interface+" up, or leave the uplink out")
	case segment.LinkFeatures().Loss != nil:
		x.note("uplink", Problem, "nftables: "+segment.LinkFeatures().Loss.Error(), noBench, "sudo modprobe nf_tables, or leave the uplink out")
	default:
		x.note("uplink", OK, "by "+x.File.Uplink.Interface+" to "+strings.Join(x.File.Uplink.Allow, ", "), "", "")
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func speed(mbit int) string {
	if mbit <= 0 {
		return "unknown speed"
	}
	return fmt.Sprintf("%d Mbit/s", mbit)
}
