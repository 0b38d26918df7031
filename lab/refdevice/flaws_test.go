package refdevice

import (
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/stretchr/testify/require"

	"assay/firmware"
)

func openFile(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func writeFlash(t testing.TB, name string, chip []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, chip, 0o600))
}

func TestFlawsAreDescribed(t *testing.T) {
	seen := map[FlawName]bool{}
	for _, f := range Flaws() {
		require.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		require.NotEmpty(t, f.Checks, f.Name)
		require.NotEmpty(t, f.Explains, f.Name)
		require.NotContains(t, f.Explains, "\n", f.Name)
	}
	_, err := parseFlaws([]string{"no-such-flaw"})
	require.ErrorContains(t, err, `flaw "no-such-flaw" is unknown; there are default-password, `)
}

// Each of these opens a door that the clean device keeps shut.
func TestCredentialFlaws(t *testing.T) {
	for flaw, open := range map[FlawName]func(u *unit) bool{
		DefaultPassword:     func(u *unit) bool { s, _ := u.login("admin", "admin"); return s == http.StatusOK },
		AnyPassword:         func(u *unit) bool { s, _ := u.login("admin", "whatever"); return s == http.StatusOK },
		DefaultMQTTPassword: func(u *unit) bool { return u.mqttOpens("admin", "admin") },
		OpenMQTT:            func(u *unit) bool { return u.mqttOpens("", "") },
		DefaultPSK:          func(u *unit) bool { return u.coapOpens("admin", []byte("admin")) },
		OpenCoAP:            func(u *unit) bool { return u.coapOpens("", nil) },
		UniversalPSK: func(u *unit) bool {
			key, err := hex.DecodeString(u.product.Units[1].Label.PSK)
			require.NoError(u.t, err)
			return u.coapOpens(u.config.Serial, key)
		},
		UniversalPassword: func(u *unit) bool {
			other := u.product.Units[1].Label
			s, _ := u.login(other.AdminUser, other.AdminPassword)
			return s == http.StatusOK && u.mqttOpens(other.MQTTUser, other.MQTTPassword)
		},
		MACPassword: func(u *unit) bool {
			digits := strings.ReplaceAll(u.product.Units[0].MAC, ":", "")
			s, _ := u.login("admin", digits[len(digits)-6:])
			return s == http.StatusOK
		},
		HiddenTelnet: func(u *unit) bool { return strings.Contains(u.telnet("admin", "admin"), "Login incorrect") },
		OpenHTTP:     func(u *unit) bool { s, _ := u.ask("GET", "/api/profile", "", nil); return s == http.StatusOK },
		NoLockout: func(u *unit) bool {
			for range lockoutAfter {
				u.login("admin", "wrong password")
			}
			s, _ := u.login(u.label.AdminUser, u.label.AdminPassword)
			return s == http.StatusOK
		},
		NoMQTTLockout: func(u *unit) bool {
			for range lockoutAfter {
				u.mqttOpens(u.label.MQTTUser, "wrong password")
			}
			return u.mqttOpens(u.label.MQTTUser, u.label.MQTTPassword)
		},
	} {
		t.Run(string(flaw), func(t *testing.T) {
			t.Parallel()
			flawed := newWorld(t, string(flaw)).boot()
			require.True(t, open(flawed), "the flawed device is open")
			status, _ := flawed.login(flawed.label.AdminUser, flawed.label.AdminPassword)
			require.Equal(t, http.StatusOK, status, "the label still opens it")
			require.True(t, flawed.mqttOpens(flawed.label.MQTTUser, flawed.label.MQTTPassword))
			require.True(t, flawed.coapOpens(flawed.config.Serial, flawed.psk()))
			require.False(t, open(newWorld(t).boot()), "the clean device is not")
		})
	}
}

