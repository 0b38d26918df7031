// Package impostor asks whether the device talks to somebody who cannot prove to be its cloud. It
// stands in the cloud's place with a certificate that is wrong in one way, and with the genuine one
// before and after. What counts is whether the device then said anything: many send the same alert
// for every cause, and some look at the certificate only after the handshake.
package impostor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"assay/probes"
	"assay/probes/tls"
)

// Kind describes the probe.
func Kind() probes.Kind {
	return probes.Kind{
		Name:    "tls/impostor",
		Version: "1",
		Asks:    "Does the device talk to a server that cannot prove to be its cloud?",
		Needs: []probes.Need{
			{Instrument: probes.InstrumentDevice},
			{Instrument: probes.InstrumentInterceptor},
			{Instrument: probes.InstrumentInterceptor + "/{via}"},
			{Instrument: probes.InstrumentInterceptor + "/{via}/{scenario}"},
			{Instrument: probes.InstrumentClock},
		},
		Touch:   probes.Disrupt,
		Typical: 4,
		New: func() probes.Probe {
			return &Probe{WaitSeconds: 30, Tries: 2, AgainSeconds: 5, DataSeconds: 3}
		},
		Facts: func() probes.Facts { return Facts{} },
	}
}

// Probe holds the parameters.
type Probe struct {
	Scenario     string  `json:"scenario"`      // unknown-ca, self-signed, wrong-host, expired ...
	Via          string  `json:"via"`           // mqtts, https or coaps
	WaitSeconds  float64 `json:"wait_seconds"`  // longest time until the device calls, each time
	Tries        int     `json:"tries"`         // calls that are refused before the answer counts: some give in later
	AgainSeconds float64 `json:"again_seconds"` // longest time for a further call after a refused one
	DataSeconds  float64 `json:"data_seconds"`  // longest time from the end of a handshake to the first word
}

// Facts is what the device did.
type Facts struct {
	Scenario string `json:"scenario"` // "expired"
	Via      string `json:"via"`      // "mqtts"

	GenuineBefore bool `json:"genuine_before"` // control: with the genuine certificate it spoke to its cloud
	Called        bool `json:"called"`         // it called while the impostor stood there, and began a handshake
	Calls         int  `json:"calls"`          // 2
	GenuineAfter  bool `json:"genuine_after"`  // control: it speaks to its genuine cloud again

	HandshakeFinished bool   `json:"handshake_finished"` // with the impostor, at least once
	DataReceived      bool   `json:"data_received"`      // it then sent the impostor application data
	DataBytes         int64  `json:"data_bytes"`         // 128
	DataProtocol      string `json:"data_protocol"`      // of its first message: "mqtt", "http", "coap", "unknown"; empty: none
	Resumed           bool   `json:"resumed"`            // a handshake was no whole one, so that no certificate was looked at
	Alert             string `json:"alert"`              // the last that it sent: "bad certificate"; empty: none
	Version           string `json:"version"`            // negotiated with the impostor: "TLS 1.3"; empty: none
	Cipher            string `json:"cipher"`             // "TLS_AES_128_GCM_SHA256"
	SNI               string `json:"sni"`                // "cloud.product.example"
	GenuineVersion    string `json:"genuine_version"`    // negotiated with the genuine cloud: "TLS 1.3"

	MadeToCall  string  `json:"made_to_call"` // "hung up on", or the operation that was used: "connect-cloud", "reboot"
	WaitSeconds float64 `json:"wait_seconds"` // 30
}

const (
	pollEvery    = 50 * time.Millisecond
	genuineTries = 3 // a call that is cut short by chance must not spoil the control
)

// Ask presents the genuine cloud, the impostor, and the genuine cloud again.
func (p *Probe) Ask(ctx context.Context, b *probes.Bench) (probes.Facts, error) {
	if p.WaitSeconds <= 0 || p.Tries < 1 || p.AgainSeconds < 0 || p.DataSeconds <= 0 || !slices.Contains(probes.Vias, p.Via) ||
		!slices.Contains(probes.Scenarios, probes.Scenario(p.Scenario)) {
		return nil, fmt.Errorf("tls/impostor: scenario %.32q via %.16q with these times is not usable: %w", p.Scenario, p.Via, probes.ErrBench)
	}
	q := &question{p: p, b: b, how: tls.Caller(b.Device, p.Via)}
	if q.how == "" && slices.Contains(b.Device.Operations(), probes.Reboot) {
		q.how = probes.Reboot
	}
	f := Facts{Scenario: p.Scenario, Via: p.Via, WaitSeconds: p.WaitSeconds}
	before, err := q.present(ctx, probes.Genuine, genuineTries)
	if err != nil {
		return nil, err
	}
	f.GenuineBefore, f.GenuineVersion = spoke(before), version(before)
	if !f.GenuineBefore {
		return f, q.close() // a device that does not even talk to its cloud would refuse everybody
	}
	calls, err := q.present(ctx, probes.Scenario(p.Scenario), p.Tries)
	if err != nil {
		return nil, err
	}
	f.note(calls)
	after, err := q.present(ctx, probes.Genuine, genuineTries)
	if err != nil {
		return nil, err
	}
	f.GenuineAfter, f.MadeToCall = spoke(after), q.used
	return f, q.close()
}

// note writes down what the device did with the impostor.
func (f *Facts) note(calls []probes.Call) {
	f.Called, f.Calls = len(calls) > 0, len(calls)
	for _, c := range calls {
		f.SNI = c.SNI
		f.HandshakeFinished = f.HandshakeFinished || c.Finished
		f.Resumed = f.Resumed || c.Resumed
		f.DataBytes += c.Bytes
		if c.Finished {
			f.Version, f.Cipher = c.Version, c.Cipher
		}
		if c.Alert != "" {
			f.Alert = c.Alert
		}
		if f.DataProtocol == "" || f.DataProtocol == "unknown" && c.Protocol != "" {
			f.DataProtocol = c.Protocol
		}
	}
	f.DataReceived = f.DataBytes > 0
}

// spoke tells whether one call went as calls to the cloud should.
func spoke(calls []probes.Call) bool {
	return slices.ContainsFunc(calls, func(c probes.Call) bool { return c.Finished && c.Bytes > 0 })
}

func version(calls []probes.Call) string {
	for _, c := range calls {
		if c.Version != "" {
			return c.Version
		}
	}
	return ""
}
