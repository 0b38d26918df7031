// Package credentials is what the probes of logins share: a door that is knocked at
// without tripping over its lock-out, and the candidates worth a try. It never judges,
// and no error or fact of it holds a secret.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"assay/probes"
)

const (
	carefulBatch = 3                      // wrong tries in a row where no lock-out is declared
	maxLockouts  = 10                     // locks waited for before the remaining candidates are given up
	retryPause   = 200 * time.Millisecond // before a knock without an answer is repeated
	lockMargin   = 100 * time.Millisecond // on top of a declared lock: clocks differ
	maxRest      = 3 * time.Minute        // waited altogether for the locks of other accounts
)

// A Door is one login interface of the device, and how it has behaved so far.
type Door struct {
	device    probes.Device
	clock     probes.Clock
	operation string
	own       probes.Login
	patience  time.Duration // longest wait for a lock to end

	batch      int            // wrong tries before the right login is used to reset the count
	learned    probes.Outcome // how it says no, besides refused
	wrong      int            // wrong tries since the right login last got in
	lockouts   int
	unanswered int
	closed     bool // the right login stopped working
	doubtful   bool // it was turned away for a while: the noes since the last time mean nothing

	others map[string]int // wrong tries under other names than the label's, whose locks the right login does not undo
	rested time.Duration
}

// Approach finds the door of an interface. waitSeconds bounds the wait for a lock of undeclared
// length; a longer declared one is waited for in full.
func Approach(b *probes.Bench, iface string, waitSeconds float64) (*Door, error) {
	if iface == "" || waitSeconds <= 0 {
		return nil, fmt.Errorf("approach the login: interface %q and wait_seconds %g must be set: %w", iface, waitSeconds, probes.ErrBench)
	}
	unit := b.Device.Unit()
	own, ok := unit.Logins[iface]
	if !ok {
		return nil, fmt.Errorf("approach the login: the dossier has no login for %s of unit %s: %w", iface, unit.ID, probes.ErrBench)
	}
	d := &Door{
		device: b.Device, clock: b.Clock, operation: probes.LoginPrefix + iface, own: own,
		patience: max(time.Duration(waitSeconds*float64(time.Second)), own.LockoutLasts+time.Second),
		batch:    carefulBatch, others: map[string]int{},
	}
	if own.LockoutAfter > 0 {
		d.batch = max(1, own.LockoutAfter-1)
	}
	return d, nil
}

// Own is the login of this unit's label.
func (d *Door) Own() probes.Login { return d.own }

// Lockouts counts how often the door said that it was knocked at too often.
func (d *Door) Lockouts() int { return d.lockouts }

// Unanswered counts candidates that got no yes or no, or whose no came from a door that
// afterwards did not open to the right login either.
func (d *Door) Unanswered() int { return d.unanswered }

// SaysNo tells whether an outcome is this door's way of turning somebody away.
func (d *Door) SaysNo(o probes.Outcome) bool {
	return o == probes.Refused || (d.learned != "" && o == d.learned)
}

// meansNo tells whether an outcome turned this very login away. What the recipe does not understand does so under the
// label's name alone, whose success it knows: another account may be let in to another prompt or page.
func (d *Door) meansNo(l probes.Login, o probes.Outcome) bool {
	understood := o != probes.Unexpected && o != probes.Malformed
	return d.SaysNo(o) && (understood || l.Username == d.own.Username)
}

// Knock makes one try and nothing else.
func (d *Door) Knock(ctx context.Context, l probes.Login) (probes.Outcome, error) {
	return d.do(ctx, probes.Args{probes.ArgUsername: l.Username, probes.ArgPassword: l.Password})
}

// Nobody tries without any credential. The outcome is empty where the dossier has no recipe for that. One that came to
// nothing is tried again: a lost answer keeps nobody out, and a limit is for whoever asked before.
func (d *Door) Nobody(ctx context.Context) (probes.Outcome, error) {
	for attempt := 0; ; attempt++ {
		out, err := d.do(ctx, nil)
		if errors.Is(err, probes.ErrNoOperation) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		d.count(out)
		switch {
		case out == probes.Done || out == probes.Refused || attempt > 0:
			return out, nil
		case out == probes.Limited:
			d.lockouts++
			var right probes.Outcome
			right, err = d.AwaitUnlock(ctx)
			d.wrong, d.closed = 0, right != probes.Done
		default:
			err = d.wait(ctx, retryPause)
		}
		if err != nil {
			return "", err
		}
	}
}

func (d *Door) do(ctx context.Context, args probes.Args) (probes.Outcome, error) {
	res, err := d.device.Do(ctx, d.operation, args)
	if err == nil {
		err = ctx.Err() // an exchange cut short by us is not the device's answer
	}
	if err != nil {
		return "", fmt.Errorf("knock with %s: %w", d.operation, err)
	}
	return res.Outcome, nil
}

func (d *Door) count(out probes.Outcome) {
	if out != probes.Done {
		d.wrong++
	}
}

