package traffic

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"assay/lab/capture/analyze"
)

func sections(a *analyze.Analysis) []section {
	return []section{
		credentials(a), clearText(a), handshakes(a), certificates(a), services(a), attempts(a), endpoints(a), names(a),
		mqtt(a), coap(a), http(a), dns(a), dhcp(a), others(a), protocols(a), flows(a),
	}
}

func frame(n uint64) string { return fmt.Sprint(n) }

func credentials(a *analyze.Analysis) section {
	s := section{title: "Credentials that went in clear", alarm: true, columns: []string{"protocol", "client", "server", "user", "secret", "where", "seen", "frame"}}
	for _, c := range a.Credentials {
		s.rows = append(s.rows, []string{c.Protocol, c.Client, c.Server, c.User, c.Secret, c.Where, fmt.Sprint(c.Seen), frame(c.Frame)})
	}
	return s
}

func clearText(a *analyze.Analysis) section {
	s := section{title: "Conversations without encryption", columns: []string{"protocol", "client", "server", "flows", "packets", "bytes", "frame"}}
	for _, c := range a.ClearText {
		s.rows = append(s.rows, []string{c.Protocol, c.Client, c.Server, fmt.Sprint(c.Flows), fmt.Sprint(c.Packets), size(c.Bytes), frame(c.Frame)})
	}
	return s
}

func handshakes(a *analyze.Analysis) section {
	s := section{title: "TLS and DTLS", columns: []string{"client", "server", "for", "offered", "chosen", "cipher suite", "ALPN", "JA4", "end", "times", "frame"}}
	times := map[string]int{}
	var order [][]string
	for _, t := range a.TLS {
		row := []string{host(t.Client), t.Server, t.ServerName, strings.Join(t.Offered, " "), cmp.Or(t.Version, "nothing"), t.CipherSuite, t.ALPN, t.JA4, ending(t)}
		key := strings.Join(row, "\x00")
		if times[key]++; times[key] == 1 {
			order = append(order, append(row, key, frame(t.Frame)))
		}
	}
	for _, row := range order {
		row[len(row)-2] = fmt.Sprint(times[row[len(row)-2]])
		s.rows = append(s.rows, row)
	}
	return s
}

func certificates(a *analyze.Analysis) section {
	s := section{title: "Certificates seen", columns: []string{"from", "subject", "names", "issuer", "from day", "to day", "then", "frame"}}
	seen := map[string]bool{}
	for _, t := range a.TLS {
		for _, c := range t.Certificates {
			if seen[c.SHA256] {
				continue
			}
			seen[c.SHA256] = true
			then := "valid"
			switch {
			case c.Error != "":
				then = c.Error
			case !c.Valid:
				then = "not valid"
			}
			from := t.Server
			if c.From == "client" {
				from = t.Client
			}
			s.rows = append(s.rows, []string{from, c.Subject, strings.Join(c.Names, " "), c.Issuer, c.NotBefore.Format("2006-01-02"), c.NotAfter.Format("2006-01-02"), then, frame(t.Frame)})
		}
	}
	return s
}

// host takes the port off an address.
func host(end string) string {
	if p, err := netip.ParseAddrPort(end); err == nil {
		return p.Addr().String()
	}
	return end
}

func ending(t analyze.TLSSession) string {
	switch {
	case len(t.Alerts) > 0 && !t.Completed:
		return t.Alerts[0].From + " " + t.Alerts[0].Text
	case t.Resumed:
		return "data, resumed"
	case t.Completed:
		return "data"
	}
	return "no data"
}

func services(a *analyze.Analysis) section {
	s := section{title: "Services", columns: []string{"server", "transport", "protocol", "encrypted", "clients", "flows", "refused", "frame"}}
	for _, v := range a.Services {
		s.rows = append(s.rows, []string{v.Server, v.Transport, v.Protocol, yes(v.Encrypted), fmt.Sprint(v.Clients), fmt.Sprint(v.Flows), fmt.Sprint(v.Refused), frame(v.Frame)})
	}
	return s
}

func attempts(a *analyze.Analysis) section {
	s := section{title: "Ports tried in vain", columns: []string{"client", "server", "transport", "refused", "unanswered", "ports", "frame"}}
	for _, t := range a.Attempts {
		s.rows = append(s.rows, []string{t.Client, t.Server, t.Transport, fmt.Sprint(t.Refused), fmt.Sprint(t.Unanswered), fmt.Sprintf("%d to %d", t.LowestPort, t.HighestPort), frame(t.Frame)})
	}
	return s
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func endpoints(a *analyze.Analysis) section {
	s := section{title: "Endpoints", columns: []string{"address", "MAC", "names", "sent", "received"}}
	for _, e := range a.Endpoints {
		s.rows = append(s.rows, []string{e.Address, strings.Join(e.MACs, " "), strings.Join(e.Names, " "),
			fmt.Sprintf("%d packets, %s", e.SentPackets, size(e.SentBytes)), fmt.Sprintf("%d packets, %s", e.ReceivedPackets, size(e.ReceivedBytes))})
	}
	return s
}

func names(a *analyze.Analysis) section {
	s := section{title: "Names", columns: []string{"name", "address", "told by", "frame"}}
	for _, n := range a.Names {
		s.rows = append(s.rows, []string{n.Name, n.Address, n.Source, frame(n.Frame)})
	}
	return s
}

func counts(m map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, m[name]))
	}
	return strings.Join(parts, ", ")
}

