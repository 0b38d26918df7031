package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/refdevice"
	"assay/probes"
	"assay/profiles/dossier"
	"assay/reports/verdict"
)

// A gateway's device that nobody here wrote a line of: busybox' udhcpc leases its address, dropbear, lighttpd, mosquitto
// and libcoap's server answer at it, and curl or openssl calls the cloud.

const mixedMAC = "02:00:5e:00:53:77"

// A mixed device behind eth1, and how it is declared.
type mixed struct{ dossier, bench, dir string }

// mix plugs the device in. call is how it calls its cloud, again and again: a shell's line with HOST, PORT and ROOT in it.
func mix(t *testing.T, call string) *mixed {
	t.Helper()
	dir := t.TempDir()
	product, err := refdevice.Manufacture(filepath.Join(dir, "product"), refdevice.ManufactureOptions{Now: time.Now()})
	require.NoError(t, err)
	maker, err := dossier.Read(product.Dossier)
	require.NoError(t, err)
	keys, cloud := filepath.Join(filepath.Dir(product.Dossier), "keys"), maker.Cloud.Hosts[0]
	m := &mixed{dir: dir}
	m.dossier = written(t, dir, "dossier.yaml", strings.NewReplacer("KEYS", keys, "CLOUD", cloud, "WORD", unique, "MAC", mixedMAC).Replace(mixedDossier))
	m.bench = written(t, dir, "gateway.yaml", "assay: bench/v1\nmode: gateway\ninterface: eth1\n")

	said, err := exec.CommandContext(t.Context(), installed("mosquitto_passwd"), "-c", "-b", filepath.Join(dir, "mqtt"), "owner", unique).CombinedOutput()
	require.NoError(t, err, string(said))
	broker := written(t, dir, "mosquitto.conf", "listener 1883\nuser root\nallow_anonymous false\npassword_file "+filepath.Join(dir, "mqtt")+"\n")
	web := written(t, dir, "lighttpd.conf", `server.modules = ("mod_auth", "mod_authn_file")
server.port = 80
server.document-root = "`+dir+`"
index-file.names = ("page")
auth.backend = "plain"
auth.backend.plain.userfile = "`+written(t, dir, "http", "owner:"+unique+"\n")+`"
auth.require = ("/" => ("method" => "basic", "realm" => "mixed", "require" => "valid-user"))
`)
	written(t, dir, "page", "well\n")
	resolver := written(t, dir, "resolv.conf", "")
	lease := written(t, dir, "lease", fmt.Sprintf(`#!/bin/sh
case "$1" in
bound|renew) ip addr replace "$ip/$mask" dev "$interface"; ip route replace default via "$router" dev "$interface"; echo "nameserver $dns" >%s;;
deconfig) ip -4 addr flush dev "$interface";;
esac
`, resolver))
	require.NoError(t, os.Chmod(lease, 0o700))
	call = strings.NewReplacer("HOST", cloud, "PORT", "8444", "ROOT", filepath.Join(keys, "root.pem")).Replace(call)
	script := fmt.Sprintf(`mount --bind %s /etc/resolv.conf
%s -f -i far -s %s -t 50 -T 1 &
%s -D -f %s &
%s -c %s &
%s -k %s -v 3 &
while :; do %s || true; sleep 0.2; done >/dev/null 2>&1 &
`, resolver, installed("udhcpc"), lease, installed("lighttpd"), web, installed("mosquitto"), broker, installed("coap-server-openssl"), unique, call)

	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "far", PeerHardwareAddr: hardware(t, mixedMAC)}))
	c := &cable{near: "eth1"}
	// All of it ends with the one process that is killed.
	c.begin(t, "far", "", nil, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script+
		dropbearScript(t, dir, map[string]string{"root": unique}))
	return m
}

// run takes the device through a few requirements.
func (m *mixed) run(t *testing.T, code int, requirements string) map[string]verdict.Verdict {
	t.Helper()
	profile := written(t, m.dir, "own.yaml", `assay: profile/v1
id: own
version: "1"
title: What is asked of a device of many makers
reviews: none
because: a program asks
standards: [{standard: etsi-en-303-645, requirements: [`+requirements+`]}]
without:
  - {check: tls/offer-versions-mqtts, because: nothing calls over MQTT and each look for it waits}
  - {check: tls/offer-ciphers-mqtts, because: nothing calls over MQTT and each look for it waits}
`+strings.TrimPrefix(noScan(requirements), "without:\n"))
	out := filepath.Join(m.dir, "runs")
	r := launch(t, nil, "run", m.dossier, "--bench", m.bench, "--profile", profile, "--out", out, "--format", "json")
	require.Equal(t, code, r.code())
	v := r.report()
	assert.Zero(t, v.Dropped)
	dir := sealedRun(t, out)
	if program := installed("tshark"); program != "" {
		capture := filepath.Join(dir, "capture.pcapng")
		for _, filter := range []string{"dhcp.option.vendor_class_id contains \"udhcp\"", "ssh.protocol contains \"dropbear\"", "http.server contains \"lighttpd\"",
			"mqtt.conack.val == 0", "dtls && eth.src == " + mixedMAC, "tls.handshake.type == 1 && eth.src == " + mixedMAC} {
			assert.Positive(t, frames(t, program, capture, filter), filter)
		}
	}
	return verdicts(v)
}

