package services_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/probes/exposure/services"
	"assay/probes/probetest"
)

func TestAsk(t *testing.T) {
	telnet := []probes.Port{{Number: 2323, Speaks: probes.SpeaksTelnet}, {Number: 60000, Speaks: probes.SpeaksUnknown}}
	script := func(e probetest.Exposing) probetest.Script { return probetest.Script{Exposing: e} }
	probetest.Run(t, services.Kind(), []probetest.Case{
		{Name: "as-declared", Want: map[string]any{
			"ports_tried": 65535, "tcp_open": []any{"tcp/8443", "tcp/8884"}, "tcp_open_count": 2, "tcp_silent": 0, "complete": true,
			"udp_asked": true, "udp_answering": []any{"udp/5684"}, "udp_closed": []any{"udp/53", "udp/5683"}, "udp_silent": []any{"udp/5353"},
			"services":     []any{"tcp/8443 tls", "tcp/8884 tls", "udp/5684 dtls"},
			"alive_before": true, "alive_after": true, "addresses": []any{"192.0.2.100"}, "unscanned": []any{}, "ipv6_only": []any{},
		}},
		{Name: "hidden-telnet", Script: script(probetest.Exposing{More: telnet}), Want: map[string]any{
			"tcp_open": []any{"tcp/2323", "tcp/8443", "tcp/8884", "tcp/60000"},
			"services": []any{"tcp/2323 telnet", "tcp/8443 tls", "tcp/8884 tls", "tcp/60000 unknown", "udp/5684 dtls"},
		}},
		{Name: "hidden-telnet-ipv6", Script: script(probetest.Exposing{More: []probes.Port{{Number: 2323, Speaks: probes.SpeaksTelnet, Only6: true}}}), Want: map[string]any{
			"tcp_open": []any{"tcp/2323", "tcp/8443", "tcp/8884"}, "ipv6_only": []any{"tcp/2323 telnet"}, "complete": true,
			"services": []any{"tcp/2323 telnet", "tcp/8443 tls", "tcp/8884 tls", "udp/5684 dtls"},
		}},
		{Name: "unfair-no-ipv6", Script: script(probetest.Exposing{Unscanned: []string{"IPv6: eth0 has no IPv6 address"}}), Want: map[string]any{
			"complete": false, "unscanned": []any{"IPv6: eth0 has no IPv6 address"}, "alive_after": true, "ipv6_only": []any{},
		}},
		{Name: "plain-coap", Script: script(probetest.Exposing{PlainCoAP: true}), Want: map[string]any{
			"udp_answering": []any{"udp/5683", "udp/5684"}, "services": []any{"tcp/8443 tls", "tcp/8884 tls", "udp/5683 coap", "udp/5684 dtls"},
		}},
		{Name: "broker-missing", Script: script(probetest.Exposing{Shut: []int{8884}}), Want: map[string]any{"tcp_open": []any{"tcp/8443"}, "tcp_open_count": 1}},
		{Name: "answers-everywhere", Script: script(probetest.Exposing{Everywhere: true}), Want: map[string]any{"tcp_open_count": 65535},
			Check: func(t *testing.T, f probes.Facts) {
				assert.Len(t, f.(services.Facts).TCPOpen, 64)
				assert.Len(t, f.(services.Facts).Services, 65, "the first open ports, and what answers over UDP")
				assert.False(t, slices.Contains(f.(services.Facts).TCPOpen, "tcp/65"))
			}},
		{Name: "few-ports", With: map[string]any{"first_port": 1, "last_port": 8443, "udp": false}, Want: map[string]any{
			"ports_tried": 8443, "tcp_open": []any{"tcp/8443"}, "udp_asked": false, "udp_answering": []any{},
		}},
		{Name: "drops-the-rest", Script: script(probetest.Exposing{Drops: 65533}), Want: map[string]any{"tcp_silent": 65533, "complete": true}},
		{Name: "unfair-flickering-link", Script: script(probetest.Exposing{Drops: 40, Flickers: true}), Want: map[string]any{"complete": false, "tcp_silent": 40}},
		{Name: "unfair-dark", Script: script(probetest.Exposing{Dark: true}), Want: map[string]any{"alive_before": false, "alive_after": false}},
		{Name: "unfair-unplugged", Script: script(probetest.Exposing{Unplugged: true}), Want: map[string]any{"alive_before": true, "alive_after": false}},
		{Name: "unfair-toppled", Script: script(probetest.Exposing{Topples: true}), Want: map[string]any{"alive_before": true, "alive_after": false}},
		{Name: "unfair-ill", Script: probetest.Script{Answers: map[string]probes.Outcome{probes.Health: probes.Unreachable}},
			Want: map[string]any{"alive_before": false, "ports_tried": 0, "tcp_open": []any{}}},
		{Name: "no-health-operation", Script: probetest.Script{Lacks: []string{probes.Health}}, Want: map[string]any{"alive_before": true, "alive_after": true}},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	assert.NoError(t, err)
	for _, with := range []map[string]any{{"first_port": 0}, {"last_port": 65536}, {"first_port": 9, "last_port": 8}, {"rate": -1}} {
		_, err := probetest.Decode(t, services.Kind(), with).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", with)
	}
}
