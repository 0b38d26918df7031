// Package drive makes a device do what its dossier's operations describe, over HTTP,
// MQTT, CoAP, SSH, Telnet, a serial line, a command, a button or a person, and says in a closed vocabulary what the
// device did. It never judges an answer, never lets a device choose where the bench
// connects to, and never puts a secret into a detail or an error.
package drive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"assay/probes"
	"assay/profiles/dossier"
)

// Options are what a driver works with. Dossier, Unit, Host and Clock are required.
type Options struct {
	Dossier      *dossier.Dossier
	Unit         string        // the unit's id in the dossier
	Host         func() string // the unit's address now; "" while nobody knows it
	BenchAddress string        // the bench's own address, as the device reaches it
	Cloud        Cloud
	Console      string // the bench's serial line to the device, which recipes reach as "console"; "" while there is none
	Logs         string // folder for what serial lines say, without secrets; "" keeps nothing
	Button       Button // nil: the bench cannot press buttons
	Person       Person // nil: nobody sits at the bench
	Clock        probes.Clock
}

// Cloud is the bench's own broker, which recipes reach under the URL "cloud".
type Cloud struct {
	URL      string // mqtt:// or mqtts://
	Username string
	Password string
}

// Button presses the device's buttons.
type Button interface {
	Press(ctx context.Context, name string, hold time.Duration) error
}

// Person is somebody at the bench who does and answers what the bench says.
type Person interface {
	Ask(ctx context.Context, say string) (string, error)
}

// A Driver is one unit under test, driven by its dossier's operations. It keeps no
// connection and no state between operations, and may be used by several goroutines.
type Driver struct {
	options Options
	unit    probes.Unit
	recipes map[string]recipe
	anchors *anchors // nil: the device's certificates are seen, not verified
	secrets []string // of every unit and of the bench
}

var _ probes.Device = (*Driver)(nil)

// New reads the dossier's operations for one unit. Every condition is compiled and every
// recipe checked here, so that what is wrong with a dossier is known before the run.
func New(o Options) (*Driver, error) {
	switch {
	case o.Dossier == nil:
		return nil, fmt.Errorf("drive: no dossier: %w", probes.ErrBench)
	case o.Host == nil:
		return nil, fmt.Errorf("drive: no way to learn the unit's address: %w", probes.ErrBench)
	case o.Clock == nil:
		return nil, fmt.Errorf("drive: no clock: %w", probes.ErrBench)
	}
	d := &Driver{options: o, recipes: make(map[string]recipe)}
	var err error
	if d.unit, err = unitOf(o.Dossier, o.Unit); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Dossier.Operations)) {
		if d.recipes[name], err = compile(o.Dossier, name); err != nil {
			return nil, err
		}
	}
	if d.anchors, err = deviceAnchors(o.Dossier); err != nil {
		return nil, err
	}
	for _, u := range o.Dossier.Units {
		for _, l := range u.Logins {
			d.secrets = append(d.secrets, l.Password.Reveal())
		}
	}
	d.secrets = append(d.secrets, o.Cloud.Password)
	return d, nil
}

// Unit tells which unit this is.
func (d *Driver) Unit() probes.Unit { return d.unit }

// Operations lists the names of the dossier's operations, sorted.
func (d *Driver) Operations() []string { return slices.Sorted(maps.Keys(d.recipes)) }

// Do makes the device do one operation. The first step that is not done ends it. An
// error wraps probes.ErrBench and is the bench's own: a recipe that cannot be carried
// out, an instrument that is missing, a cancelled context.
func (d *Driver) Do(ctx context.Context, operation string, args probes.Args) (probes.Result, error) {
	r, ok := d.recipes[operation]
	if !ok {
		return probes.Result{}, fmt.Errorf("operation %q: %w", operation, probes.ErrNoOperation)
	}
	run := newRun(d, operation, args)
	steps := r.steps
	if run.bare && len(r.anonymous) > 0 {
		steps = r.anonymous
	}
	result, err := run.all(ctx, steps)
	if err != nil {
		err = fmt.Errorf("operation %s: %w", operation, err)
		if !errors.Is(err, probes.ErrBench) {
			err = fmt.Errorf("%w: %w", err, probes.ErrBench)
		}
		return probes.Result{}, run.mask.wrap(err)
	}
	return result, nil
}

// unitOf collects what probes may know of a unit and of its siblings.
func unitOf(d *dossier.Dossier, id string) (probes.Unit, error) {
	protection := make(map[string]dossier.AuthMech)
	for _, m := range d.IXIT.AuthMech {
		if m.Interface != "" {
			protection[m.Interface] = m
		}
	}
	login := func(name string, l dossier.Login) probes.Login {
		return probes.Login{
			Username: l.Username, Password: l.Password.Reveal(),
			LockoutAfter: protection[name].LockoutAfter,
			LockoutLasts: time.Duration(protection[name].LockoutSeconds) * time.Second,
		}
	}
	unit, found := probes.Unit{
		ID: id, Model: d.Product.Model,
		Logins: make(map[string]probes.Login), Others: make(map[string][]probes.Login),
	}, false
	for _, u := range d.Units {
		if u.ID == id {
			found = true
			unit.Serial, unit.MAC = u.Serial, u.MAC
		}
		for name, l := range u.Logins {
			if u.ID == id {
				unit.Logins[name] = login(name, l)
			} else {
				unit.Others[name] = append(unit.Others[name], login(name, l))
			}
		}
	}
	if !found {
		var ids []string
		for _, u := range d.Units {
			ids = append(ids, u.ID)
		}
		return unit, fmt.Errorf("unit %q is not in the dossier, which has %s: %w", id, strings.Join(ids, ", "), probes.ErrBench)
	}
	return unit, nil
}
