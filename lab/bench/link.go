package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/probes"
)

// maxDelay bounds how long a frame may wait.
const maxDelay = 10 * time.Second

// link is the cable to the device, for probes.
type link struct {
	of       *segment.Link
	features segment.Features
	touched  atomic.Bool
	say      func(string, ...any)
}

func (b *Bench) cable(name string) {
	l := &link{of: &segment.Link{Name: name}, features: segment.LinkFeatures(), say: b.say}
	b.Probes.Link = l
	b.onClose(l.sound)
}

// Cut pulls the cable out.
func (l *link) Cut(ctx context.Context) error {
	l.say("link: cut")
	return l.change(ctx, l.of.Cut)
}

// Restore puts the cable back in and makes it sound.
func (l *link) Restore(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.say("link: restored")
	return l.sound()
}

// Degrade makes the link as bad as that.
func (l *link) Degrade(ctx context.Context, c probes.LinkConditions) error {
	switch {
	case c.Delay < 0 || c.Delay > maxDelay || c.Jitter < 0 || c.Jitter > maxDelay || c.Loss < 0 || c.Loss > 100 || c.Rate < 0:
		return fmt.Errorf("degrade the link: %+v is nonsense: %w", c, probes.ErrBench)
	case c.Delay+c.Jitter > 0 && l.features.Delay != nil:
		return fmt.Errorf("delay the link: %w: %w", l.features.Delay, probes.ErrBench)
	case c.Loss > 0 && l.features.Loss != nil:
		return fmt.Errorf("lose frames on the link: %w: %w", l.features.Loss, probes.ErrBench)
	case c.Rate > 0 && l.features.Rate != nil:
		return fmt.Errorf("narrow the link: %w: %w", l.features.Rate, probes.ErrBench)
	}
	l.say("link: %s delay and up to %s more, %g %% loss, %d bit/s", c.Delay, c.Jitter, c.Loss, c.Rate)
	return l.change(ctx, func() error {
		err := l.of.Degrade(c)
		if err != nil {
			err = errors.Join(err, l.of.Degrade(probes.LinkConditions{}))
		}
		return err
	})
}

func (l *link) change(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.touched.Store(true)
	if err := f(); err != nil {
		return fmt.Errorf("%w: %w", err, probes.ErrBench)
	}
	return nil
}

// sound makes good what was made bad.
func (l *link) sound() error {
	if !l.touched.Load() {
		return nil
	}
	if err := errors.Join(l.of.Degrade(probes.LinkConditions{}), l.of.Join()); err != nil {
		return fmt.Errorf("make the link sound again: %w: %w", err, probes.ErrBench)
	}
	l.touched.Store(false)
	return nil
}

// timeTeller shifts what the bench's time server says.
type timeTeller struct {
	ntp *services.NTP
	say func(string, ...any)
}

// Shift makes it later by so much.
func (t timeTeller) Shift(ctx context.Context, by time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.say("ntp: tells a time that is %s from the true one", by)
	t.ntp.Shift(by)
	return nil
}

// settle takes back what probes did to the device's surroundings.
func (b *Bench) settle() error {
	if b.ntp != nil {
		b.ntp.Shift(0)
	}
	if l, ok := b.Probes.Link.(*link); ok {
		return l.sound()
	}
	return nil
}

// links tells which conditions of a link are possible here.
func (o *offering) links(f segment.Features) {
	const mend = "use a kernel that has it: modprobe sch_tbf nft_numgen nft_limit nft_fwd_netdev, or CONFIG_NET_SCH_TBF, CONFIG_NF_TABLES_NETDEV, CONFIG_NETFILTER_EGRESS, CONFIG_NFT_FWD_NETDEV"
	o.has = append(o.has, probes.InstrumentLink)
	for _, one := range []struct {
		instrument probes.Instrument
		err        error
	}{{probes.InstrumentLinkDelay, f.Delay}, {probes.InstrumentLinkLoss, f.Loss}, {probes.InstrumentLinkRate, f.Rate}} {
		because := ""
		if one.err != nil {
			because = "this kernel or this user cannot: " + one.err.Error()
		}
		o.take(one.instrument, one.err == nil, because, mend)
	}
}
