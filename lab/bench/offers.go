package bench

import (
	"os"
	"slices"
	"strings"

	"assay/lab/bench/segment"
	"assay/probes"
	"assay/profiles/dossier"
)

// Offers tells which instruments a bench of this mode will have for a dossier, and why not the
// others, before anything is built. file is bench.yaml, for a bench that has one. Whether a person
// sits at the bench is not the bench's to know.
func Offers(mode string, file *File, d *dossier.Dossier) ([]probes.Instrument, []Missing) {
	if mode == ModeOffline {
		return nil, []Missing{{probes.InstrumentDevice, "bench.yaml says offline: there is no device", "set mode: gateway or attached"}}
	}
	o := offering{has: []probes.Instrument{probes.InstrumentDevice, probes.InstrumentClock}}
	o.take(probes.InstrumentImages, d != nil && len(d.Images) > 0,
		"the dossier names no firmware images", "list them under `images`, and the key that signs them under `trust` with `for: firmware`")
	o.take(probes.InstrumentAdvisories, d != nil && d.Advisories != nil,
		"the dossier names no snapshot of known vulnerabilities", "name a folder of OSV entries and CSAF documents under `advisories`, with the day on which it was taken")
	switch mode {
	case ModeAttached:
		o.has = append(o.has, probes.InstrumentScanner)
		o.attached(file, d)
	case ModeGateway:
		o.has = append(o.has, probes.InstrumentScanner, probes.InstrumentUpdates, probes.InstrumentTime)
		o.links(segment.LinkFeatures())
		o.take(probes.InstrumentBroker, d != nil && d.Cloud != nil, noCloud, mendNoCloud)
		o.interception(d, ways(d, true))
		o.around(file)
	default:
		o.reference(mode, d)
	}
	return o.has, o.missing
}

// OffersAll tells what a bench has for every one of several units: a step that one unit's
// instruments do not allow is asked of none, and the reason names the unit.
func OffersAll(mode string, file *File, d *dossier.Dossier, units []string) ([]probes.Instrument, []Missing) {
	var has []probes.Instrument
	var missing []Missing
	lacks := map[probes.Instrument]bool{}
	for n, id := range units {
		own := file
		if file != nil {
			own = file.of(id, n > 0)
		}
		there, lacking := Offers(mode, own, d)
		if n == 0 {
			has = there
		}
		for _, m := range lacking {
			if lacks[m.Instrument] {
				continue
			}
			lacks[m.Instrument] = true
			if n > 0 {
				m.Because = "for " + id + " " + m.Because
				m.Mend = "units: {" + id + ": {" + m.Mend + "}}"
			}
			missing = append(missing, m)
		}
	}
	if len(units) > 1 {
		for _, m := range everybodys(mode, has) {
			if !lacks[m.Instrument] {
				lacks[m.Instrument] = true
				missing = append(missing, m)
			}
		}
	}
	has = slices.DeleteFunc(has, func(i probes.Instrument) bool {
		of, _, _ := strings.Cut(string(i), "/") // without a link there is no slow one either
		return lacks[i] || lacks[probes.Instrument(of)]
	})
	return has, missing
}

// everybodys are those of a bench's instruments that would do to every unit what is meant for one.
func everybodys(mode string, has []probes.Instrument) []Missing {
	const alone = "test one unit: --unit ID"
	all := []Missing{{probes.InstrumentTime, "the bench tells every unit the same time, and this run has several", alone}}
	if mode == ModeGateway {
		all = append(all, Missing{probes.InstrumentLink, "the interface's cable is that of every unit, and this run has several", alone})
	}
	return slices.DeleteFunc(all, func(m Missing) bool { return !slices.Contains(has, m.Instrument) })
}

type offering struct {
	has     []probes.Instrument
	missing []Missing
}

// take notes an instrument as there or as missing.
func (o *offering) take(i probes.Instrument, there bool, because, mend string) {
	if there {
		o.has = append(o.has, i)
		return
	}
	o.missing = append(o.missing, Missing{Instrument: i, Because: because, Mend: mend})
}

