package discover

import (
	"net/netip"
	"slices"
	"strings"

	"assay/lab/capture/analyze"
)

// calls takes the hosts that the device turned to by itself.
func (w *watcher) calls() {
	network := w.network()
	for _, f := range w.o.Traffic.Flows {
		_, ours := w.ours(f.Client)
		to, err := netip.ParseAddrPort(f.Server)
		if !ours || err != nil || w.own[to.Addr()] || to.Addr().IsMulticast() || !to.Addr().IsValid() || broadcast(to.Addr()) {
			continue
		}
		host, how := w.name(f, to.Addr())
		if given(f, host, network[to.Addr()]) {
			continue
		}
		if host == "" {
			host, how = to.Addr().String(), "no name was seen for it"
		}
		w.contact(f, host, how, to.Port())
	}
}

// given tells what every network gives its devices and no maker has chosen. A bench that answers for every name
// has one address for all of them, so that a name server or a clock there may seem to have any name.
func given(f analyze.Flow, host string, network bool) bool {
	switch f.Protocol {
	case "DHCP", "DHCPv6":
		return true
	case "DNS":
		return network || host == ""
	case "NTP":
		return network && !strings.Contains(host, "ntp") && !strings.Contains(host, "time")
	}
	return false
}

func (w *watcher) contact(f analyze.Flow, host, how string, port uint16) {
	if !named(host) || port == 0 {
		return
	}
	i := slices.IndexFunc(w.out.contacts, func(c *contact) bool {
		return c.host == host && c.protocol == f.Transport && c.port == int(port)
	})
	if i < 0 {
		if len(w.out.contacts) == maxContacts {
			return
		}
		i = len(w.out.contacts)
		w.out.contacts = append(w.out.contacts, &contact{host: host, protocol: f.Transport, port: int(port), how: how, updates: updating(host)})
	}
	c := w.out.contacts[i]
	c.add(f.Frame)
	if application := spoken(f.Protocol, "", int(port)); c.application == "" || c.application == usual(f.Transport, int(port)) {
		c.application = application
		if application == "" {
			c.application = usual(f.Transport, int(port))
		}
	}
}

// updating tells whether a host's name says that updates come from it.
func updating(host string) bool {
	first, _, _ := strings.Cut(strings.ToLower(host), ".")
	for _, word := range []string{"update", "firmware", "ota", "fw", "fota", "dfu"} {
		if strings.HasPrefix(first, word) {
			return true
		}
	}
	return false
}

// name finds out whom a flow was meant for: what its handshake names, or the name that was given this address last before it began.
func (w *watcher) name(f analyze.Flow, to netip.Addr) (host, how string) {
	for _, s := range w.o.Traffic.TLS {
		if s.Client == f.Client && s.Server == f.Server && s.ServerName != "" {
			return strings.ToLower(s.ServerName), "named in its TLS handshake"
		}
	}
	var at uint64
	for _, n := range w.o.Traffic.Names {
		if n.Address == to.String() && n.Source == "DNS" && n.Frame >= at && n.Frame <= f.Frame {
			host, how, at = strings.TrimSuffix(strings.ToLower(n.Name), "."), "by the name asked for last", n.Frame
		}
	}
	return host, how
}

// network lists what DHCP told the device to use.
func (w *watcher) network() map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, c := range w.o.Traffic.DHCP {
		if w.out.mac != "" && c.MAC != w.out.mac {
			continue
		}
		for _, text := range append([]string{c.Server, c.Router}, c.Resolvers...) {
			if at, err := netip.ParseAddr(text); err == nil {
				out[at] = true
			}
		}
	}
	return out
}

// broadcast is the limited broadcast, or what ends like a network's.
func broadcast(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	return a.As4()[3] == 255 || a.IsUnspecified()
}

