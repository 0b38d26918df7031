// Package discover drafts a dossier from what was seen of a device: the analysis of a capture and, where a bench
// could knock, a scan of its ports. All that it writes is a guess and marked as one: it never declares, never
// denies a feature, and never touches the network.
package discover

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"assay/lab/capture/analyze"
	"assay/probes"
	"assay/profiles/dossier"
)

// An Observation is all that was seen of one device.
type Observation struct {
	MAC, Host string            // the device; one of them may be empty
	Traffic   *analyze.Analysis // of the device's frames only; nil: nothing was captured
	Scan      *probes.Scan      // nil: nobody knocked at its ports
	Inside    map[int]probes.Speech
	Notes     []string // what limits the observation
	Made      Made
}

// Made tells how a draft came about.
type Made struct {
	At      time.Time
	Tool    string // name and version
	Capture string // file name
	Digest  string // of the capture, SHA-256 in hexadecimal digits
}

// Draft writes the dossier.
func Draft(o Observation) ([]byte, error) {
	b, err := dossier.Draft(guesses(look(o), o))
	if err != nil {
		return nil, fmt.Errorf("draft a dossier of %s: %w", cmp.Or(o.MAC, o.Host), err)
	}
	return b, nil
}

// A sight is where something was seen.
type sight struct {
	frames []uint64
	scan   bool
}

func (s *sight) add(frame uint64) {
	if frame != 0 && !slices.Contains(s.frames, frame) && len(s.frames) < maxSights {
		s.frames = append(s.frames, frame)
		slices.Sort(s.frames)
	}
}

// String tells it, e.g. "seen in frames 12-15".
func (s *sight) String() string {
	var frames string
	switch n := len(s.frames); n {
	case 0:
	case 1:
		frames = fmt.Sprintf("seen in frame %d", s.frames[0])
	default:
		frames = fmt.Sprintf("seen in frames %d-%d", s.frames[0], s.frames[n-1])
	}
	switch {
	case s.scan && frames != "":
		return "found open by the scan, " + frames
	case s.scan:
		return "found open by the scan"
	}
	return cmp.Or(frames, "seen")
}

// A secured is what was seen of TLS or DTLS at one place.
type secured struct {
	sight
	versions, suites []string
	agreed           bool // versions were agreed upon, not only offered
}

// A service is a port at which the device answers.
type service struct {
	protocol    string // tcp, udp
	port        int
	application string
	secured     *secured
	sight
}

// A contact is a host that the device calls.
type contact struct {
	host, protocol string
	port           int
	application    string
	how            string // how the name was found
	updates        bool
	secured        *secured
	sight
}

// A seen is an observation in the dossier's terms.
type seen struct {
	mac, host, hostName, vendor string
	introduced                  uint64 // the frame of its first DHCP message
	services                    []*service
	contacts                    []*contact
	clear                       []string
	protocols                   []string
	asked                       []string // names that it asked for without calling anybody
}

// The bounds of a draft. A device can call everybody; a person has to read what comes of it.
const (
	maxSights   = 64
	maxServices = 64
	maxContacts = 64
	maxWords    = 32
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// named tells whether a text can be a host in a dossier: it came from the network.
func named(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}

// A watcher goes through one observation.
type watcher struct {
	o   Observation
	own map[netip.Addr]bool
	out seen
}

func look(o Observation) seen {
	w := &watcher{o: o, own: map[netip.Addr]bool{}, out: seen{mac: strings.ToLower(o.MAC), host: o.Host}}
	if at, err := netip.ParseAddr(o.Host); err == nil {
		w.own[at.Unmap()] = true
	}
	w.scanned()
	if o.Traffic != nil {
		w.introduces()
		w.serves()
		w.calls()
		w.secures()
		w.plain()
		w.asks()
	}
	slices.SortFunc(w.out.services, func(a, b *service) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.port, b.port))
	})
	slices.SortFunc(w.out.contacts, func(a, b *contact) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.port, b.port))
	})
	return w.out
}

// scanned takes what the bench found out by knocking.
func (w *watcher) scanned() {
	if w.o.Scan == nil {
		return
	}
	for _, ports := range []struct {
		protocol string
		list     []probes.Port
	}{{"tcp", w.o.Scan.TCP}, {"udp", w.o.Scan.UDP}} {
		for _, p := range ports.list {
			if p.State != probes.PortOpen || len(w.out.services) == maxServices {
				continue
			}
			w.out.services = append(w.out.services, &service{
				protocol: ports.protocol, port: p.Number, sight: sight{scan: true},
				application: spoken(string(p.Speaks), string(w.o.Inside[p.Number]), p.Number),
			})
		}
	}
}

// introduces takes what the device says of itself before it has an address.
func (w *watcher) introduces() {
	for _, e := range w.o.Traffic.Endpoints {
		if at, err := netip.ParseAddr(e.Address); err == nil && w.out.mac != "" && slices.Contains(e.MACs, w.out.mac) && at.IsValid() && !at.IsUnspecified() {
			w.own[at] = true
			if w.out.host == "" && at.Is4() {
				w.out.host = e.Address
			}
		}
	}
	for _, c := range w.o.Traffic.DHCP {
		if w.out.mac != "" && c.MAC == w.out.mac {
			w.out.hostName, w.out.vendor, w.out.introduced = c.HostName, c.VendorClass, c.Frame
			if c.Address != "" && w.o.Host == "" {
				w.out.host = c.Address
			}
		}
	}
}

// ours reads an end of a flow, and tells whether it is the device's.
func (w *watcher) ours(end string) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(end)
	return at, err == nil && w.own[at.Addr()]
}

// serves takes the ports at which the device was heard to answer.
func (w *watcher) serves() {
	for _, s := range w.o.Traffic.Services {
		at, ours := w.ours(s.Server)
		if !ours || at.Port() == 0 || s.Transport == "udp" && (at.Port() == 68 || at.Port() == 546) {
			continue
		}
		one := w.service(s.Transport, int(at.Port()))
		if one == nil && len(w.out.services) < maxServices {
			one = &service{protocol: s.Transport, port: int(at.Port()), application: spoken(s.Protocol, "", int(at.Port()))}
			w.out.services = append(w.out.services, one)
		}
		if one != nil {
			one.add(s.Frame)
		}
	}
}

func (w *watcher) service(protocol string, port int) *service {
	for _, s := range w.out.services {
		if s.protocol == protocol && s.port == port {
			return s
		}
	}
	return nil
}