const (
	noCloud     = "the dossier does not say how to stand in for the device's cloud"
	mendNoCloud = "give `cloud` with hosts, certificate and key"
	noServe     = "bench.yaml does not let the bench stand in for the device's cloud"
	mendNoServe = "serve: {address: ADDRESS, broker: true}"
	mendReduced = "run it where private network namespaces are allowed: on Linux with sudo, or with user namespaces for ordinary users"
)

func (o *offering) reference(mode string, d *dossier.Dossier) {
	o.has = append(o.has, probes.InstrumentUpdates, probes.InstrumentFlash, probes.InstrumentPower, probes.InstrumentButton, probes.InstrumentTime)
	switch {
	case mode != ModeReference:
		o.take(probes.InstrumentLink, false, "the reduced bench has no cable", mendReduced)
	case Inside():
		o.links(segment.LinkFeatures())
	default:
		o.links(segment.Features{}) // found out where it is built
	}
	o.take(probes.InstrumentBroker, d != nil && d.Cloud != nil, noCloud, mendNoCloud)
	o.take(probes.InstrumentSniffer, mode == ModeReference,
		"the reduced bench has no network segment of its own, so nothing is captured",
		mendReduced)
	o.take(probes.InstrumentScanner, mode == ModeReference,
		"on the reduced bench the device shares its address with this machine, and a port that answers may be anybody's", mendReduced)
	if mode == ModeReference {
		o.interception(d, ways(d, true))
	} else {
		o.take(probes.InstrumentInterceptor, false,
			"on the reduced bench the device shares its address with this machine, and a call may be anybody's", mendReduced)
	}
}

func (o *offering) attached(file *File, d *dossier.Dossier) {
	f := file
	if f == nil {
		f = &File{}
	}
	o.take(probes.InstrumentUpdates, f.Serve != nil && f.Serve.Updates,
		"bench.yaml does not let the bench serve updates", "serve: {address: ADDRESS, updates: true}")
	switch {
	case d == nil || d.Cloud == nil:
		o.take(probes.InstrumentBroker, false, noCloud, mendNoCloud)
		o.take(probes.InstrumentInterceptor, false, noCloud, mendNoCloud)
	case f.Serve == nil || !f.Serve.Broker:
		o.take(probes.InstrumentBroker, false, noServe, mendNoServe)
		o.take(probes.InstrumentInterceptor, false, noServe, mendNoServe)
	default:
		o.has = append(o.has, probes.InstrumentBroker)
		o.interception(d, ways(d, f.Serve.Updates))
	}
	o.around(f)
}

// around is what bench.yaml says about the lab's own programs, and whether this user may capture.
func (o *offering) around(f *File) {
	if f == nil {
		f = &File{}
	}
	o.take(probes.InstrumentFlash, f.Flash != nil, "bench.yaml does not say how to read the device's storage", "flash: {command: [PROGRAM, ARGUMENT]}")
	o.take(probes.InstrumentPower, f.Power != nil, "bench.yaml does not say how to switch the device's supply", "power: {command: [PROGRAM, '{{state}}']}, or one of person, tasmota, shelly, snmp")
	o.take(probes.InstrumentButton, f.Button != nil, "bench.yaml does not say how to press the device's button", "button: {command: [PROGRAM, '{{button}}', '{{seconds}}']}")
	because, mend := noSniffer(segment.CanCapture())
	o.take(probes.InstrumentSniffer, because == "", because, mend)
}

// noSniffer explains why packets cannot be captured; empty where they can.
func noSniffer(err error) (because, mend string) {
	if err == nil {
		return "", ""
	}
	program, perr := os.Executable()
	if perr != nil {
		program = "/path/to/assay"
	}
	return "this user may not capture packets (" + err.Error() + ")",
		"sudo setcap cap_net_raw+ep " + program + ", or run it with sudo"
}