func mqtt(a *analyze.Analysis) section {
	s := section{title: "MQTT", columns: []string{"client", "server", "as", "what", "how", "frame"}}
	for _, m := range a.MQTT {
		code := "no answer"
		if m.Code >= 0 {
			code = fmt.Sprintf("code %d", m.Code)
		}
		how := fmt.Sprintf("%s, %s; %s", m.Version, code, counts(m.Packets))
		s.rows = append(s.rows, []string{m.Client, m.Server, m.ClientID, "connects", how, frame(m.Frame)})
		if m.Will != nil {
			s.rows = append(s.rows, []string{"", "", "", "leaves a will", fmt.Sprintf("%s, QoS %d, %d bytes", m.Will.Topic, m.Will.QoS, m.Will.Bytes), frame(m.Frame)})
		}
		for _, f := range m.Subscribed {
			s.rows = append(s.rows, []string{"", "", "", "subscribes", fmt.Sprintf("%s, QoS %d, granted %d", f.Filter, f.QoS, f.Granted), frame(f.Frame)})
		}
		for _, t := range m.Published {
			s.rows = append(s.rows, []string{"", "", "", t.From + " publishes", fmt.Sprintf("%s, QoS %d: %d messages, %d retained, %s", t.Topic, t.QoS, t.Messages, t.Retained, size(t.Bytes)), frame(t.Frame)})
		}
	}
	return s
}

func coap(a *analyze.Analysis) section {
	s := section{title: "CoAP", columns: []string{"client", "server", "request", "answer", "sent", "received", "frames"}}
	body := func(b analyze.Body) string {
		text := size(b.Bytes)
		if b.Blocks > 0 {
			text += fmt.Sprintf(" in %d blocks", b.Blocks)
			if !b.Whole {
				text += ", not whole"
			}
		}
		return text
	}
	for _, e := range a.CoAP {
		answer := cmp.Or(e.Code, "none")
		if e.Observe {
			answer += fmt.Sprintf(", observed, %d notifications", e.Notifications)
		}
		s.rows = append(s.rows, []string{e.Client, e.Server, e.Method + " " + e.Path, answer, body(e.Sent), body(e.Received), fmt.Sprintf("%d-%d", e.Frame, e.LastFrame)})
	}
	return s
}

func http(a *analyze.Analysis) section {
	s := section{title: "HTTP", columns: []string{"client", "server", "request", "host", "status", "type", "frame"}}
	for _, e := range a.HTTP {
		s.rows = append(s.rows, []string{e.Client, e.Server, e.Method + " " + e.Path, e.Host, fmt.Sprint(e.Status), e.Type, frame(e.Frame)})
	}
	return s
}

func dns(a *analyze.Analysis) section {
	s := section{title: "Names asked for", columns: []string{"name", "type", "by", "asked", "answers", "code", "frame"}}
	for _, n := range a.DNS {
		s.rows = append(s.rows, []string{n.Name, n.Type, n.Protocol, fmt.Sprint(n.Queries), strings.Join(n.Answers, " "), n.Code, frame(n.Frame)})
	}
	return s
}

func dhcp(a *analyze.Analysis) section {
	s := section{title: "DHCP", columns: []string{"MAC", "host name", "vendor class", "leased", "server", "messages", "parameters", "frame"}}
	for _, d := range a.DHCP {
		s.rows = append(s.rows, []string{d.MAC, d.HostName, d.VendorClass, d.Address, d.Server, counts(d.Messages), d.Parameters, frame(d.Frame)})
	}
	return s
}

func others(a *analyze.Analysis) section {
	s := section{title: "Other messages", columns: []string{"protocol", "from", "to", "what", "packets", "frame"}}
	for _, m := range a.Others {
		s.rows = append(s.rows, []string{m.Protocol, m.From, m.To, m.Info, fmt.Sprint(m.Packets), frame(m.Frame)})
	}
	return s
}

func protocols(a *analyze.Analysis) section {
	s := section{title: "Protocols", columns: []string{"protocol", "encrypted", "flows", "packets", "bytes"}}
	for _, p := range a.Protocols {
		s.rows = append(s.rows, []string{p.Name, yes(p.Encrypted), fmt.Sprint(p.Flows), fmt.Sprint(p.Packets), size(p.Bytes)})
	}
	return s
}

func flows(a *analyze.Analysis) section {
	s := section{title: "Flows", columns: []string{"transport", "client", "server", "protocol", "state", "packets", "bytes", "seconds", "frame"}}
	for _, f := range a.Flows {
		state := f.State
		if f.Gaps {
			state += ", gaps"
		}
		s.rows = append(s.rows, []string{f.Transport, f.Client, f.Server, f.Protocol, state, fmt.Sprint(f.ClientPackets + f.ServerPackets),
			size(f.ClientBytes + f.ServerBytes), fmt.Sprintf("%.3f", f.Last.Sub(f.First).Seconds()), frame(f.Frame)})
	}
	return s
}
