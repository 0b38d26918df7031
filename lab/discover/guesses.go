package discover

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"assay/profiles/dossier"
)

// guesses puts what was seen into the rows of a dossier.
func guesses(s seen, o Observation) dossier.Guesses {
	g := dossier.Guesses{Head: head(s, o), Unit: unit(s), Features: map[string]string{}, Rows: map[string][]dossier.Row{}}
	var says []string
	if s.hostName != "" {
		says = append(says, fmt.Sprintf("host name %q", s.hostName))
	}
	if s.vendor != "" {
		says = append(says, fmt.Sprintf("vendor class %q", s.vendor))
	}
	if len(says) > 0 {
		g.Hint = fmt.Sprintf("it says of itself over DHCP: %s, seen in frame %d", strings.Join(says, ", "), s.introduced)
	}
	for _, one := range s.services {
		serving(&g, one)
	}
	for _, c := range s.contacts {
		calling(&g, c)
	}
	return g
}

func head(s seen, o Observation) []string {
	lines := []string{
		fmt.Sprintf("Drafted by `assay init --discover` (%s) on %s from watching one device.", o.Made.Tool, o.Made.At.UTC().Format(time.RFC3339)),
	}
	if t := o.Traffic; t != nil {
		lines = append(lines, fmt.Sprintf("Capture: %s, SHA-256 %s, %d packets in %.0f s, %d of them the device's, %d lost while capturing. Frames are counted there.",
			o.Made.Capture, o.Made.Digest, t.Capture.Packets, t.Capture.Seconds, t.Capture.Selected, t.Capture.Dropped))
	}
	lines = append(lines,
		"What stands beside `# guess` was seen and not declared: confirm it or put it right. A row declares nothing",
		"while its description is `"+dossier.Placeholder+"`. What was not seen may be there all the same.")
	for _, list := range []struct {
		says  string
		words []string
	}{{"Limits: ", o.Notes}, {"Protocols seen: ", s.protocols}, {"In clear: ", s.clear}, {"Names asked for that no call to was seen: ", s.asked}} {
		if list.says == "Protocols seen: " && len(list.words) > 0 {
			lines = append(lines, list.says+strings.Join(list.words, ", "))
			continue
		}
		for _, w := range list.words {
			lines = append(lines, list.says+w)
		}
	}
	return lines
}

func unit(s seen) dossier.Row {
	row := dossier.Row{}
	from := "seen as the device that was watched"
	if s.introduced != 0 {
		from = fmt.Sprintf("seen in frame %d", s.introduced)
	}
	if s.mac != "" {
		row["mac"] = dossier.Guess{Value: strconv.Quote(s.mac), Seen: from + "; compare it with the label"}
	}
	if named(s.host) {
		row["host"] = dossier.Guess{Value: strconv.Quote(s.host), Seen: from + "; leave it out where the bench hands out the address"}
	}
	return row
}

// serving fills in a port that answers: a row of table 28, one of table 11 where it is encrypted, and features.
func serving(g *dossier.Guesses, s *service) {
	why := s.String()
	row := dossier.Row{
		"status":  {Value: "enabled", Seen: why},
		"listens": {Value: fmt.Sprintf("[{protocol: %s, port: %d%s}]", s.protocol, s.port, application(s.application)), Seen: why},
	}
	if s.application != "" {
		row["interface"] = dossier.Guess{Value: short(s.application), Seen: why}
	}
	id := add(g, "28-LogIntf", row)
	suggest(g, map[string]string{"http": "http_login", "mqtt": "mqtt_login", "coap": "coap_login", "ssh": "ssh_login", "telnet": "telnet_login"}[short(s.application)],
		fmt.Sprintf("%s answers at %s port %d, %s", s.application, s.protocol, s.port, why))
	if s.secured != nil || encrypted(s.application) {
		mechanism(g, id, "server", row["listens"], "listens", s.secured)
	}
	if s.application == "telnet" || s.application == "ssh" {
		suggest(g, "debug_interfaces", fmt.Sprintf("%s answers at port %d, %s", s.application, s.port, why))
	}
}

// calling fills in a host that the device calls: a row of table 28, of table 11 where it is encrypted, of table 7
// where its name speaks of updates, else of table 24 where it takes messages.
func calling(g *dossier.Guesses, c *contact) {
	why := c.String() + ", " + c.how
	contacts := dossier.Guess{Value: fmt.Sprintf("[{host: %s, protocol: %s, port: %d%s}]", strconv.Quote(c.host), c.protocol, c.port, application(c.application)), Seen: why}
	row := dossier.Row{"status": {Value: "enabled", Seen: why}, "contacts": contacts}
	if c.application != "" {
		row["interface"] = dossier.Guess{Value: short(c.application), Seen: why}
	}
	id := add(g, "28-LogIntf", row)
	if c.secured != nil || encrypted(c.application) {
		mechanism(g, id, "client", contacts, "contacts", c.secured)
	}
	said := fmt.Sprintf("%s is called at %s port %d, %s", c.host, c.protocol, c.port, why)
	suggest(g, map[string]string{"mqtts": "cloud_mqtts", "https": "cloud_https", "coaps": "cloud_coaps"}[c.application], said)
	switch {
	case c.updates && c.application != "ntp" && c.application != "dns":
		up := dossier.Row{"contacts": contacts}
		if slices.Contains([]string{"http", "https", "coap", "coaps", "mqtts"}, c.application) {
			up["via"] = dossier.Guess{Value: "[" + c.application + "]", Seen: why}
		}
		add(g, "7-UpdMech", up)
		suggest(g, "network_updates", said)
		suggest(g, map[string]string{"https": "update_https", "coap": "update_coap", "coaps": "update_coap"}[c.application], said)
	case slices.Contains([]string{"mqtt", "coap"}, short(c.application)):
		add(g, "24-TelData", dossier.Row{"contacts": contacts})
		suggest(g, "telemetry", said)
	}
}

// mechanism fills in a row of table 11.
func mechanism(g *dossier.Guesses, id, role string, place dossier.Guess, key string, s *secured) {
	row := dossier.Row{
		"interface": {Value: "[" + id + "]", Seen: place.Seen},
		"role":      {Value: role, Seen: place.Seen},
		key:         place,
	}
	if s != nil && len(s.versions) > 0 {
		how := "agreed upon"
		if !s.agreed {
			how = "only offered"
		}
		row["versions"] = dossier.Guess{Value: "[" + strings.Join(s.versions, ", ") + "]", Seen: how + ", " + s.String() + ", there may be more"}
	}
	if s != nil && len(s.suites) > 0 {
		row["suites"] = dossier.Guess{Value: "[" + strings.Join(s.suites, ", ") + "]", Seen: s.String() + ", there may be more"}
	}
	add(g, "11-SecComMech", row)
}

func encrypted(application string) bool {
	return slices.Contains([]string{"tls", "dtls", "https", "mqtts", "coaps"}, application)
}

func application(name string) string {
	if name == "" {
		return ""
	}
	return ", application: " + strconv.Quote(name)
}

// add appends a row and tells its id.
func add(g *dossier.Guesses, table string, row dossier.Row) string {
	g.Rows[table] = append(g.Rows[table], row)
	_, name, _ := strings.Cut(table, "-")
	return fmt.Sprintf("%s-%d", name, len(g.Rows[table]))
}

func suggest(g *dossier.Guesses, feature, why string) {
	if feature != "" {
		g.Features[feature] = cmp.Or(g.Features[feature], why)
	}
}