// secures takes what handshakes show from outside.
func (w *watcher) secures() {
	for _, s := range w.o.Traffic.TLS {
		to, err := netip.ParseAddrPort(s.Server)
		if err != nil {
			continue
		}
		protocol := "tcp"
		if s.Protocol == "DTLS" {
			protocol = "udp"
		}
		if _, ours := w.ours(s.Server); ours {
			if one := w.service(protocol, int(to.Port())); one != nil && s.Version != "" {
				one.secured = one.secured.and(s, false)
			}
			continue
		}
		if _, ours := w.ours(s.Client); !ours {
			continue
		}
		host, _ := w.name(analyze.Flow{Client: s.Client, Server: s.Server, Frame: s.Frame}, to.Addr())
		if host == "" {
			host = to.Addr().String()
		}
		for _, c := range w.out.contacts {
			if c.host == host && c.protocol == protocol && c.port == int(to.Port()) {
				c.secured = c.secured.and(s, true)
				c.application = web(c.application, append(s.ALPNOffered, s.ALPN))
			}
		}
	}
}

// web tells HTTPS by the protocols that a handshake offers (RFC 7301).
func web(application string, offered []string) string {
	if application == "tls" && (slices.Contains(offered, "h2") || slices.Contains(offered, "http/1.1")) {
		return "https"
	}
	return application
}

// and adds a handshake. What a client only offered counts until something was agreed upon: it is all that shows.
func (s *secured) and(t analyze.TLSSession, client bool) *secured {
	if s == nil {
		s = &secured{}
	}
	versions := []string{t.Version}
	if t.Version == "" {
		if !client || s.agreed {
			return s
		}
		versions = t.Offered
	} else if !s.agreed {
		s.agreed, s.versions = true, nil
	}
	s.add(t.Frame)
	for _, v := range versions {
		if known(v) && !slices.Contains(s.versions, v) {
			s.versions = append(s.versions, v)
		}
	}
	slices.Sort(s.versions)
	if strings.HasPrefix(t.CipherSuite, "TLS_") && !slices.Contains(s.suites, t.CipherSuite) && len(s.suites) < maxWords {
		s.suites = append(s.suites, t.CipherSuite)
	}
	return s
}

// known are the versions that a dossier can name.
func known(version string) bool {
	return slices.Contains([]string{"TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3", "DTLS 1.0", "DTLS 1.2", "DTLS 1.3"}, version)
}

// plain lists what the device says or is told without encryption, and all that was recognised.
func (w *watcher) plain() {
	for _, c := range w.o.Traffic.ClearText {
		from, err := netip.ParseAddr(c.Client) // clients change their ports, so none is told
		client := err == nil && w.own[from]
		at, server := w.ours(c.Server)
		// What a scan said to ports where nobody is shows nothing of the device.
		server = server && (w.service("tcp", int(at.Port())) != nil || w.service("udp", int(at.Port())) != nil)
		if (client || server) && len(w.out.clear) < maxWords {
			s := sight{frames: []uint64{c.Frame}}
			w.out.clear = append(w.out.clear, c.Protocol+" from "+c.Client+" to "+c.Server+", "+s.String())
		}
	}
	for _, p := range w.o.Traffic.Protocols {
		if len(w.out.protocols) < maxWords {
			w.out.protocols = append(w.out.protocols, p.Name)
		}
	}
}

// asks lists names that the device asked for and called nobody by.
func (w *watcher) asks() {
	for _, d := range w.o.Traffic.DNS {
		name := strings.TrimSuffix(strings.ToLower(d.Name), ".")
		called := slices.ContainsFunc(w.out.contacts, func(c *contact) bool { return c.host == name })
		mine := slices.ContainsFunc(d.Clients, func(c string) bool {
			at, err := netip.ParseAddr(c)
			return err == nil && w.own[at]
		})
		if d.Protocol == "DNS" && mine && !called && !slices.Contains(w.out.asked, name) && len(w.out.asked) < maxWords {
			w.out.asked = append(w.out.asked, name)
		}
	}
}
