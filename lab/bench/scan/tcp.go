package scan

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"assay/probes"
)

// watchEvery is how often the control is asked while ports are being tried.
const watchEvery = 250 * time.Millisecond

// knock connects to one TCP port and hangs up at once, with a reset: nothing waits on either side.
func (k *knocker) knock(ctx context.Context, port int, patience time.Duration) (probes.PortState, error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", k.address(port))
	if err == nil {
		hangUp(conn)
		return probes.PortOpen, nil
	}
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case refused(err):
		return probes.PortClosed, nil
	case local(err):
		return "", err
	}
	// No answer in time, or a router's word that the way is barred: nobody answered for the port.
	return probes.PortSilent, nil
}

func hangUp(conn net.Conn) {
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}

// A hearing is what all TCP ports came to.
type hearing struct {
	open    []probes.Port
	silent  int
	watched bool // the control answered all through the last tries, as soon as they asked of every port
}

// tcp tries every port, and again those that were silent. A device that sleeps between two beacons may answer later than
// any try waits: where the control does, they are tried once more, for as long as it may take.
func (k *knocker) tcp(ctx context.Context, r probes.ScanRequest, c *control) (hearing, error) {
	var open, silent []int
	watched := false
	for port := r.First; port <= r.Last; port++ {
		silent = append(silent, port)
	}
	try := func(patience time.Duration) error {
		more, still, steady, err := k.pass(ctx, silent, patience, c)
		open, silent, watched = append(open, more...), still, steady
		return err
	}
	for _, patience := range k.patience.TCP {
		if err := try(patience); err != nil {
			return hearing{}, err
		}
		if len(silent) == 0 {
			break
		}
	}
	if len(silent) > 0 && !watched && c != nil {
		late, err := c.same(ctx, k.patience.Control)
		if err == nil && late {
			err = try(k.patience.Control)
		}
		if err != nil {
			return hearing{}, err
		}
	}
	out := hearing{silent: len(silent), watched: watched}
	slices.Sort(open)
	for _, port := range open {
		out.open = append(out.open, probes.Port{Number: port, State: probes.PortOpen, Speaks: probes.SpeaksUnknown})
	}
	return out, nil
}

// pass tries ports once, many at a time, and the control meanwhile.
func (k *knocker) pass(ctx context.Context, ports []int, patience time.Duration, c *control) (open, silent []int, watched bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // guards open and silent
	feed := make(chan int)
	var hands sync.WaitGroup
	for range min(maxAtOnce, len(ports)) {
		hands.Go(func() {
			for port := range feed {
				state, err := k.knock(ctx, port, patience)
				if err != nil {
					cancel(err)
					return
				}
				if state == probes.PortClosed {
					continue
				}
				mu.Lock()
				if state == probes.PortOpen {
					open = append(open, port)
				} else {
					silent = append(silent, port)
				}
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { watched = c.watch(ctx, patience, done) })
	k.feed(ctx, feed, ports)
	hands.Wait()
	close(done)
	watch.Wait()
	if ctx.Err() != nil {
		return nil, nil, false, context.Cause(ctx)
	}
	return open, silent, watched, nil
}

// feed hands out ports at the rate.
func (k *knocker) feed(ctx context.Context, to chan<- int, ports []int) {
	defer close(to)
	const slice = 5 * time.Millisecond
	ticker := time.NewTicker(slice)
	defer ticker.Stop()
	begun := time.Now()
	for i, port := range ports {
		for k.rate > 0 && float64(i) >= float64(k.rate)*(time.Since(begun)+slice).Seconds() {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
		select {
		case to <- port:
		case <-ctx.Done():
			return
		}
	}
}

// watch asks the control again and again until done, and at least once. It tells whether it always answered in the time
// that the ports get: the silence of a port shows nothing where the control itself would have been taken for silent.
func (c *control) watch(ctx context.Context, patience time.Duration, done <-chan struct{}) bool {
	if c == nil {
		return false
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if ok, err := c.same(ctx, patience); err != nil || !ok {
			return false
		}
		select {
		case <-done:
			return true
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

// timedOut tells whether only time ended it.
func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}
