package residue

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"assay/firmware/search"
	"assay/probes"
	"assay/probes/credentials"
)

const (
	markLength = 20                     // about 100 random bits; short enough for an SSID (32 octets, IEEE 802.11)
	pollPause  = 100 * time.Millisecond // between two looks at the device
	spreading  = 3 * time.Second        // longest wait for marks to reach storage and cloud before the reset
	spreadLook = 500 * time.Millisecond // between two looks there
)

// accountMark is the name under which the planted account's name is searched for; it is
// kept apart from the marks, so that one flaw is not found twice.
const accountMark = probes.AddAccount

// A hunt knows the marks of one run and looks for them.
type hunt struct {
	bench   *probes.Bench
	iface   string
	begun   time.Time
	marks   map[string]string // secret; by the name of what was stored
	stored  []string          // names of those that the device said it has stored
	whole   int64             // bytes of the longest dump of the storage so far
	account probes.Args
	search  *search.Searcher
}

// plant stores one mark with each store- operation that has its read- operation, reads
// them back, and adds an account.
func (h *hunt) plant(ctx context.Context, f *Facts) error {
	h.begun = h.bench.Clock.Now()
	h.marks = map[string]string{}
	for _, name := range h.stores() {
		value := credentials.Random(markLength)
		res, err := h.do(ctx, probes.StorePrefix+name, probes.Args{probes.ArgValue: value})
		if err != nil {
			return err
		}
		// One that said no is searched for too, since it may have stored the mark all the same.
		h.marks[name] = value
		if res.Outcome != probes.Done {
			continue
		}
		f.Planted++
		h.stored = append(h.stored, name)
		if res, err = h.do(ctx, probes.ReadPrefix+name, nil); err != nil {
			return err
		}
		if res.Outcome == probes.Done && strings.Contains(res.Text, value) {
			f.PlantedSeen++
		}
	}
	h.account = probes.Args{probes.ArgUsername: credentials.Random(markLength), probes.ArgPassword: credentials.Random(markLength)}
	secrets := maps.Clone(h.marks)
	secrets[accountMark] = h.account[probes.ArgUsername]
	var err error
	if h.search, err = search.New(secrets); err != nil {
		return fmt.Errorf("prepare the search: %v: %w", err, probes.ErrBench)
	}
	if !h.can(probes.AddAccount) || !h.can(probes.LoginPrefix+h.iface) {
		return nil
	}
	res, err := h.do(ctx, probes.AddAccount, h.account)
	if err != nil || res.Outcome != probes.Done {
		return err
	}
	res, err = h.do(ctx, probes.LoginPrefix+h.iface, h.account)
	f.AccountBefore = res.Outcome == probes.Done
	return err
}

// stores lists what can be stored and read back.
func (h *hunt) stores() []string {
	var names []string
	for _, op := range h.bench.Device.Operations() {
		if name, ok := strings.CutPrefix(op, probes.StorePrefix); ok && h.can(probes.ReadPrefix+name) {
			names = append(names, name)
		}
	}
	return names
}

func (h *hunt) can(operation string) bool {
	return slices.Contains(h.bench.Device.Operations(), operation)
}

func (h *hunt) do(ctx context.Context, operation string, args probes.Args) (probes.Result, error) {
	res, err := h.bench.Device.Do(ctx, operation, args)
	if err == nil {
		err = ctx.Err() // an exchange cut short by us is not the device's answer
	}
	if err != nil {
		return probes.Result{}, fmt.Errorf("ask for %s: %w", operation, err)
	}
	return res, nil
}

// seenBefore looks where the marks went, until they are in storage and cloud or some time has passed:
// devices write behind.
func (h *hunt) seenBefore(ctx context.Context, f *Facts) error {
	clock := h.bench.Clock
	deadline := clock.Now().Add(spreading)
	missed := slices.Clone(h.stored) // in the storage
	for {
		if h.bench.Flash != nil && !f.FlashSeenBefore {
			hits, _, err := h.flash(ctx)
			if err != nil {
				return err
			}
			missed = slices.DeleteFunc(missed, func(name string) bool {
				return slices.ContainsFunc(hits, func(hit search.Hit) bool { return hit.Name == name })
			})
			f.FlashSeen = f.Planted - len(missed)
			f.FlashSeenBefore = f.Planted > 0 && len(missed) == 0
		}
		if h.bench.Broker != nil && !f.BrokerSeenBefore {
			seen, err := h.broker(ctx)
			if err != nil {
				return err
			}
			f.BrokerSeenBefore = seen
		}
		missing := h.bench.Flash != nil && !f.FlashSeenBefore || h.bench.Broker != nil && !f.BrokerSeenBefore
		if !missing || len(h.marks) == 0 || !clock.Now().Before(deadline) {
			return nil
		}
		if err := clock.Wait(ctx, spreadLook); err != nil {
			return fmt.Errorf("wait for the marks to spread: %w", err)
		}
	}
}

// broker tells whether a mark has reached the cloud, retained or not.
func (h *hunt) broker(ctx context.Context) (bool, error) {
	published, err := h.bench.Broker.Published(ctx, h.begun)
	if err != nil {
		return false, fmt.Errorf("list what was published: %w", err)
	}
	retained, err := h.bench.Broker.Retained(ctx)
	if err != nil {
		return false, fmt.Errorf("list retained messages: %w", err)
	}
	return h.inMessages(published) || h.inMessages(retained), nil
}

func (h *hunt) inMessages(list []probes.Message) bool {
	return slices.ContainsFunc(list, func(m probes.Message) bool {
		return h.in(m.Payload) || h.in([]byte(m.Topic))
	})
}

// in tells whether a mark is in b, in whatever encoding.
func (h *hunt) in(b []byte) bool {
	return slices.ContainsFunc(h.search.Bytes(b), func(hit search.Hit) bool { return hit.Name != accountMark })
}

// flash reads the storage once and returns the places of all secrets in it, the account's name among them. It is not
// whole where it is empty, larger than what is searched, or shorter than it was before: what is missing may hold anything.
func (h *hunt) flash(ctx context.Context) (hits []search.Hit, whole bool, err error) {
	dump, err := h.bench.Flash.Dump(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("dump the storage: %w", err)
	}
	defer func() {
		if cerr := dump.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("close the storage dump: %w", cerr)
		}
	}()
	bounded := &io.LimitedReader{R: dump, N: maxDump + 1}
	if hits, err = h.search.Scan(ctx, bounded); err != nil {
		return nil, false, fmt.Errorf("search the storage dump: %w", err)
	}
	size := maxDump + 1 - bounded.N
	whole = size > 0 && size <= maxDump && size >= h.whole
	h.whole = max(h.whole, size)
	return hits, whole, nil
}
