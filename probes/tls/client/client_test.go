package client_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/probes/probetest"
	"assay/probes/tls/client"
)

func TestAsk(t *testing.T) {
	with := map[string]any{"via": "mqtts"}
	offers := func(c probes.Call) probetest.Script { return probetest.Script{Calling: probetest.Calling{Offers: c}} }
	probetest.Run(t, client.Kind(), []probetest.Case{
		{Name: "modern", With: with, Want: map[string]any{
			"via": "mqtts", "called": true, "calls": 1, "lowest_known": true, "lowest": "TLS 1.2", "highest": "TLS 1.3", "offers_old": false,
			"ciphers": []any{"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}, "weak_ciphers": []any{},
			"names_host": true, "sni": "cloud.thermostat.example", "takes_tickets": true, "resumes": false,
			"version": "TLS 1.3", "cipher": "TLS_AES_128_GCM_SHA256",
		}},
		{Name: "old", With: with, Script: offers(probes.Call{
			Lowest: "TLS 1.0", Highest: "TLS 1.2", Resumes: true, Ciphers: []uint16{0x0005, 0x000a, 0xc02f, 0x00ff},
			CipherNames: []string{"TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "0x00FF"},
		}), Want: map[string]any{
			"lowest": "TLS 1.0", "highest": "TLS 1.2", "offers_old": true, "names_host": false, "sni": "", "takes_tickets": false, "resumes": true,
			"weak_ciphers": []any{"TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"},
		}},
		{Name: "does-not-say", With: with, Script: offers(probes.Call{Highest: "TLS 1.2"}), Want: map[string]any{
			"lowest_known": false, "lowest": "TLS 1.2", "highest": "TLS 1.2", "offers_old": false,
		}},
		{Name: "knows-old-ones-only", With: with, Script: offers(probes.Call{Highest: "TLS 1.0", Ended: true, Alert: "protocol version"}), Want: map[string]any{
			"lowest_known": false, "lowest": "TLS 1.0", "highest": "TLS 1.0", "offers_old": true,
		}},
		{Name: "fetches", With: map[string]any{"via": "https"}, Want: map[string]any{"called": true, "version": "TLS 1.3"}},
		{Name: "deaf", With: with, Script: probetest.Script{Calling: probetest.Calling{Deaf: true}}, Want: map[string]any{
			"called": false, "calls": 0, "highest": "", "ciphers": []any{},
		}},
	})
}

func TestAskRefusesUselessParameters(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	require.NoError(t, err)
	for _, with := range []map[string]any{{}, {"via": "ftp"}, {"via": "mqtts", "wait_seconds": -1}} {
		_, err := probetest.Decode(t, client.Kind(), with).Ask(t.Context(), thermostat.Bench())
		assert.ErrorIs(t, err, probes.ErrBench, "%v", with)
	}
}
