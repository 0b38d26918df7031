package bench

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"assay/probes"
	"assay/profiles/dossier"
)

// An Identity is how a unit was proven to be the one that answers, for the record.
type Identity struct {
	Unit    string   `json:"unit"`
	Host    string   `json:"host"`
	MAC     string   `json:"mac,omitempty"`   // from which the address answered
	ByMAC   bool     `json:"by_mac"`          // it is the one that the dossier declares
	ByLabel bool     `json:"by_label"`        // its own login works, another unit's does not
	Login   string   `json:"login,omitempty"` // where the labels were tried, e.g. http
	Notes   []string `json:"notes,omitempty"` // what could not be proven, and why
}

// Identity tells how the unit was proven; nil where nobody looked.
func (b *Bench) Identity() *Identity { return b.identity }

// identify proves that the unit is the one that answers at its address: by its MAC address, as the kernel's
// neighbour table of an interface has it after an exchange, and where asked for by its label. What cannot be told is noted;
// that another unit answers is the bench's error.
func (b *Bench) identify(ctx context.Context, on string, d *dossier.Dossier, unit dossier.Unit, label bool) error {
	id := &Identity{Unit: unit.ID, Host: b.Host()}
	b.identity = id
	b.answering = func(ctx context.Context) (string, error) { return b.answersFrom(ctx, on, d, unit) }
	mac, err := b.answering(ctx)
	switch {
	case err != nil:
		return err
	case mac == "":
		id.note("the MAC address from which %s answers is not in this machine's neighbour table", id.Host)
	case unit.MAC == "":
		id.note("the dossier declares no MAC address for %s", unit.ID)
	default:
		id.ByMAC = true
	}
	id.MAC = mac
	if label {
		return b.labelled(ctx, d, unit, id)
	}
	return nil
}

// Witness tells, after an exchange, whether the unit still is the one that answers. An error says that
// another one did; that nothing can be told is none.
func (b *Bench) Witness(ctx context.Context) error {
	if b.answering == nil {
		return nil
	}
	_, err := b.answering(ctx)
	return err
}

func (i *Identity) note(format string, args ...any) {
	i.Notes = append(i.Notes, fmt.Sprintf(format, args...))
}

// answersFrom looks from which MAC address the unit's address answers, and refuses another unit's.
func (b *Bench) answersFrom(ctx context.Context, on string, d *dossier.Dossier, unit dossier.Unit) (string, error) {
	seen, err := neighbour(ctx, on, b.Host())
	if err != nil {
		return "", fmt.Errorf("find out who answers at %s: %w: %w", b.Host(), err, probes.ErrBench)
	}
	if len(seen) == 0 || unit.MAC == "" {
		return seen.String(), nil
	}
	want, err := net.ParseMAC(unit.MAC)
	if err != nil {
		return "", unusable(fmt.Errorf("dossier: unit %s: mac: %w", unit.ID, err))
	}
	if seen.String() == want.String() {
		return seen.String(), nil
	}
	owner := "which no unit of the dossier has"
	if other := ownerOf(seen, d); other != "" {
		owner = "which is that of " + other
	}
	return "", withHint(fmt.Errorf("%s answers from the MAC address %s, %s; that of %s is %s: %w", b.Host(), seen, owner, unit.ID, want, probes.ErrBench),
		"is the right unit on the bench, and the only one at that address? correct host or mac of "+unit.ID+" in the dossier")
}

// labelled tries another unit's login and then the unit's own, so that the right one is the last that
// the device's protection against guessing has seen, at one interface after another until one tells.
func (b *Bench) labelled(ctx context.Context, d *dossier.Dossier, unit dossier.Unit, id *Identity) error {
	var tried []string
	for _, face := range slices.Sorted(maps.Keys(unit.Logins)) {
		other, has := b.otherLabel(d, unit, face)
		if !has {
			continue
		}
		theirs, err := b.login(ctx, face, other.Logins[face])
		if err != nil {
			return err
		}
		own, err := b.login(ctx, face, unit.Logins[face])
		switch {
		case err != nil:
			return err
		case own == probes.Refused && theirs == probes.Done:
			return withHint(fmt.Errorf("the device at %s takes the %s login of %s and refuses that of %s: %w", b.Host(), face, other.ID, unit.ID, probes.ErrBench),
				"is the right unit on the bench? correct host or logins in the dossier")
		case own == probes.Done && theirs == probes.Refused:
			id.ByLabel, id.Login = true, face
			return nil
		}
		tried = append(tried, fmt.Sprintf("over %s its own login ended %s, that of %s %s", face, own, other.ID, theirs))
	}
	if len(tried) == 0 {
		id.note("no login that can be tried differs between %s and another unit of the dossier", unit.ID)
	} else {
		id.note("the labels do not tell: %s", strings.Join(tried, "; "))
	}
	return nil
}

func (b *Bench) login(ctx context.Context, face string, l dossier.Login) (probes.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	r, err := b.driver.Do(ctx, probes.LoginPrefix+face, probes.Args{probes.ArgUsername: l.Username, probes.ArgPassword: l.Password.Reveal()})
	return r.Outcome, err
}

// otherLabel finds a unit that has another login at an interface which can be tried without anybody's hands.
func (b *Bench) otherLabel(d *dossier.Dossier, unit dossier.Unit, face string) (dossier.Unit, bool) {
	operation, has := b.operations[probes.LoginPrefix+face]
	if !has || byHand(operation) {
		return dossier.Unit{}, false
	}
	own := unit.Logins[face]
	for _, u := range d.Units {
		l, labelled := u.Logins[face]
		if u.ID != unit.ID && labelled && (l.Username != own.Username || l.Password.Reveal() != own.Password.Reveal()) {
			return u, true
		}
	}
	return dossier.Unit{}, false
}

// String tells how far the proof goes, for the story.
func (i *Identity) String() string {
	var by []string
	if i.ByMAC {
		by = append(by, "its MAC address "+i.MAC)
	}
	if i.ByLabel {
		by = append(by, "its label ("+i.Login+")")
	}
	if len(by) == 0 {
		return i.Unit + " is not proven to be the one that answers: " + strings.Join(i.Notes, "; ")
	}
	return i.Unit + " answers at " + i.Host + ", proven by " + strings.Join(by, " and ")
}