// telnet logs in at the console and returns what it said until then; nothing where there is none.
func (u *unit) telnet(username, password string) string {
	conn, err := net.DialTimeout("tcp", u.config.Network.Host+":"+strconv.Itoa(u.config.Ports.Telnet), 5*time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	require.NoError(u.t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	said := make([]byte, 0, 256)
	for _, prompt := range []string{"login: " + username, "Password: " + password, "incorrect"} {
		prompt, answer, _ := strings.Cut(prompt, ": ")
		for !strings.Contains(string(said), prompt) {
			b := make([]byte, 64)
			n, err := conn.Read(b)
			require.NoError(u.t, err)
			said = append(said, b[:n]...)
		}
		_, err := conn.Write([]byte(answer + "\r\n"))
		require.NoError(u.t, err)
	}
	require.True(u.t, strings.HasPrefix(string(said), telnetOptions))
	return string(said)
}

func (u *unit) mqttOpens(user, password string) bool {
	c, err := u.mqtt(user, password)
	if err == nil {
		c.Disconnect(0)
	}
	return err == nil
}

func (u *unit) coapOpens(identity string, key []byte) bool {
	code, _, err := u.coapAsk(codes.GET, "/location", identity, key, "")
	return err == nil && code == codes.Content
}

// The variants that each flawed device takes; the clean one takes none, which TestUpdates shows.
func TestUpdateFlaws(t *testing.T) {
	for flaw, want := range map[FlawName]map[string][]string{
		AcceptsTamperedUpdate: {viaHTTPS: {firmware.Tampered}, viaCoAP: {firmware.Tampered}},
		AcceptsUnsignedUpdate: {viaHTTPS: {firmware.Unsigned}, viaCoAP: {firmware.Unsigned}},
		AcceptsAnyKey:         {viaHTTPS: {firmware.WrongKey}, viaCoAP: {firmware.WrongKey}},
		AcceptsOlderUpdate:    {viaHTTPS: {"older"}, viaCoAP: {"older"}},
		CoAPUpdateUnchecked:   {viaCoAP: {firmware.Tampered, firmware.Unsigned, firmware.WrongKey}},
	} {
		for _, via := range []string{viaHTTPS, viaCoAP} {
			t.Run(string(flaw)+"/"+via, func(t *testing.T) {
				t.Parallel()
				for _, variant := range []string{firmware.Tampered, firmware.Unsigned, firmware.WrongKey, "older"} {
					u := newWorld(t, string(flaw)).boot()
					version, _ := u.update(via, variants(t, u)[variant])
					taken := slices.Contains(want[via], variant)
					require.Equal(t, taken, version != InstalledVersion, variant)
					require.Equal(t, http.StatusOK, u.health(), variant)
					if variant == "older" && taken {
						version, _ = u.update(via, u.image("1.0.0"))
						require.Equal(t, "1.0.0", version, "forward again")
					}
					version, _ = u.update(via, u.image("1.2.0"))
					require.Equal(t, "1.2.0", version, "the genuine image is taken after %s", variant)
				}
			})
		}
	}
}

func TestAfterRefusalFlaws(t *testing.T) {
	t.Run(string(JamsAfterRefusal), func(t *testing.T) {
		t.Parallel()
		u := newWorld(t, string(JamsAfterRefusal)).boot()
		u.update(viaHTTPS, u.image("0.9.0"))
		status, _ := u.ask("POST", "/api/update", u.owner(), map[string]string{"url": u.offer(viaHTTPS, u.image("1.1.0"))})
		require.Equal(t, http.StatusConflict, status)
		u.control("power off", "ok power off")
		u.control("power on", "ok power on")
		u.await("healthy", func() bool { return u.health() == http.StatusOK })
		version, _ := u.update(viaHTTPS, u.image("1.1.0"))
		require.Equal(t, "1.1.0", version)
	})
	t.Run(string(CrashesAfterRefusal), func(t *testing.T) {
		t.Parallel()
		u := newWorld(t, string(CrashesAfterRefusal)).boot()
		u.update(viaHTTPS, u.image("0.9.0"))
		u.await("unhealthy", func() bool { return u.health() == http.StatusServiceUnavailable })
	})
	t.Run(string(RefusesGenuine), func(t *testing.T) {
		t.Parallel()
		u := newWorld(t, string(RefusesGenuine)).boot()
		version, _ := u.update(viaCoAP, u.image("1.1.0"))
		require.Equal(t, InstalledVersion, version)
	})
}

func TestFactoryReset(t *testing.T) {
	all := []string{byCommand, byButton}
	for flaw, want := range map[FlawName]struct {
		found []string
		by    []string
	}{
		"":                 {[]string{}, all},
		WipeLeavesAPI:      {[]string{"api"}, all},
		WipeLeavesFlash:    {[]string{"flash"}, all},
		WipeLeavesBackup:   {[]string{"flash"}, all},
		WipeLeavesRetained: {[]string{"retained"}, all},
		WipeLeaksLater:     {[]string{"traffic"}, all},
		WipeKeepsAccounts:  {[]string{"login"}, all},
		ButtonKeepsData:    {[]string{"api", "flash", "retained", "traffic", "login"}, []string{byButton}},
	} {
		for _, by := range all {
			t.Run(string(flaw)+"/"+by, func(t *testing.T) {
				t.Parallel()
				var flaws []string
				if flaw != "" {
					flaws = []string{string(flaw)}
				}
				u := newWorld(t, flaws...).boot()
				u.plant()
				u.wipe(by)
				found := want.found
				if !slices.Contains(want.by, by) {
					found = []string{}
				}
				require.Equal(t, found, u.residue())
				u.control("power off", "ok power off")
				u.control("power on", "ok power on")
				u.await("healthy", func() bool { return u.health() == http.StatusOK })
			})
		}
	}
}
