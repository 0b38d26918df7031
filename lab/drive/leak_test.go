package drive

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/profiles/dossier"
)

// Whatever the device does, nothing of an operation is left when it is over.
func TestNothingIsLeft(t *testing.T) {
	address, silent := tcp(t, hangs), udp(t, func([]byte) []byte { return nil })
	coaps := secured(t, labelled()...)
	_, broker := deviceBroker(t, true, nil)
	cut := tcp(t, func(c net.Conn) {
		c.Read(make([]byte, 256))
		io.WriteString(c, connackYes)
		c.Read(make([]byte, 256))
	})
	ticks, shell := ticking(t, false), (&sshDevice{open: true, run: says5("x", 0)}).listen(t)
	args := probes.Args{"username": serial, "password": labelKey}
	all := []dossier.Step{
		{HTTP: &dossier.HTTPStep{URL: "http://" + address}},
		{HTTP: &dossier.HTTPStep{URL: "https://" + address}},
		{HTTP: &dossier.HTTPStep{URL: page(t, 200, "")}},
		{MQTT: &dossier.MQTTStep{URL: "mqtt://" + address}},
		{MQTT: &dossier.MQTTStep{URL: "mqtts://" + address}},
		{MQTT: &dossier.MQTTStep{URL: "mqtt://" + cut, Subscribe: "#", Listen: 0.1}},
		{MQTT: &dossier.MQTTStep{URL: broker, Subscribe: "#", Listen: 0.1, Publish: "x", Payload: "y"}},
		{MQTT: &dossier.MQTTStep{URL: "mqtt://" + tcp(t, says("\x20\x02\x00\x63"))}},
		{CoAP: &dossier.CoAPStep{URL: "coap://" + silent}},
		{CoAP: &dossier.CoAPStep{URL: "coaps://" + silent, Identity: "x", Key: "y"}},
		shared(coaps, "/version"),
		{MQTT: &dossier.MQTTStep{URL: "mqtt://" + address, Version: version5}},
		{MQTT: &dossier.MQTTStep{URL: broker, Version: version5, Subscribe: "#", Listen: 0.1, Publish: "x", Payload: "y", HangUp: true}},
		{CoAP: &dossier.CoAPStep{URL: "coap+tcp://" + address, Observe: 0.1}},
		{CoAP: &dossier.CoAPStep{URL: "coap+tcp://" + ticks + "/ticks", Observe: 0.1}},
		{CoAP: &dossier.CoAPStep{URL: "coaps+tcp://" + address}},
		overSSH(address),
		overSSH(shell, runs("x")),
		{SSH: &dossier.SSHStep{URL: "ssh://" + shell, Username: "root", Password: password, Dialogue: []dossier.Line{expects("never")}}},
		{Telnet: &dossier.TelnetStep{URL: "telnet://" + address, Dialogue: []dossier.Line{expects("never")}}},
		{Telnet: &dossier.TelnetStep{URL: "telnet://" + tcp(t, floods("x")), Dialogue: []dossier.Line{expects("never")}}},
	}
	round := func() {
		for _, s := range all {
			s.Seconds = 0.2
			do(t, driver(t, steps(s)), args)
		}
	}
	round() // what libraries start once and keep is started now
	var before int
	settle := func() int { runtime.GC(); return runtime.NumGoroutine() }
	assert.Eventually(t, func() bool { n := settle(); same := n == before; before = n; return same }, 5*time.Second, 300*time.Millisecond)
	round()
	round()
	assert.Eventually(t, func() bool { return settle() <= before+2 }, 10*time.Second, 100*time.Millisecond,
		"%d goroutines before, %d now", before, runtime.NumGoroutine())
}
