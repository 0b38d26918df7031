package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"assay/lab/bench"
	"assay/probes"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/plan"
	"assay/profiles/review"
)

// inputs are what a run is made of before anything touches a device.
type inputs struct {
	dossier *dossier.Dossier
	set     *profiles.Set
	kinds   []probes.Kind
	file    *bench.File // nil: no bench file
	unit    dossier.Unit
	reviews *review.File   // nil: none
	others  []dossier.Unit // that are tested beside it
}

// readInputs reads dossier, profile and bench file; each complaint names file, line and key.
func readInputs(dossierPath, profile, benchPath, unit string) (*inputs, error) {
	in := &inputs{kinds: catalog.All()}
	err := readable(dossierPath, "dossier")
	if err != nil {
		return nil, err
	}
	if in.dossier, err = dossier.Read(dossierPath); err != nil {
		return nil, unusable(err, "mend the dossier; `assay demo` leaves a complete one in its run folder to compare with")
	}
	if in.set, err = loadProfile(profile, in.kinds); err != nil {
		return nil, err
	}
	if benchPath != "" {
		if in.file, err = bench.ReadFile(benchPath); err != nil {
			return nil, unusable(err, "mend the bench file; the README shows a complete one")
		}
	}
	if err = in.chooseUnits(unit); err != nil {
		return nil, err
	}
	return in, nil
}

// readReviews reads what named persons answered, where a file is named.
func (in *inputs) readReviews(w io.Writer, path string) error {
	if path == "" {
		return nil
	}
	f, err := review.Read(path, in.dossier, time.Now())
	if err != nil {
		return unusable(err, "mend the reviews; `assay review` writes and completes them")
	}
	for _, u := range f.Strangers(in.set) {
		fmt.Fprintf(w, "%s: answers %s, which profile %s does not ask\n", path, u, in.set.Profile.ID)
	}
	in.reviews = f
	return nil
}

// allUnits stands for every unit of the dossier that a bench can find: by its address, or on a gateway by its MAC address.
const allUnits = "all"

// everyUnit lists the units that a bench can find.
func (in *inputs) everyUnit(gateway bool) ([]string, error) {
	var ids []string
	for _, u := range in.dossier.Units {
		if gateway && u.MAC != "" || !gateway && u.Host != "" {
			ids = append(ids, u.ID)
		}
	}
	switch {
	case len(ids) > 0:
		return ids, nil
	case gateway:
		return nil, unusable(errors.New("no unit of the dossier has a mac"), "give each unit on the bench the MAC address of its label: `mac: 02:00:5e:00:53:01`")
	}
	return nil, unusable(errors.New("no unit of the dossier has a host"), "give each unit on the bench its address: `host: 192.0.2.50`")
}

// chooseUnits finds the specimens to test: one, several separated by commas, or all.
func (in *inputs) chooseUnits(spec string) error {
	gateway := in.file != nil && in.file.Mode == bench.ModeGateway
	ids := strings.Split(spec, ",")
	if spec == allUnits {
		var err error
		if ids, err = in.everyUnit(gateway); err != nil {
			return err
		}
	}
	at := map[string]string{}
	for n, id := range ids {
		u, err := chooseUnit(in.dossier, strings.TrimSpace(id))
		if err != nil {
			return err
		}
		if u.ID == in.unit.ID || slices.ContainsFunc(in.others, func(o dossier.Unit) bool { return o.ID == u.ID }) {
			return unusable(fmt.Errorf("unit %s is named twice", u.ID), "name each unit once")
		}
		if other, taken := at[u.Host]; taken && u.Host != "" && !gateway {
			return unusable(fmt.Errorf("units %s and %s have the same host %q", other, u.ID, u.Host), "each unit of a run has an address of its own")
		}
		at[u.Host] = u.ID
		if n == 0 {
			in.unit = u
		} else {
			in.others = append(in.others, u)
		}
	}
	if in.file == nil {
		return nil
	}
	if gateway && len(in.others) > 0 {
		for _, u := range in.specimens() {
			if u.MAC == "" {
				return unusable(fmt.Errorf("unit %s has no mac, by which a gateway tells it from the other units", u.ID), "give it the MAC address of its label: `mac: 02:00:5e:00:53:01`")
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(in.file.Units)) {
		if _, err := chooseUnit(in.dossier, id); err != nil || id == "" {
			return unusable(fmt.Errorf("%s: key units: the dossier has no unit %q", in.file.Name, id), "name the units of the dossier below units")
		}
	}
	return nil
}

// units lists the ids of all that are tested.
func (in *inputs) units() []string {
	var ids []string
	for _, u := range in.specimens() {
		ids = append(ids, u.ID)
	}
	return ids
}

// specimens are all that are tested, the first one first.
func (in *inputs) specimens() []dossier.Unit {
	return append([]dossier.Unit{in.unit}, in.others...)
}

// loadProfile takes a name of an embedded profile or a file.
func loadProfile(profile string, kinds []probes.Kind) (*profiles.Set, error) {
	schemas, err := profiles.Schemas(kinds)
	if err != nil {
		return nil, fmt.Errorf("read the probes' schemas: %w", err)
	}
	var set *profiles.Set
	// An id may have dots: what is embedded goes by its name, all else that looks like a file is one.
	if strings.ContainsAny(profile, "/\\.") && !slices.Contains(profiles.List(profiles.Embedded()), profile) {
		set, err = profiles.LoadFile(profile, schemas)
	} else {
		set, err = profiles.Load(profiles.Embedded(), profile, schemas)
	}
	if err != nil {
		return nil, unusable(err, "`assay profiles` lists the embedded profiles; a path chooses a file of your own")
	}
	return set, nil
}

// chooseUnit finds the specimen to test; the first one where none is named.
func chooseUnit(d *dossier.Dossier, id string) (dossier.Unit, error) {
	var ids []string
	for _, u := range d.Units {
		if id == "" || u.ID == id {
			return u, nil
		}
		ids = append(ids, u.ID)
	}
	return dossier.Unit{}, unusable(fmt.Errorf("the dossier has no unit %q", id), "its units are: "+strings.Join(ids, ", "))
}

// makePlan settles what can be asked with what a bench has.
func (in *inputs) makePlan(has []probes.Instrument, missing []bench.Missing) (*plan.Plan, error) {
	lacks := map[probes.Instrument]string{}
	for _, m := range missing {
		lacks[m.Instrument] = m.Because
	}
	p, err := plan.Make(in.dossier, in.set, in.kinds, has, lacks)
	if err != nil {
		return nil, unusable(err, "`assay plan` shows what a profile asks for")
	}
	return p, nil
}

// readable says early that a path cannot be read, in the words of the verb's user.
func readable(path, what string) error {
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return unusable(fmt.Errorf("%s %s does not exist", what, path), "check the path")
		}
		return unusable(fmt.Errorf("read %s: %w", what, err), "")
	}
	return nil
}