// Learn knocks with a random password to see how this door says no. Silence, a reset or an odd
// answer counts as its no only when it comes twice and the right login gets in between:
// a DTLS server, for one, drops records that it cannot decrypt (RFC 6347, 4.1.2.7).
func (d *Door) Learn(ctx context.Context) (probes.Outcome, error) {
	first, err := d.Knock(ctx, d.Wrong())
	if err != nil {
		return "", err
	}
	d.count(first)
	if first == probes.Done && len(d.own.Password) < 8 { // a short one may be somebody else's by chance, two are not
		if first, err = d.Knock(ctx, d.Wrong()); err != nil {
			return "", err
		}
		d.count(first)
	}
	if first == probes.Done || first == probes.Refused {
		return first, nil
	}
	right, err := d.Right(ctx)
	if err != nil || right != probes.Done {
		return first, err
	}
	second, err := d.Knock(ctx, d.Wrong())
	if err != nil {
		return "", err
	}
	d.count(second)
	if second == first && first != probes.Limited && first != probes.Unreachable {
		d.learned = first
	}
	return second, nil
}

// Right knocks with the login of the label, which also attests every no since the last time:
// a door that is secretly locked turns everybody away and has judged nobody.
func (d *Door) Right(ctx context.Context) (probes.Outcome, error) {
	out, err := d.Knock(ctx, d.own)
	if err == nil && out != probes.Done && out != probes.Limited {
		if err = d.wait(ctx, retryPause); err == nil {
			out, err = d.Knock(ctx, d.own)
		}
	}
	if err != nil {
		return "", err
	}
	d.doubtful = out != probes.Done && out != probes.Limited
	if out == probes.Limited {
		d.lockouts++
	}
	if out == probes.Limited || (d.doubtful && d.wrong > 0) {
		d.batch = max(1, min(d.batch, d.wrong-1))
		if out, err = d.AwaitUnlock(ctx); err != nil {
			return "", err
		}
	}
	d.wrong, d.closed = 0, out != probes.Done
	return out, nil
}

// AwaitUnlock waits out a lock, then knocks with the right login, ever more rarely, until it
// gets in or patience ends. Rarely, because some devices count even the right login while locked.
func (d *Door) AwaitUnlock(ctx context.Context) (probes.Outcome, error) {
	deadline := d.clock.Now().Add(d.patience)
	pause := time.Second
	if d.own.LockoutLasts > 0 {
		pause = d.own.LockoutLasts + lockMargin
	}
	for next := time.Second; ; next *= 2 {
		if err := d.wait(ctx, min(pause, deadline.Sub(d.clock.Now()))); err != nil {
			return "", err
		}
		out, err := d.Knock(ctx, d.own)
		if err != nil || out == probes.Done || !d.clock.Now().Before(deadline) {
			return out, err
		}
		pause = next
	}
}

// First tries candidates in order up to the first that gets in, and tells how many it tried.
// It goes in batches with the right login after each: that resets the count of a lock, and shows
// that the noes were meant.
func (d *Door) First(ctx context.Context, candidates []Candidate) (hit *Candidate, tried int, err error) {
	for tried < len(candidates) {
		if d.closed || d.lockouts > maxLockouts {
			d.unanswered += len(candidates) - tried
			return nil, tried, nil
		}
		batch := candidates[tried:min(tried+d.batch, len(candidates))]
		unanswered := d.unanswered
		for i := range batch {
			out, err := d.try(ctx, batch[i].Login)
			if err != nil {
				return nil, tried, err
			}
			if out == probes.Done {
				return &batch[i], tried + i + 1, nil
			}
		}
		if _, err := d.Right(ctx); err != nil {
			return nil, tried, err
		}
		if d.doubtful {
			d.unanswered = unanswered
			if !d.closed && len(batch) > 1 {
				continue // once more, in a smaller batch
			}
			d.unanswered += len(batch)
		}
		tried += len(batch)
	}
	return nil, tried, nil
}

// try knocks with a candidate and takes care that it gets an answer.
func (d *Door) try(ctx context.Context, l probes.Login) (probes.Outcome, error) {
	for attempt := 0; ; attempt++ {
		if fresh, err := d.rest(ctx, l.Username); err != nil || !fresh {
			d.unanswered++
			return "", err
		}
		out, err := d.Knock(ctx, l)
		if err != nil {
			return "", err
		}
		d.count(out)
		switch {
		case out == probes.Done, d.meansNo(l, out):
			return out, nil
		case attempt > 0, d.SaysNo(out):
			d.unanswered++
			return out, nil
		case out == probes.Limited:
			d.lockouts++
			d.batch = max(1, min(d.batch, d.wrong-1))
			out, err = d.AwaitUnlock(ctx)
			d.wrong, d.closed = 0, out != probes.Done
		default:
			err = d.wait(ctx, retryPause)
		}
		if err != nil {
			return "", err
		}
	}
}

// rest keeps an account that is not the label's from its declared lock: nobody has a right login for it that would
// show the lock, and a locked account turns even its default password away. False: it cannot be tried any more.
func (d *Door) rest(ctx context.Context, name string) (fresh bool, err error) {
	if d.own.LockoutAfter == 0 || name == d.own.Username {
		return true, nil
	}
	if d.others[name] >= d.own.LockoutAfter { // some forget wrong tries only by the lock that they lead to
		lock := d.own.LockoutLasts + lockMargin
		if d.own.LockoutLasts == 0 || d.rested+lock > maxRest {
			return false, nil
		}
		if err := d.wait(ctx, lock); err != nil {
			return false, err
		}
		d.rested += lock
		maps.DeleteFunc(d.others, func(_ string, wrong int) bool { return wrong >= d.own.LockoutAfter })
	}
	d.others[name]++
	return true, nil
}

func (d *Door) wait(ctx context.Context, t time.Duration) error {
	if err := d.clock.Wait(ctx, max(t, 0)); err != nil {
		return fmt.Errorf("wait for %s: %w", d.operation, err)
	}
	return nil
}