// insideGatewayBelieves lets every impostor catch a client that verifies nothing, and takes whatever version and key it is shown.
func insideGatewayBelieves(t *testing.T) {
	loopbackUp(t)
	m := mix(t, "curl -s -k -m 5 --tlsv1.0 --ciphers DEFAULT@SECLEVEL=0 https://HOST:PORT/")
	got := m.run(t, exitNonConformant, "5.5-1")
	impostors(t, got, verdict.Fail)
	asFound(t)
}

// insideGatewayVerifies lets no impostor catch one that verifies, and drives the other services by their recipes.
func insideGatewayVerifies(t *testing.T) {
	loopbackUp(t)
	m := mix(t, `printf 'GET / HTTP/1.0\r\n\r\n' | timeout 5 openssl s_client -connect HOST:PORT -servername HOST -quiet -CAfile ROOT -verify_return_error -verify_hostname HOST`)
	got := m.run(t, exitNonConformant, "5.1-5, 5.5-1")
	impostors(t, got, verdict.Pass)
	for _, login := range []string{"http", "mqtt", "ssh"} {
		assert.Equal(t, verdict.Fail, got["credentials/"+login+"-bruteforce"], "%s: the owner gets in, and guessing has no limit", login)
	}
	assert.Equal(t, verdict.NotApplicable, got["credentials/telnet-bruteforce"])
	asFound(t)
}

func impostors(t *testing.T, got map[string]verdict.Verdict, want verdict.Verdict) {
	t.Helper()
	for _, s := range probes.Scenarios {
		if s != probes.Genuine && s != probes.PassThrough {
			assert.Equal(t, want, got["tls/"+string(s)+"-https"], s)
		}
	}
}

const mixedDossier = `assay: dossier/v1
product: {manufacturer: Many, model: Mixed, firmware: "1"}
units:
  - id: one
    serial: S-0001
    mac: "MAC"
    logins: {ssh: {username: root, password: WORD}, http: {username: owner, password: WORD}, mqtt: {username: owner, password: WORD}, coap: {username: S-0001, password: WORD}}
features:
  passwords: {present: true}
  network_authentication: {present: true}
  brute_force_protection_possible: {present: true}
  telnet_login: {present: false, because: no Telnet server is in it}
  cloud_https: {present: true}
  cloud_mqtts: {present: false, because: it calls over HTTPS alone}
  cloud_coaps: {present: false, because: it calls over HTTPS alone}
ixit:
  11-SecComMech:
    - {id: SecComMech-1, description: calls to the cloud, interface: [LogIntf-1], role: client}
  28-LogIntf:
    - {id: LogIntf-1, description: the cloud, status: enabled, contacts: [{host: CLOUD, protocol: tcp, port: 8444, application: https}]}
operations:
  health:
    steps:
      - http: {url: "http://{{host}}/"}
        success: reply.status == 401
      - ssh: {url: "ssh://{{host}}", username: "{{login.ssh.username}}", password: "{{login.ssh.password}}"}
        seconds: 15
      - mqtt: {url: "mqtt://{{host}}", username: "{{login.mqtt.username}}", password: "{{login.mqtt.password}}", publish: home/note, payload: well, retain: true}
      - coap: {url: "coaps://{{host}}/time", identity: "{{login.coap.username}}", key: "{{login.coap.password}}"}
  login-http:
    steps:
      - http: {url: "http://{{host}}/", basic: true}
        refused: reply.status == 401
  login-mqtt:
    steps:
      - mqtt: {url: "mqtt://{{host}}", username: "{{username}}", password: "{{password}}"}
        refused: reply.connack == 4 || reply.connack == 5
  login-ssh:
    steps:
      - ssh: {url: "ssh://{{host}}", username: "{{username}}", password: "{{password}}"}
        seconds: 15
  login-coap:
    steps:
      - coap: {url: "coaps://{{host}}/time", identity: "{{username}}", key: "{{password}}"}
        seconds: 0.25
cloud:
  hosts: [CLOUD]
  certificate: KEYS/cloud.pem
  key: {file: KEYS/cloud.key}
  issuer: {certificate: KEYS/root.pem, key: {file: KEYS/root.key}}
`
