package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/probes"
	"assay/profiles/dossier"
)

// besideOn puts a further unit on the segment of the first one's bench: its servers, its leases, and its capture, which
// has every frame since the interface was set up and in which the unit is found by its MAC address. The cable is everybody's:
// it cannot be cut for one of them.
func (b *Bench) besideOn(first *Bench, unit string, mac net.HardwareAddr) {
	b.leased, b.serves, b.address = first.leased, first.serves, first.address
	b.provide(b.serves, unit)
	b.Capture, b.CaptureFile, b.Probes.Sniffer = first.Capture, first.CaptureFile, first.Capture.Of(mac)
	b.description.Capture = first.description.Capture
}

// roomFor wants an address on the gateway's network for every unit of the dossier, and one for the known-good device.
func roomFor(d *dossier.Dossier, f *File, address netip.Prefix) error {
	first, _ := leased(address)
	room := 0
	for at := first; address.Contains(at.Next()) && at != address.Addr(); at = at.Next() { // the last one is for broadcasts
		room++
	}
	if len(d.Units) < room {
		return nil
	}
	return withHint(unusable(fmt.Errorf("%s: address: the network of %s has %d addresses to lease, and the dossier has %d units", f.Name, address, room, len(d.Units))),
		"give the bench a larger network: `address: 10.200.0.1/24`")
}

// awaitLease waits until the device has its address. Who else asked is told where it never did: the wrong
// label, or the wrong plug.
func (b *Bench) awaitLease(ctx context.Context, d *dossier.Dossier, mac, on string) error {
	b.say("gateway: waiting for %s to ask for an address on %s", mac, on)
	waiting, cancel := context.WithTimeout(ctx, LeasePatience)
	defer cancel()
	for next := b.Probes.Clock.Now().Add(holdPatience); b.Host() == ""; {
		if b.Probes.Clock.Wait(waiting, upInterval) == nil {
			if !b.Probes.Clock.Now().Before(next) {
				b.adopt(waiting, mac, on)
				next = b.Probes.Clock.Now().Add(holdPatience)
			}
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return noLease(b.leased.Leases(), d, mac, on)
	}
	b.say("gateway: %s has %s", mac, b.Host())
	return nil
}

// noLease tells that a unit asked for no address, and which strangers did.
func noLease(leases []services.Lease, d *dossier.Dossier, mac, on string) error {
	var strangers []string
	for _, l := range leases {
		if hw, err := net.ParseMAC(l.MAC); err == nil && ownerOf(hw, d) == "" {
			strangers = append(strangers, l.MAC)
		}
	}
	hint := "is it plugged into " + on + " and switched on? does it use DHCP?"
	if len(strangers) > 0 {
		hint = "those that did and are no unit of the dossier: " + strings.Join(strangers, ", ") + ". Is one of them the unit? then its label and the dossier's `mac` differ"
	}
	return withHint(fmt.Errorf("the unit %s asked for no address on %s within %s: %w", mac, on, LeasePatience, probes.ErrBench), hint)
}

// adopt finds a device that asks for nothing because it still holds the lease of an earlier run: it has the
// very address that it would get, and answers for it by its own MAC address.
func (b *Bench) adopt(ctx context.Context, mac, on string) {
	at, ok := b.leased.Expected(mac)
	if !ok {
		return
	}
	owners, err := segment.WhoHas(ctx, on, at, holdAnswer)
	if err == nil && len(owners) == 1 && strings.EqualFold(owners[0].String(), mac) {
		b.leased.Adopt(mac)
		b.note("%s asked for no address: it still holds %s of an earlier run", mac, at)
	}
}

// takeHint tells what to do about an interface that cannot be the bench's own.
func takeHint(err error, name string) error {
	err = fmt.Errorf("%w: %w", err, probes.ErrBench)
	var used *segment.InUseError
	if errors.As(err, &used) {
		return withHint(err, "a gateway runs a DHCP server, which would harm others on that network: name an interface that is for the device alone, or free it first: sudo ip addr flush dev "+name)
	}
	return withHint(err, "`assay doctor --bench` tells what is wrong with "+name)
}
