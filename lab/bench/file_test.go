package bench

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/capture"
	"assay/profiles/dossier"
)

func TestFileIsReadWhole(t *testing.T) {
	f, err := ReadFile(filepath.Join("testdata", "valid.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "eth1", f.Interface)
	assert.Equal(t, "esptool", f.Flash.Command[0])
	assert.Equal(t, []string{"relay", "power", "{{state}}"}, f.Power.Command)
	assert.Equal(t, Serve{Address: "192.0.2.1", Updates: true, Broker: true}, *f.Serve)
	assert.True(t, filepath.IsAbs(f.Dir))
	f, err = ReadFile(filepath.Join("testdata", "valid-instruments.yaml"))
	require.NoError(t, err)
	assert.Equal(t, Console{Port: "/dev/ttyUSB0", Speed: 9600}, *f.Console)
	assert.True(t, f.Button.Person)
	assert.Equal(t, 2, *f.Power.SNMP.Off)
	assert.Equal(t, "PDU_AUTH", f.Power.SNMP.User.AuthKey.Env)
	assert.Equal(t, "esptool", f.Flash.Restore[0])
}

func TestGatewayFileIsReadWhole(t *testing.T) {
	f, err := ReadFile(filepath.Join("testdata", "gateway.yaml"))
	require.NoError(t, err)
	assert.Equal(t, ModeGateway, f.Mode)
	assert.Equal(t, "10.77.0.1/24", f.Address)
	assert.Equal(t, DHCPFile{
		LeaseSeconds: 60, RenewSeconds: 20, RebindSeconds: 40, Failover: true, Router: "10.77.0.1", DNS: []string{"10.77.0.1"},
		NTP: []string{"10.77.0.1"}, Domain: "lab.example", Portal: "https://portal.example/api", Options: map[uint8]string{66: "746674702e6578616d706c65"},
	}, *f.DHCP)
	assert.Equal(t, NamesFile{Lie: []string{"*.vendor.example"}, Upstream: "192.0.2.53:53"}, *f.DNS)
	assert.Equal(t, IPv6File{Prefix: "fd77:a55a:7700::/64", SLAAC: true, DHCP: true}, *f.IPv6)
	assert.Equal(t, Uplink{Interface: "eth0", Allow: []string{"192.0.2.7:443", "time.example:123/udp"}}, *f.Uplink)
	assert.Len(t, f.DHCP.tell(), 6)
	assert.Equal(t, 20, f.ProvesEvery())
	assert.Zero(t, (*File)(nil).ProvesEvery())
	f, err = ReadFile(filepath.Join("testdata", "offline.yaml"))
	require.NoError(t, err)
	assert.Equal(t, ModeOffline, f.Mode)
}

func TestCaptureOfTheFile(t *testing.T) {
	f, err := ReadFile(filepath.Join("testdata", "valid-capture.yaml"))
	require.NoError(t, err)
	one, mac := dossier.Unit{ID: "u1", MAC: "02:00:5e:00:53:07"}, net.HardwareAddr{2, 0, 0x5e, 0, 0x53, 7}
	o := Options{Dir: "run", File: f, Unit: "u1", Dossier: &dossier.Dossier{Units: []dossier.Unit{one, {ID: "u2", MAC: "02:00:5E:00:53:08"}}}}
	b := &Bench{}
	c, err := b.capturing(o, mac)
	require.NoError(t, err)
	assert.Equal(t, capture.Options{
		Interface: "eth1", Path: "run/capture.pcapng", MAC: mac, RotateBytes: 64 << 20, RotateEvery: time.Hour, SnapBytes: 256,
		Filter: capture.Filter{
			Without: []net.HardwareAddr{{2, 0, 0x5e, 0, 0x53, 9}, {2, 0, 0x5e, 0, 0x53, 0xa}},
			Keep:    []net.HardwareAddr{mac, {2, 0, 0x5e, 0, 0x53, 8}},
		},
	}, c)
	assert.Len(t, b.description.Notes, 2, "the evidence says what it leaves out")

	_, err = b.capturing(o, nil)
	require.ErrorIs(t, err, ErrInput)
	require.ErrorContains(t, err, "valid-capture.yaml: key capture.filter: unit u1 has no mac in the dossier")
	o.Dossier.Units[1].MAC = "02:00:5E:00:53:0A"
	_, err = b.capturing(o, mac)
	require.ErrorIs(t, err, ErrInput)
	require.ErrorContains(t, err, "key capture.filter.without: 02-00-5e-00-53-0a is unit u2 of the dossier: a device's own frames are never left out")

	o.File = &File{Interface: "eth1"}
	c, err = b.capturing(o, mac)
	require.NoError(t, err)
	assert.Equal(t, capture.Options{Interface: "eth1", Path: "run/capture.pcapng", MAC: mac}, c)
}

func TestFileIsReadStrictly(t *testing.T) {
	want := map[string]string{
		"invalid-anchor.yaml":                 `testdata/invalid-anchor.yaml:3: anchors and aliases are not read here`,
		"invalid-button-program.yaml":         `testdata/invalid-button-program.yaml:5: key button.command: name the program first`,
		"invalid-capture-filter-gateway.yaml": `testdata/invalid-capture-filter-gateway.yaml:5: key capture.filter: belongs to mode attached: on a gateway's segment every frame is the device's; leave it out`,
		"invalid-capture-filter-host.yaml":    `testdata/invalid-capture-filter-host.yaml:6: key capture.filter.without: want MAC addresses of hosts, for example 02:00:5e:00:53:01, have "01:00:5e:00:00:fb"`,
		"invalid-capture-filter-nobody.yaml":  `testdata/invalid-capture-filter-nobody.yaml:6: key capture.filter.without: name the MAC addresses of the hosts to leave out, or leave the filter out`,
		"invalid-capture-mebibytes.yaml":      `testdata/invalid-capture-mebibytes.yaml:6: key capture.rotate.mebibytes: want 1 to 1048576`,
		"invalid-capture-minutes.yaml":        `testdata/invalid-capture-minutes.yaml:7: key capture.rotate.minutes: want 1 to 10080`,
		"invalid-capture-nothing.yaml":        `testdata/invalid-capture-nothing.yaml:4: key capture: give rotate, snap or filter, or leave it out`,
		"invalid-capture-rotate.yaml":         `testdata/invalid-capture-rotate.yaml:5: key capture.rotate: give mebibytes, minutes or both, or leave it out`,
		"invalid-capture-snap-type.yaml":      `testdata/invalid-capture-snap-type.yaml:5: key snap: want a whole number`,
		"invalid-capture-snap.yaml":           `testdata/invalid-capture-snap.yaml:5: key capture.snap: want 96 to 262144 bytes, or leave it out: then frames are kept whole`,
		"invalid-capture-unknown-key.yaml":    `testdata/invalid-capture-unknown-key.yaml:5: key snaplen: unknown key`,
		"invalid-offline-capture.yaml":        `testdata/invalid-offline-capture.yaml:3: key capture: in mode offline there is no device: leave it out`,
		"invalid-documents.yaml":              `testdata/invalid-documents.yaml:1: want one document with the keys of a bench file`,
		"invalid-empty.yaml":                  `testdata/invalid-empty.yaml:1: want one document with the keys of a bench file`,
		"invalid-flash-both.yaml":             `testdata/invalid-flash-both.yaml:4: key flash: give either command or file`,
		"invalid-flash-neither.yaml":          `testdata/invalid-flash-neither.yaml:4: key flash: give either command or file`,
		"invalid-flash-program.yaml":          `testdata/invalid-flash-program.yaml:5: key flash.command: name the program first`,
		"invalid-laboratory.yaml":             `testdata/invalid-laboratory.yaml:4: key laboratory: a laboratory has a name at least`,
		"invalid-list.yaml":                   `testdata/invalid-list.yaml:1: want keys and values`,
		"invalid-mode.yaml":                   `testdata/invalid-mode.yaml:2: key mode: want attached, gateway or offline, have "router"`,
		"invalid-attached-address.yaml":       `testdata/invalid-attached-address.yaml:4: key address: belongs to mode gateway, this is mode attached: leave it out, or set mode: gateway`,
		"invalid-attached-uplink.yaml":        `testdata/invalid-attached-uplink.yaml:4: key uplink: belongs to mode gateway, this is mode attached: leave it out, or set mode: gateway`,
		"invalid-attached-selftest.yaml":      `testdata/invalid-attached-selftest.yaml:4: key selftest: belongs to mode gateway, this is mode attached: leave it out, or set mode: gateway`,
		"invalid-gateway-selftest.yaml":       `testdata/invalid-gateway-selftest.yaml:4: key selftest.every: want the number of steps after which the bench tests itself again, 1 to 10000, or leave it out: it does so before and after the run`,
		"invalid-gateway-address.yaml":        `testdata/invalid-gateway-address.yaml:4: key address: want the bench's own IPv4 address with its prefix (/16 to /28), for example 10.77.0.1/24, have "10.77.0.0/24"`,
		"invalid-gateway-ipv6.yaml":           `testdata/invalid-gateway-ipv6.yaml:4: key ipv6: set slaac or dhcp to true, or leave it out`,
		"invalid-gateway-lease.yaml":          `testdata/invalid-gateway-lease.yaml:5: key dhcp.lease_seconds: want 2 to 604800`,
		"invalid-gateway-lie.yaml":            `testdata/invalid-gateway-lie.yaml:4: key dns.lie: want names, "*.example" or "*", have "a.*.example"`,
		"invalid-gateway-no-interface.yaml":   `testdata/invalid-gateway-no-interface.yaml:1: key interface: name the network interface that reaches the device`,
		"invalid-gateway-option-code.yaml":    `testdata/invalid-gateway-option-code.yaml:5: key options: want a whole number`,
		"invalid-gateway-option-hex.yaml":     `testdata/invalid-gateway-option-hex.yaml:5: key dhcp.options: option 66: want 1 to 255 bytes in hexadecimal digits and in quotes, for example "0102ff", have "tftp"`,
		"invalid-gateway-option-own.yaml":     `testdata/invalid-gateway-option-own.yaml:5: key dhcp.options: option 53 is set by the protocol`,
		"invalid-gateway-portal.yaml":         `testdata/invalid-gateway-portal.yaml:5: key dhcp.portal: want a URL, have "nowhere"`,
		"invalid-gateway-prefix.yaml":         `testdata/invalid-gateway-prefix.yaml:4: key ipv6.prefix: want a network of length 64, for example fd77:a55a:7700::/64, have "fd77::/48"`,
		"invalid-gateway-rebind.yaml":         `testdata/invalid-gateway-rebind.yaml:7: key dhcp.rebind_seconds: want more than renew_seconds and less than lease_seconds (60)`,
		"invalid-gateway-renew.yaml":          `testdata/invalid-gateway-renew.yaml:6: key dhcp.renew_seconds: want less than lease_seconds (60)`,
		"invalid-gateway-router.yaml":         `testdata/invalid-gateway-router.yaml:5: key dhcp.router: want IPv4 addresses, have "gate.example"`,
		"invalid-gateway-serve.yaml":          `testdata/invalid-gateway-serve.yaml:4: key serve: belongs to mode attached: in mode gateway the bench serves everything at its own address; leave it out`,
		"invalid-gateway-unknown-key.yaml":    `testdata/invalid-gateway-unknown-key.yaml:5: key lease: unknown key`,
		"invalid-gateway-uplink-allow.yaml":   `testdata/invalid-gateway-uplink-allow.yaml:4: key uplink.allow: want host:port or host:port/udp, have "*:443"`,
		"invalid-gateway-uplink-none.yaml":    `testdata/invalid-gateway-uplink-none.yaml:4: key uplink.allow: name what the device may reach as host:port, or leave the uplink out`,
		"invalid-gateway-uplink-same.yaml":    `testdata/invalid-gateway-uplink-same.yaml:4: key uplink.interface: the device is on eth1: the way out must be another interface`,
		"invalid-gateway-upstream-alone.yaml": `testdata/invalid-gateway-upstream-alone.yaml:4: key dns.upstream: names are asked for outside only where there is an uplink: give uplink, or leave this out`,
		"invalid-gateway-upstream.yaml":       `testdata/invalid-gateway-upstream.yaml:4: key dns.upstream: want address:port of a name server, for example 192.0.2.53:53, have "resolver.example"`,
		"invalid-offline-interface.yaml":      `testdata/invalid-offline-interface.yaml:3: key interface: in mode offline there is no device: leave it out`,
		"invalid-no-interface.yaml":           `testdata/invalid-no-interface.yaml:1: key interface: name the network interface that reaches the device`,
		"invalid-serve-address.yaml":          `testdata/invalid-serve-address.yaml:5: key serve.address: want the bench's own IP address on eth1, have "bench.example"`,
		"invalid-serve-everywhere.yaml":       `testdata/invalid-serve-everywhere.yaml:4: key serve.address: want the bench's own IP address on eth1, have "0.0.0.0"`,
		"invalid-serve-nothing.yaml":          `testdata/invalid-serve-nothing.yaml:4: key serve: serve nothing? set updates or broker to true, or leave it out`,
		"invalid-syntax.yaml":                 `testdata/invalid-syntax.yaml:2: key mode: sequence end token ']' not found`,
		"invalid-twice.yaml":                  `testdata/invalid-twice.yaml:4: mapping key "interface" already defined at [3:1]`,
		"invalid-type.yaml":                   `testdata/invalid-type.yaml:6: key broker: want true or false`,
		"invalid-unknown-key-below.yaml":      `testdata/invalid-unknown-key-below.yaml:6: key upates: unknown key`,
		"invalid-unknown-key.yaml":            `testdata/invalid-unknown-key.yaml:4: key flahs: unknown key`,
		"invalid-version.yaml":                `testdata/invalid-version.yaml:1: key assay: want bench/v1, have "bench/v2"`,
		"invalid-button-both.yaml":            `testdata/invalid-button-both.yaml:4: key button: give either command or person: true`,
		"invalid-console-port.yaml":           `testdata/invalid-console-port.yaml:4: key console.port: name the serial port, e.g. /dev/ttyUSB0`,
		"invalid-console-speed.yaml":          `testdata/invalid-console-speed.yaml:6: key console.speed: want the speed in baud, up to 4000000, have 9000000`,
		"invalid-flash-restore.yaml":          `testdata/invalid-flash-restore.yaml:6: key flash.restore: name the program first`,
		"invalid-power-none.yaml":             `testdata/invalid-power-none.yaml:4: key power: give exactly one of command, person, tasmota, shelly and snmp`,
		"invalid-power-secret-in-place.yaml":  `testdata/invalid-power-secret-in-place.yaml:7: key password: want keys and values; a secret is {env: NAME}, {file: NAME} or {text: VALUE}`,
		"invalid-power-shelly.yaml":           `testdata/invalid-power-shelly.yaml:5: key power.shelly.generation: say which: 1 (its page is /relay/0), or 2 and later (its page is /rpc)`,
		"invalid-power-snmp-oid.yaml":         `testdata/invalid-power-snmp-oid.yaml:7: key power.snmp.oid: want the outlet's object as numbers, e.g. 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.1`,
		"invalid-power-snmp-on.yaml":          `testdata/invalid-power-snmp-on.yaml:7: key on: want a whole number`,
		"invalid-power-snmp-secret.yaml":      `testdata/invalid-power-snmp-secret.yaml:5: key power.snmp.community: give exactly one of env, file and text`,
		"invalid-power-tasmota.yaml":          `testdata/invalid-power-tasmota.yaml:6: key power.tasmota.http: want http://HOST or https://HOST:PORT and nothing behind it`,
		"invalid-power-two.yaml":              `testdata/invalid-power-two.yaml:4: key power: give exactly one of command, person, tasmota, shelly and snmp`,
		"invalid-power-unknown.yaml":          `testdata/invalid-power-unknown.yaml:5: key snnp: unknown key`,
		"invalid-units-power.yaml":            `testdata/invalid-units-power.yaml:6: key units.unit-2.power: give exactly one of command, person, tasmota, shelly and snmp`,
	}
	found, err := filepath.Glob(filepath.Join("testdata", "invalid-*.yaml"))
	require.NoError(t, err)
	for _, name := range found {
		_, err := ReadFile(name)
		require.ErrorIs(t, err, ErrInput, name)
		rule := filepath.Base(name)
		assert.Equal(t, want[rule], err.Error(), rule)
	}
	assert.Len(t, found, len(want), "one file for each rule")
	_, err = ReadFile(filepath.Join("testdata", "nowhere.yaml"))
	require.ErrorIs(t, err, ErrInput)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzFile(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	require.NoError(f, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if file, err := ParseFile("bench.yaml", b, "."); err == nil {
			require.Equal(t, "bench/v1", file.Assay)
			require.True(t, file.Interface != "" || file.Mode == ModeOffline)
			if file.Mode == ModeGateway {
				_ = file.DHCP.tell()
			}
		} else {
			require.ErrorIs(t, err, ErrInput)
		}
	})
}
