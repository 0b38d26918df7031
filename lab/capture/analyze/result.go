package analyze

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"assay/lab/capture"
	"assay/lab/capture/wire"
)

// result ends the pass and puts everything into order.
func (a *analyzer) result(r *capture.Reader) *Analysis {
	for f := a.flows.oldest(); f != nil; f = a.flows.oldest() {
		a.finish(f)
	}
	a.about(r)
	*a.total("tcp flows") += a.flows.tcp
	*a.total("udp flows") += a.flows.udp
	out := &Analysis{
		Device: a.options.Device, Capture: a.capture, Notes: a.limits(),
		Credentials: sorted(a.secrets, func(x, y *Credential) int { return cmp.Compare(x.Frame, y.Frame) }),
		ClearText:   sorted(a.clear, func(x, y *ClearText) int { return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Frame, y.Frame)) }),
		Names: sorted(a.names.known, func(x, y *Name) int {
			return cmp.Or(cmp.Compare(x.Frame, y.Frame), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Address, y.Address))
		}),
		DNS: sorted(a.dns, func(x, y *DNSName) int {
			return cmp.Or(cmp.Compare(x.Frame, y.Frame), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Type, y.Type))
		}),
		DHCP: sorted(a.dhcp, func(x, y *DHCPClient) int { return cmp.Compare(x.Frame, y.Frame) }),
		Others: sorted(a.others, func(x, y *Message) int {
			return cmp.Or(cmp.Compare(x.Protocol, y.Protocol), cmp.Compare(x.Frame, y.Frame))
		}),
		Protocols: sorted(a.protocols, func(x, y *Protocol) int {
			return cmp.Or(cmp.Compare(y.Packets, x.Packets), cmp.Compare(x.Name, y.Name))
		}),
		Attempts: sorted(a.attempts, func(x, y *Attempts) int { return cmp.Compare(x.Frame, y.Frame) }),
		TLS:      values(a.tls.items), MQTT: values(a.mqtt.items), CoAP: values(a.exchanges.items), HTTP: values(a.http.items),
		Totals: map[string]Count{}, Flows: a.flows.done, Services: []Service{}, Endpoints: []Endpoint{},
	}
	for name, n := range a.totals {
		out.Totals[name] = *n
	}
	if out.Flows == nil {
		out.Flows = []Flow{}
	}
	slices.SortStableFunc(out.Flows, func(x, y Flow) int { return cmp.Compare(x.Frame, y.Frame) })
	for _, s := range a.services {
		s.Clients = Count(len(s.clients))
		out.Services = append(out.Services, s.Service)
	}
	slices.SortFunc(out.Services, func(x, y Service) int {
		return cmp.Or(byAddress(x.Server, y.Server), cmp.Compare(x.Transport, y.Transport))
	})
	a.addresses(out)
	return out
}

func byAddress(x, y string) int {
	p, errP := netip.ParseAddrPort(x)
	q, errQ := netip.ParseAddrPort(y)
	if errP != nil || errQ != nil {
		return strings.Compare(x, y)
	}
	return p.Compare(q)
}

func (a *analyzer) addresses(out *Analysis) {
	called := map[netip.Addr][]string{}
	for _, n := range out.Names {
		if addr, err := netip.ParseAddr(n.Address); err == nil && len(called[addr]) < 8 && !slices.Contains(called[addr], n.Name) {
			called[addr] = append(called[addr], n.Name)
		}
	}
	for addr, e := range a.endpoints.known {
		out.Endpoints = append(out.Endpoints, e.result(called[addr]))
	}
	slices.SortFunc(out.Endpoints, func(x, y Endpoint) int {
		return cmp.Or(cmp.Compare(y.SentPackets+y.ReceivedPackets, x.SentPackets+x.ReceivedPackets), strings.Compare(x.Address, y.Address))
	})
}

func sorted[K comparable, V any](table map[K]*V, order func(x, y *V) int) []V {
	items := slices.SortedFunc(maps.Values(table), order)
	return values(items)
}

func values[V any](items []*V) []V {
	out := make([]V, 0, len(items))
	for _, v := range items {
		out = append(out, *v)
	}
	return out
}

// about copies what the file says of itself.
func (a *analyzer) about(r *capture.Reader) {
	c := &a.capture
	c.Format, c.Application, c.Secrets = r.Format(), clean(r.Application()), r.Secrets()
	for _, text := range r.Comments() {
		c.Comments = append(c.Comments, clean(text))
	}
	c.Seconds = c.Last.Sub(c.First).Seconds()
	c.Interfaces = []Interface{}
	for i, known := range r.Interfaces() {
		link := wire.LinkName(known.Link)
		if link == "" {
			link = fmt.Sprintf("link type %d", known.Link)
		}
		out := Interface{
			Name: clean(known.Name), Description: clean(known.Description), Link: link, SnapLength: known.Snap, Filter: clean(known.Filter),
			Counted: known.Counted, Received: known.Received, Dropped: known.Dropped,
		}
		if i < len(a.perLink) {
			out.Packets = a.perLink[i]
		}
		c.Dropped += known.Dropped
		c.DropsCounted = c.DropsCounted || known.Counted
		c.Interfaces = append(c.Interfaces, out)
	}
}

// limits tells what this analysis rests on and what it left out.
func (a *analyzer) limits() []string {
	c := &a.capture
	if c.Dropped > 0 {
		a.note("%d packets were lost while capturing: absence proves nothing here", c.Dropped)
	}
	if c.CutPackets > 0 {
		a.note("%d packets were captured only in part: what their ends held is unknown", c.CutPackets)
	}
	for link, n := range a.links {
		a.note("%d packets of link type %d cannot be read", n, link)
	}
	if n := a.flows.evicted; n > 0 {
		a.note("more than %d flows at a time: %d that were silent longest were closed early and may be listed twice", maxFlows, n)
	}
	if n := a.flows.unlisted; n > 0 {
		a.note("%d flows are counted but not listed: the list holds %d, of refused ones %d", n, maxFlowsListed, maxRefused)
	}
	for _, what := range slices.Sorted(maps.Keys(a.overflowed)) {
		a.note("%d times there was no room for more %s", a.overflowed[what], what)
	}
	if a.notes == nil {
		return []string{}
	}
	return a.notes
}
