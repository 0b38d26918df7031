// Package defaults asks which logins open an interface besides the one on the label:
// none at all, public default pairs, the logins of other units, and values worked out
// from this unit's MAC and serial. It never tells a password, only where it came from.
package defaults

import (
	"context"

	"assay/probes"
	"assay/probes/credentials"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "credentials/defaults",
		Version: "2", // 1 took an odd answer to another account for a no, and locked other accounts by its own tries
		Asks:    "Which logins open the interface besides the one on the label?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentClock},
			{Operation: probes.LoginPrefix + "{interface}"},
		},
		Touch:   probes.Interact,
		Typical: 60, // a login at a terminal waits three seconds after each of a hundred wrong tries
		New:     func() probes.Probe { return &Probe{WaitSeconds: 30} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	Interface   string  `json:"interface"`    // http, mqtt, coap ...: the operation is login-<interface>
	WaitSeconds float64 `json:"wait_seconds"` // longest wait for a lock-out of undeclared length to end
}

// Facts is what the interface did.
type Facts struct {
	Interface string `json:"interface"` // "http"

	NoneAccepted       bool           `json:"none_accepted"`        // got in without any credential
	WrongAccepted      bool           `json:"wrong_accepted"`       // got in with a random password
	WrongRefused       bool           `json:"wrong_refused"`        // control: the random password met this interface's way of saying no
	RightAccepted      bool           `json:"right_accepted"`       // control: the login of the label got in, before the candidates
	RightAcceptedAfter bool           `json:"right_accepted_after"` // control: and once more, after them
	OutcomeNone        probes.Outcome `json:"outcome_none"`         // "refused"; empty where the dossier has no recipe for it
	OutcomeWrong       probes.Outcome `json:"outcome_wrong"`        // "refused"; DTLS-PSK often says no by "silent" (RFC 6347, 4.1.2.7)
	OutcomeRight       probes.Outcome `json:"outcome_right"`        // "done"

	DefaultsTried     int    `json:"defaults_tried"`     // public pairs tried, up to the first that got in; 0 where none or wrong got in
	DefaultAccepted   bool   `json:"default_accepted"`   // one of them got in
	DefaultPair       string `json:"default_pair"`       // "admin/admin": from the public list, so no secret
	OthersTried       int    `json:"others_tried"`       // logins of other units in the dossier
	UniversalAccepted bool   `json:"universal_accepted"` // one of them got in here
	DerivedTried      int    `json:"derived_tried"`      // values made from the MAC and the serial
	DerivedAccepted   bool   `json:"derived_accepted"`   // one of them got in, or the label's password is one
	DerivedFrom       string `json:"derived_from"`       // "mac", "serial" or ""
	LockoutsMet       int    `json:"lockouts_met"`       // times the interface said that it was asked too often
	Unanswered        int    `json:"unanswered"`         // candidates without a trustworthy yes or no
}

// Ask tries the controls, then every candidate.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	door, err := credentials.Approach(b, p.Interface, p.WaitSeconds)
	if err != nil {
		return nil, err
	}
	f := Facts{Interface: p.Interface}
	if err := p.controls(ctx, door, &f); err != nil {
		return nil, err
	}
	if f.RightAccepted && !f.NoneAccepted && !f.WrongAccepted {
		// A door that stands open has no default password, and one that never opens tells nothing.
		if err := candidates(ctx, door, b.Device.Unit(), &f); err != nil {
			return nil, err
		}
	}
	after, err := door.Right(ctx)
	if err != nil {
		return nil, err
	}
	f.RightAcceptedAfter = after == probes.Done
	f.LockoutsMet, f.Unanswered = door.Lockouts(), door.Unanswered()
	return f, nil
}

// controls is the three-way control: nobody, somebody wrong, the owner.
func (p *Probe) controls(ctx context.Context, door *credentials.Door, f *Facts) (err error) {
	if _, err = door.Right(ctx); err != nil { // waits out a lock that somebody left behind
		return err
	}
	if f.OutcomeNone, err = door.Nobody(ctx); err != nil {
		return err
	}
	if f.OutcomeWrong, err = door.Learn(ctx); err != nil {
		return err
	}
	if f.OutcomeRight, err = door.Right(ctx); err != nil {
		return err
	}
	f.NoneAccepted = f.OutcomeNone == probes.Done
	f.WrongAccepted = f.OutcomeWrong == probes.Done
	f.RightAccepted = f.OutcomeRight == probes.Done
	f.WrongRefused = f.RightAccepted && door.SaysNo(f.OutcomeWrong)
	return nil
}

// candidates tries the three families. A login of the label that is itself a candidate
// needs no extra rule: it is tried like the others, and gets in.
func candidates(ctx context.Context, door *credentials.Door, unit probes.Unit, f *Facts) error {
	name := door.Own().Username
	hit, tried, err := door.First(ctx, credentials.Common(f.Interface, name))
	if err != nil {
		return err
	}
	f.DefaultsTried, f.DefaultAccepted = tried, hit != nil
	if hit != nil {
		f.DefaultPair = hit.Username + "/" + hit.Password
	}

	hit, tried, err = door.First(ctx, credentials.Others(unit, f.Interface, name))
	if err != nil {
		return err
	}
	f.OthersTried, f.UniversalAccepted = tried, hit != nil

	hit, tried, err = door.First(ctx, credentials.Derived(unit, f.Interface, name))
	if err != nil {
		return err
	}
	f.DerivedTried, f.DerivedAccepted = tried, hit != nil
	if hit != nil {
		f.DerivedFrom = hit.From
	} else if from := credentials.MadeFrom(unit, door.Own().Password); from != "" {
		// The label's password got in above; that it is a digest of the MAC needs no further try.
		f.DerivedAccepted, f.DerivedFrom = true, from
	}
	return nil
}
