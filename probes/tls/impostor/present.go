package impostor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"assay/probes"
	"assay/probes/tls"
)

// A question is one asking of the probe.
type question struct {
	p     *Probe
	b     *probes.Bench
	how   string // operation that makes the device call; empty: it calls by itself
	used  string
	stand probes.Stand
}

// present lets a scenario answer until the device has spoken, or was seen to refuse so many times.
func (q *question) present(ctx context.Context, s probes.Scenario, tries int) ([]probes.Call, error) {
	stand, err := q.b.Interceptor.Stand(ctx, q.p.Via, s)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tls/impostor: %w", err), q.close())
	}
	// The one before it ends by this one; it is closed only at the end, so that the genuine cloud does not
	// answer in between.
	q.stand = stand
	calls, err := q.await(ctx, stand, tries)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tls/impostor: %w", err), q.close())
	}
	return calls, nil
}

// close gives the genuine cloud back.
func (q *question) close() error {
	if q.stand == nil {
		return nil
	}
	if err := q.stand.Close(); err != nil {
		return fmt.Errorf("tls/impostor: %w", err)
	}
	return nil
}

// await makes the device call and waits for what comes of it.
func (q *question) await(ctx context.Context, stand probes.Stand, tries int) ([]probes.Call, error) {
	wait, asked := seconds(q.p.WaitSeconds), false
	begun := q.b.Clock.Now()
	refused := 0 // calls that were over when there was last a new one
	mark := begun
	for {
		calls := stand.Calls()
		done := finished(calls)
		now := q.b.Clock.Now()
		switch {
		case spoke(calls), done >= tries:
			return calls, nil
		case len(calls) == 0:
			if now.Sub(begun) >= wait {
				return calls, nil
			}
		case done > refused:
			refused, mark, asked = done, now, false // and once more
		case done == len(calls) && now.Sub(mark) >= seconds(q.p.AgainSeconds):
			return calls, nil // it does not try again so soon
		case done < len(calls) && now.Sub(q.since(calls, begun)) >= seconds(q.p.DataSeconds)+handshakeTime:
			return calls, nil // it is connected and says nothing
		}
		if !asked && q.mayCall(now.Sub(begun), wait) {
			asked = true
			if err := tls.Call(ctx, q.b.Device, q.how, stand); err != nil {
				return nil, err
			}
			q.used = q.how
		}
		if err := q.b.Clock.Wait(ctx, pollEvery); err != nil {
			return nil, err
		}
	}
}

// handshakeTime is what a slow device may need for a handshake before its silence counts.
const handshakeTime = 10 * time.Second

// since is when the newest call came, by the bench's clock.
func (q *question) since(calls []probes.Call, begun time.Time) time.Time {
	if at := calls[len(calls)-1].At; at.After(begun) {
		return at
	}
	return begun
}

// mayCall tells whether the device is made to call now. It was hung up on, so that it calls by itself if it
// keeps a connection: a restart is the last resort.
func (q *question) mayCall(passed, wait time.Duration) bool {
	return q.how != "" && (q.how != probes.Reboot || passed >= wait/2)
}

// finished counts the calls that came to nothing: over, without a word.
func finished(calls []probes.Call) int {
	n := 0
	for _, c := range calls {
		if c.Ended && c.Bytes == 0 {
			n++
		}
	}
	return n
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
