package bench

import (
	"fmt"
	"net"
	"strings"
	"time"

	"assay/lab/capture"
	"assay/profiles/dossier"
)

// CaptureFile is how bench.yaml wants frames written down. Where nothing is given, every frame is kept whole in one file.
type CaptureFile struct {
	Rotate *RotateFile `yaml:"rotate"`
	Snap   *int        `yaml:"snap"`   // bytes kept of each frame
	Filter *FilterFile `yaml:"filter"` // attached only
}

// RotateFile is when a capture goes on in a next file: whichever comes first.
type RotateFile struct {
	Mebibytes *int `yaml:"mebibytes"`
	Minutes   *int `yaml:"minutes"`
}

// FilterFile leaves other hosts on a busy network out of the capture.
type FilterFile struct {
	Without []string `yaml:"without"` // their MAC addresses
}

// The bounds of bench.yaml. A frame has its addresses, ports and the beginnings of TCP's options within the least snap length.
const (
	minSnap      = 96
	maxSnap      = 262144
	maxMebibytes = 1 << 20
	maxMinutes   = 7 * 24 * 60
	maxWithout   = 32
)

func (f *File) checkCapture(bad complain) error {
	c := f.Capture
	if c == nil {
		return nil
	}
	if c.Rotate == nil && c.Snap == nil && c.Filter == nil {
		return bad("capture", "give rotate, snap or filter, or leave it out")
	}
	if r := c.Rotate; r != nil {
		switch {
		case r.Mebibytes == nil && r.Minutes == nil:
			return bad("capture.rotate", "give mebibytes, minutes or both, or leave it out")
		case r.Mebibytes != nil && (*r.Mebibytes < 1 || *r.Mebibytes > maxMebibytes):
			return bad("capture.rotate.mebibytes", "want 1 to %d", maxMebibytes)
		case r.Minutes != nil && (*r.Minutes < 1 || *r.Minutes > maxMinutes):
			return bad("capture.rotate.minutes", "want 1 to %d", maxMinutes)
		}
	}
	if c.Snap != nil && (*c.Snap < minSnap || *c.Snap > maxSnap) {
		return bad("capture.snap", "want %d to %d bytes, or leave it out: then frames are kept whole", minSnap, maxSnap)
	}
	return f.checkFilter(bad)
}

func (f *File) checkFilter(bad complain) error {
	filter := f.Capture.Filter
	switch {
	case filter == nil:
		return nil
	case f.Mode != ModeAttached:
		// A device may call itself what it likes. On a cable of its own every frame is its, whatever its address.
		return bad("capture.filter", "belongs to mode attached: on a gateway's segment every frame is the device's; leave it out")
	case len(filter.Without) == 0:
		return bad("capture.filter.without", "name the MAC addresses of the hosts to leave out, or leave the filter out")
	case len(filter.Without) > maxWithout:
		return bad("capture.filter.without", "at most %d hosts", maxWithout)
	}
	for _, w := range filter.Without {
		if mac, err := net.ParseMAC(w); err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return bad("capture.filter.without", "want MAC addresses of hosts, for example 02:00:5e:00:53:01, have %.48q", w)
		}
	}
	return nil
}

// capturing is how a unit's frames are captured, by the bench file.
func (b *Bench) capturing(o Options, mac net.HardwareAddr) (capture.Options, error) {
	c := capture.Options{Interface: o.File.Interface, Path: o.file("capture", ".pcapng"), MAC: mac}
	f := o.File.Capture
	if f == nil {
		return c, nil
	}
	if r := f.Rotate; r != nil {
		if r.Mebibytes != nil {
			c.RotateBytes = int64(*r.Mebibytes) << 20
		}
		if r.Minutes != nil {
			c.RotateEvery = time.Duration(*r.Minutes) * time.Minute
		}
	}
	if f.Snap != nil {
		c.SnapBytes = *f.Snap
		b.note("the capture keeps %d bytes of a frame: what rests on an absence is inconclusive where one was longer", c.SnapBytes)
	}
	if f.Filter == nil {
		return c, nil
	}
	if len(mac) == 0 {
		return c, withHint(unusable(fmt.Errorf("%s: key capture.filter: unit %s has no mac in the dossier, and its own frames could be left out", o.File.Name, o.Unit)),
			"give the unit the MAC address of its label, or leave the filter out")
	}
	var err error
	if c.Filter, err = filter(f.Filter, o.Dossier); err != nil {
		return c, unusable(fmt.Errorf("%s: key capture.filter.without: %w", o.File.Name, err))
	}
	b.note("the capture leaves out what others send to others: %s", strings.Join(f.Filter.Without, ", "))
	return c, nil
}

// filter keeps every unit of the dossier, whichever is tested.
func filter(f *FilterFile, d *dossier.Dossier) (capture.Filter, error) {
	var out capture.Filter
	for _, u := range d.Units {
		if mac, err := net.ParseMAC(u.MAC); err == nil {
			out.Keep = append(out.Keep, mac)
		}
	}
	for _, w := range f.Without {
		mac, err := net.ParseMAC(w)
		if err != nil {
			return out, err
		}
		for _, u := range d.Units {
			if strings.EqualFold(u.MAC, mac.String()) {
				return out, fmt.Errorf("%s is unit %s of the dossier: a device's own frames are never left out", w, u.ID)
			}
		}
		out.Without = append(out.Without, mac)
	}
	return out, nil
}
