package credentials_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/probes/credentials"
	"assay/probes/probetest"
)

func unit() probes.Unit {
	return probes.Unit{
		ID: "unit-1", Serial: "T100-004711", MAC: "02:00:5E:10:4A:7F",
		Others: map[string][]probes.Login{"http": {{Username: "admin", Password: "Zk3nPw8sYh5D"}, {Username: "admin2", Password: "x"}}},
	}
}

func has(list []credentials.Candidate, username, password, from string) bool {
	for _, c := range list {
		if c.Username == username && c.Password == password && c.From == from {
			return true
		}
	}
	return false
}

func TestCommon(t *testing.T) {
	http := credentials.Common("http", "owner")
	for _, pair := range []string{"admin/admin", "root/toor", "owner/owner", "owner/admin", "owner/", "guest/guest"} {
		name, password, _ := strings.Cut(pair, "/")
		assert.True(t, has(http, name, password, ""), pair)
	}
	assert.False(t, has(http, "owner", "secretPSK", ""), "a key for DTLS is no password")
	assert.Len(t, http, len(unique(http)), "no pair twice")

	coap := credentials.Common("coap", "T100-004711")
	for _, pair := range []string{"admin/admin", "T100-004711/admin", "T100-004711/T100-004711", "Client_identity/secretPSK",
		"T100-004711/hex:00000000000000000000000000000000"} {
		name, password, _ := strings.Cut(pair, "/")
		assert.True(t, has(coap, name, password, ""), pair)
	}
	assert.False(t, has(coap, "root", "toor", ""), "nobody keys DTLS with it")
	assert.Less(t, len(coap), 25, "each may cost a deadline")
	assert.Len(t, credentials.Common("http", ""), len(unique(credentials.Common("http", ""))))
}

func unique(list []credentials.Candidate) map[credentials.Candidate]bool {
	set := map[credentials.Candidate]bool{}
	for _, c := range list {
		set[c] = true
	}
	return set
}

func TestOthers(t *testing.T) {
	list := credentials.Others(unit(), "http", "admin")
	assert.True(t, has(list, "admin", "Zk3nPw8sYh5D", ""))
	assert.True(t, has(list, "admin2", "x", ""))
	assert.True(t, has(list, "admin", "x", ""), "also under this unit's own name")
	assert.Len(t, list, 3)
	assert.Empty(t, credentials.Others(unit(), "mqtt", "admin"))
}

func TestDerived(t *testing.T) {
	list := credentials.Derived(unit(), "http", "admin")
	for from, values := range map[string][]string{
		"mac":    {"4a7f", "4A7F", "104a7f", "5e104a7f", "02005e104a7f", "02005E104A7F", "f7a401e50020", "02:00:5E:10:4A:7F"},
		"serial": {"T100-004711", "t100-004711", "117400-001T", "100004711", "4711", "004711", "00004711"},
	} {
		for _, v := range values {
			assert.True(t, has(list, "admin", v, from), "%s from %s", v, from)
		}
	}
	coap := credentials.Derived(unit(), "coap", "id")
	for _, v := range []string{"02005e104a7f", "hex:02005e104a7f", "hex:02005e104a7f00000000000000000000",
		"hex:0000000000000000000002005e104a7f", "hex:02005e104a7f02005e104a7f02005e10"} {
		assert.True(t, has(coap, "id", v, "mac"), v)
	}
	assert.False(t, has(coap, "id", "4a7f", "mac"))
	assert.Empty(t, credentials.Derived(probes.Unit{MAC: "somewhere"}, "coap", "id")[1:], "a MAC that is none is one word")
	assert.Empty(t, credentials.Derived(probes.Unit{}, "http", "admin"))
}

func TestMadeFrom(t *testing.T) {
	for password, want := range map[string]string{
		"bb7acba70d":                               "",       // of nothing here
		"Vq7mK2xRt9Ls":                             "",       // random
		"0a1b2":                                    "",       // too short to tell
		sum("md5", "02005e104a7f")[:10]:            "mac",    // digits
		sum("md5", "02:00:5e:10:4a:7f"):            "mac",    // as printed
		sum("sha1", "T100-004711")[:8]:             "serial", // cut
		sum("base64", "T100-004711")[:12]:          "serial",
		"hex:" + sum("sha256", "T100-004711")[:32]: "serial",
	} {
		assert.Equal(t, want, credentials.MadeFrom(unit(), password), password)
	}
}

func TestWrongHasTheShapeOfTheRightOne(t *testing.T) {
	for _, right := range []string{"Vq7mK2xRt9Ls", "hex:8f1d3c5a7b9e2f40618293a4b5c6d7e8", "1234", ""} {
		thermostat, err := probetest.New(probetest.Script{Credentials: probetest.Credentials{Login: probes.Login{Username: "me", Password: right}}})
		require.NoError(t, err)
		door, err := credentials.Approach(thermostat.Bench(), "http", 30)
		require.NoError(t, err)
		wrong := door.Wrong()
		assert.Equal(t, "me", wrong.Username)
		assert.NotEqual(t, right, wrong.Password)
		assert.NotEqual(t, wrong, door.Wrong(), "another one each time")
		assert.Equal(t, strings.HasPrefix(right, "hex:"), strings.HasPrefix(wrong.Password, "hex:"))
		if right != "" {
			assert.Len(t, wrong.Password, len(right))
		}
		if right == "1234" {
			assert.Regexp(t, "^[0-9]+$", wrong.Password)
		}
	}
}

func TestRandom(t *testing.T) {
	assert.Regexp(t, `^[a-z][a-z2-9]{19}$`, credentials.Random(20))
	assert.NotEqual(t, credentials.Random(20), credentials.Random(20))
}

func TestApproachNeedsALogin(t *testing.T) {
	thermostat, err := probetest.New(probetest.Script{})
	require.NoError(t, err)
	for _, iface := range []string{"", "ssh"} {
		_, err := credentials.Approach(thermostat.Bench(), iface, 30)
		assert.ErrorIs(t, err, probes.ErrBench, iface)
	}
	_, err = credentials.Approach(thermostat.Bench(), "http", 0)
	assert.ErrorIs(t, err, probes.ErrBench)
}
