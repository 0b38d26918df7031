package bench

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"

	"assay/lab/bench/intercept"
	"assay/probes"
	"assay/profiles/dossier"
)

// A caller is a unit, and how a call is told to be its.
type caller struct {
	unit string
	from func(net.Addr) bool
}

// callers are the units whose calls are told apart: the bench's own first, and where several are tested every other of the
// dossier. Each is known by the address that is kept for its MAC address, leased already or not, or by the declared one where
// the bench leases none. over6 is the interface on which the kernel knows who calls over IPv6; empty: nobody does.
func (b *Bench) callers(ctx context.Context, o Options, over6, mac string) []caller {
	one := func(id string, host func() string, mac string) caller {
		c := caller{id, callsFrom(ctx, b.keptFor(mac, host))}
		if hw, _ := net.ParseMAC(mac); over6 != "" {
			c.from = callsFrom6(context.WithoutCancel(ctx), c.from, over6, hw)
		}
		return c
	}
	all := []caller{one(o.Unit, b.Host, mac)}
	if !o.Several {
		return all
	}
	for _, u := range o.Dossier.Units {
		switch {
		case u.ID == o.Unit:
		case b.leased == nil && u.Host != "":
			all = append(all, one(u.ID, func() string { return u.Host }, ""))
		case b.leased != nil && u.MAC != "":
			all = append(all, one(u.ID, func() string { return "" }, u.MAC))
		}
	}
	return all
}

// keptFor is the address of a MAC address whether it was leased yet or not: a device may still hold it and call.
func (b *Bench) keptFor(mac string, otherwise func() string) func() string {
	leases := b.leased
	if leases == nil {
		return otherwise
	}
	return func() string {
		if at, kept := leases.Expected(mac); kept {
			return at.String()
		}
		return otherwise()
	}
}

// leaseOf is the address that a MAC address has been leased; empty: none.
func (b *Bench) leaseOf(mac string) string {
	if l, ok := b.leased.Lease(mac); ok {
		return l.Address.String()
	}
	return ""
}

// intercept stands at the ways in to the cloud, for each unit by itself.
func (v *servers) intercept(cloud intercept.Cloud, s serving) {
	o := intercept.Options{Cloud: cloud, Now: Clock{}.Now, Keys: s.keys, Log: s.log}
	if len(s.callers) > 0 {
		o.From = s.callers[0].from
	}
	if len(s.callers) > 1 {
		o.Unit = s.callers[0].unit
	}
	v.impostor = intercept.New(o)
	v.units = map[string]*intercept.Unit{}
	for n, c := range s.callers {
		if v.units[c.unit] = v.impostor.Unit; n > 0 {
			v.units[c.unit] = v.impostor.Another(c.unit, c.from)
		}
	}
}

// updatesFor is the update server for one unit. Where several are tested, what another one fetches is not its.
func (v *servers) updatesFor(unit string, several bool) probes.Updates {
	if !several {
		return v.updates
	}
	from := func(net.Addr) bool { return false }
	if n := slices.IndexFunc(v.callers, func(c caller) bool { return c.unit == unit }); n >= 0 {
		from = v.callers[n].from
	}
	return v.updates.For(unit, from)
}

// ownerOf finds the unit with a MAC address; empty: none has it.
func ownerOf(mac net.HardwareAddr, d *dossier.Dossier) string {
	for _, u := range d.Units {
		if hw, err := net.ParseMAC(u.MAC); err == nil && bytes.Equal(hw, mac) {
			return u.ID
		}
	}
	return ""
}

// A Stranger is somebody on the bench's own segment who is no unit of the dossier, for the record.
type Stranger struct {
	MAC     string `json:"mac"`
	Address string `json:"address,omitempty"` // that the bench has leased to it
}

// Strangers lists whose frames came in on a gateway's interface and are no unit's. Nothing of them counts as a unit's.
func (b *Bench) Strangers() []Stranger {
	if b.Mode != ModeGateway || b.Capture == nil || b.proof == nil {
		return nil
	}
	var out []Stranger
	for _, mac := range b.Capture.Senders() {
		if ownerOf(mac, b.proof.dossier) == "" && !bytes.Equal(mac, b.proof.mac) {
			out = append(out, Stranger{MAC: mac.String(), Address: b.leaseOf(mac.String())})
		}
	}
	slices.SortFunc(out, func(a, c Stranger) int { return strings.Compare(a.MAC, c.MAC) })
	return out
}

// String names it, for the story.
func (s Stranger) String() string {
	if s.Address == "" {
		return s.MAC
	}
	return s.MAC + " (" + s.Address + ")"
}
