// Package client asks what the device offers when it calls its cloud: versions, cipher suites, the
// name it asks for, resumption. It watches calls that the device makes anyway, and has it make one only
// where there was none and the dossier tells how.
package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"assay/probes"
	"assay/probes/tls"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "tls/client",
		Version: "2", // 1 told no lowest version of a client that names only its highest, and that one old
		Asks:    "Which versions and cipher suites does the device offer when it calls its cloud?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentInterceptor},
			{Instrument: probes.InstrumentInterceptor + "/{via}"},
			{Instrument: probes.InstrumentClock},
		},
		Touch:   probes.Interact,
		Typical: 1,
		New:     func() probes.Probe { return &Probe{WaitSeconds: 30} },
		Facts:   func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	Via         string  `json:"via"`          // mqtts, https or coaps
	WaitSeconds float64 `json:"wait_seconds"` // longest time until the device calls, if it has not yet
}

// Facts is what it offered in its calls so far, all of them together.
type Facts struct {
	Via          string   `json:"via"`           // "mqtts"
	Called       bool     `json:"called"`        // a ClientHello of it was seen
	Calls        int      `json:"calls"`         // 1
	LowestKnown  bool     `json:"lowest_known"`  // every call listed its versions; else lowest is the older of what was agreed on and the highest
	Lowest       string   `json:"lowest"`        // lowest version that it offered: "TLS 1.2"
	Highest      string   `json:"highest"`       // highest: "TLS 1.3"
	OffersOld    bool     `json:"offers_old"`    // it offered TLS 1.1 or older
	Ciphers      []string `json:"ciphers"`       // suites as IANA names them, or 0x0005; the first 64
	WeakCiphers  []string `json:"weak_ciphers"`  // of those: without encryption or authentication, export, RC4, DES, 3DES
	NamesHost    bool     `json:"names_host"`    // every call had the host's name in it (SNI)
	SNI          string   `json:"sni"`           // "cloud.product.example"
	TakesTickets bool     `json:"takes_tickets"` // it would keep a session to go on with
	Resumes      bool     `json:"resumes"`       // it tried to go on with an earlier session, which this bench never gave it
	Version      string   `json:"version"`       // agreed on with the genuine cloud, the last time: "TLS 1.3"
	Cipher       string   `json:"cipher"`        // "TLS_AES_128_GCM_SHA256"
}

const pollEvery = 100 * time.Millisecond

// Ask reads the device's calls, and waits for the first where there was none.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	if !slices.Contains(probes.Vias, p.Via) || p.WaitSeconds < 0 {
		return nil, fmt.Errorf("tls/client: via %.16q for %g s is not usable: %w", p.Via, p.WaitSeconds, probes.ErrBench)
	}
	f := Facts{Via: p.Via, Ciphers: []string{}, WeakCiphers: []string{}}
	calls, err := b.Interceptor.Calls(ctx, p.Via)
	if err == nil && len(calls) == 0 {
		calls, err = p.await(ctx, b)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("tls/client: %w", err)
	}
	if len(calls) > 0 {
		f.note(calls)
	}
	return f, nil
}

// await waits for the device's first call, and has it call where the dossier tells how.
func (p *Probe) await(ctx context.Context, b *probes.Bench) ([]probes.Call, error) {
	stand, err := b.Interceptor.Stand(ctx, p.Via, probes.PassThrough)
	if err != nil {
		return nil, err
	}
	begun := b.Clock.Now()
	calls, err := p.watch(ctx, b, stand, begun)
	return calls, errors.Join(err, stand.Close())
}

func (p *Probe) watch(ctx context.Context, b *probes.Bench, stand probes.Stand, begun time.Time) ([]probes.Call, error) {
	if how := tls.Caller(b.Device, p.Via); how != "" {
		if err := tls.Call(ctx, b.Device, how, stand); err != nil {
			return nil, err
		}
	}
	for {
		// All calls, not the stand's alone: one that had begun before it is as good.
		calls, err := b.Interceptor.Calls(ctx, p.Via)
		if err != nil {
			return nil, err
		}
		over := b.Clock.Now().Sub(begun) >= time.Duration(p.WaitSeconds*float64(time.Second))
		if over || slices.ContainsFunc(calls, func(c probes.Call) bool { return c.Finished || c.Ended }) {
			return calls, nil
		}
		if err := b.Clock.Wait(ctx, pollEvery); err != nil {
			return nil, err
		}
	}
}

const maxListed = 64

// note puts all calls together.
func (f *Facts) note(calls []probes.Call) {
	f.Called, f.Calls, f.LowestKnown, f.NamesHost = true, len(calls), true, true
	for _, c := range calls {
		low := c.Lowest
		if low == "" {
			f.LowestKnown = false
			low = older(c.Version, c.Highest) // whose highest is TLS 1.0 offers nothing newer
		}
		f.Lowest, f.Highest = older(f.Lowest, low), newer(f.Highest, c.Highest)
		for i, id := range c.Ciphers {
			f.add(id, c.CipherNames[i])
		}
		f.NamesHost = f.NamesHost && c.SNI != ""
		if c.SNI != "" {
			f.SNI = c.SNI
		}
		f.TakesTickets, f.Resumes = f.TakesTickets || c.Tickets, f.Resumes || c.Resumes
		if (c.Scenario == probes.Genuine || c.Scenario == probes.PassThrough) && c.Finished {
			f.Version, f.Cipher = c.Version, c.Cipher
		}
	}
	f.OffersOld = rank(f.Lowest) >= 0 && rank(f.Lowest) < rank("TLS 1.2")
}

func (f *Facts) add(id uint16, name string) {
	if len(f.Ciphers) < maxListed && !slices.Contains(f.Ciphers, name) {
		f.Ciphers = append(f.Ciphers, name)
	}
	if weak(id) && len(f.WeakCiphers) < maxListed && !slices.Contains(f.WeakCiphers, name) {
		f.WeakCiphers = append(f.WeakCiphers, name)
	}
}

// order lists versions, the oldest first. DTLS 1.2 is TLS 1.2 over datagrams (RFC 6347).
var order = [][]string{{"SSLv3"}, {"TLS 1.0"}, {"TLS 1.1", "DTLS 1.0"}, {"TLS 1.2", "DTLS 1.2"}, {"TLS 1.3", "DTLS 1.3"}}

func rank(version string) int {
	return slices.IndexFunc(order, func(same []string) bool { return slices.Contains(same, version) })
}

func older(a, b string) string {
	if rank(a) < 0 || rank(b) >= 0 && rank(b) < rank(a) {
		return b
	}
	return a
}

func newer(a, b string) string {
	if rank(b) > rank(a) {
		return b
	}
	return a
}
