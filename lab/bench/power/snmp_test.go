package power

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

const outletOID = "1.3.6.1.4.1.8072.9999.9999.4"

// relay is a program behind net-snmp's `pass`: an integer that can be set, kept in a file. "stuck" beside
// the file makes it answer well and do nothing.
const relay = `#!/bin/sh
dir=$(dirname "$0")
case "$1" in
-s) [ "$3" = integer ] || { echo wrong-type; exit 0; }
    [ -e "$dir/stuck" ] || echo "$4" >"$dir/state"; exit 0 ;;
-g) [ "$2" = .` + outletOID + `.0 ] || exit 0
    echo "$2"; echo integer; cat "$dir/state" ;;
esac
`

// snmpd is Debian's agent with one community and one user of version 3.
func snmpd(t *testing.T) (address, dir string) {
	t.Helper()
	program := installed(t, "snmpd", "snmpd")
	dir = t.TempDir()
	script := filepath.Join(dir, "relay.sh")
	require.NoError(t, os.WriteFile(script, []byte(relay), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state"), []byte("1\n"), 0o600))
	conf := filepath.Join(dir, "snmpd.conf")
	require.NoError(t, os.WriteFile(conf, []byte(strings.Join([]string{
		"rwcommunity labwrite 127.0.0.1", "rocommunity labread 127.0.0.1",
		"createUser bench SHA-256 auth-of-the-bench AES priv-of-the-bench", "rwuser bench priv",
		"pass ." + outletOID + " " + script, "",
	}, "\n")), 0o600))
	address = freePort(t, "udp")
	start(t, []string{"SNMP_PERSISTENT_DIR=" + dir, "MIBS="}, program, "-f", "-Lo", "-C", "-c", conf, "-I", "-smux", "udp:"+address)
	return address, dir
}

func TestOutletOfNetSNMP(t *testing.T) {
	address, dir := snmpd(t)
	one, two := 1, 2
	number := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return strings.TrimSpace(string(b))
	}
	base := SNMP{Address: address, OID: outletOID + ".0", On: &one, Off: &two}
	community := func(s string) Config {
		c := base
		c.Community = &Secret{Text: s}
		return Config{SNMP: &c}
	}
	v3 := func(key string) Config {
		c := base
		c.User = &User{Name: "bench", AuthKey: &Secret{Text: key}, PrivKey: &Secret{Text: "priv-of-the-bench"}}
		return Config{SNMP: &c}
	}
	s := opened(t, community("labwrite"), nil, nil)
	require.Eventually(t, func() bool { _, err := s.Ask(t.Context()); return err == nil }, 20*time.Second, 50*time.Millisecond)
	obeys(t, s, func() bool { return number("state") == "1" })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stuck"), nil, 0o600))
	lies(t, s, "it was told off and says that it is on")
	require.NoError(t, os.Remove(filepath.Join(dir, "stuck")))

	obeys(t, opened(t, v3("auth-of-the-bench"), nil, nil), func() bool { return number("state") == "1" })
	for name, c := range map[string]Config{"read only": community("labread"), "stranger": community("public"), "wrong key": v3("another-key-here")} {
		err := opened(t, c, nil, nil).Off(within(t, time.Second))
		require.ErrorIs(t, err, probes.ErrBench, name)
		assert.Equal(t, "1", number("state"), name)
		for _, secret := range []string{"labread", "public", "another-key-here"} {
			assert.NotContains(t, err.Error(), secret, name)
		}
	}
	missing := base
	missing.OID, missing.Community = outletOID+".7", &Secret{Text: "labwrite"}
	lies(t, opened(t, Config{SNMP: &missing}, nil, nil), "not an integer")
}

// An agent that answers with something else, or not at all, costs a deadline.
func TestHostileAgent(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer c.Close()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			b[n/2] ^= 0xFF
			_, _ = c.WriteTo(b[:n], from)
			_, _ = c.WriteTo([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, from)
		}
	}()
	one, two := 1, 2
	s := opened(t, Config{SNMP: &SNMP{Address: c.LocalAddr().String(), OID: outletOID, On: &one, Off: &two, Community: &Secret{Text: "labwrite"}}}, nil, nil)
	err = s.Off(within(t, time.Second))
	require.ErrorIs(t, err, probes.ErrBench)
}
