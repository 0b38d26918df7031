package power

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// answering is a person who always says the same.
type answering struct {
	says  string
	asked []string
}

func (a *answering) Ask(ctx context.Context, say string) (string, error) {
	a.asked = append(a.asked, say)
	return a.says, ctx.Err()
}

func TestPerson(t *testing.T) {
	yes := &answering{says: " Yes\n"}
	s := opened(t, Config{Person: true}, yes, nil)
	require.NoError(t, s.Cycle(t.Context(), 0))
	require.Len(t, yes.asked, 2)
	assert.Contains(t, yes.asked[0], "Take the supply away")
	assert.Contains(t, yes.asked[1], "supply back")
	lies(t, opened(t, Config{Person: true}, &answering{says: "no"}, nil), `the answer was "no", not yes`)
	_, err := (&Config{Person: true}).Open("", nil, nil)
	require.ErrorContains(t, err, "nobody sits at this bench")
}

func TestProgram(t *testing.T) {
	var ran [][]string
	on := "on"
	runs := func(_ context.Context, argv []string, values map[string]string) ([]byte, error) {
		ran = append(ran, append(argv[:len(argv):len(argv)], values["state"]))
		if argv[0] == "broken" {
			return nil, errors.New("exit status 3")
		}
		return []byte(on + "\n"), nil
	}
	blind := opened(t, Config{Command: []string{"relay", "{{state}}"}}, nil, runs)
	require.NoError(t, blind.Off(t.Context()))
	assert.Equal(t, [][]string{{"relay", "{{state}}", "off"}}, ran)
	lies(t, opened(t, Config{Command: []string{"broken"}}, nil, runs), "exit status 3")
	reading := opened(t, Config{Command: []string{"relay"}, Read: []string{"relay", "state"}}, nil, runs)
	require.NoError(t, reading.On(t.Context()))
	lies(t, reading, "it was told off and says that it is on")
	on = "perhaps"
	asked := 0
	slow := func(ctx context.Context, argv []string, values map[string]string) ([]byte, error) {
		if asked++; asked < 4 {
			return []byte("off"), nil
		}
		return []byte("on"), nil
	}
	require.NoError(t, opened(t, Config{Command: []string{"relay"}, Read: []string{"relay", "state"}}, nil, slow).On(t.Context()), "a relay that takes a moment")
	lies(t, reading, `relay printed "perhaps", want on or off`)
}

// A cycle that is cancelled gives the supply back all the same.
func TestCycleNeverLeavesTheDeviceDark(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	yes := &answering{says: "yes"}
	s := New(hand{yes}, cancelling{wall{}, cancel})
	err := s.Cycle(ctx, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.False(t, s.Dark())
	assert.Len(t, yes.asked, 2)
}

type cancelling struct {
	wall
	cancel context.CancelFunc
}

func (c cancelling) Wait(ctx context.Context, _ time.Duration) error { c.cancel(); return ctx.Err() }

func TestCheck(t *testing.T) {
	one, two := 1, 2
	secret := &Secret{Text: "x"}
	snmp := func(change func(*SNMP)) Config {
		s := SNMP{Address: "192.0.2.7", OID: outletOID, On: &one, Off: &two, Community: secret}
		change(&s)
		return Config{SNMP: &s}
	}
	user := func(change func(*User)) Config {
		u := User{Name: "bench", AuthKey: secret, PrivKey: secret}
		change(&u)
		return snmp(func(s *SNMP) { s.Community, s.User = nil, &u })
	}
	for want, c := range map[string]Config{
		": give exactly one of command, person, tasmota, shelly and snmp":                           {Person: true, Command: []string{"x"}},
		"command: name the program first":                                                           {Command: []string{""}},
		"read: goes with command only: the other drivers read their state back by themselves":       {Person: true, Read: []string{"x"}},
		"read: name the program first":                                                              {Command: []string{"x"}, Read: []string{""}},
		"tasmota: give either http or mqtt":                                                         {Tasmota: &Tasmota{}},
		"tasmota.http: want http://HOST or https://HOST:PORT and nothing behind it":                 {Tasmota: &Tasmota{HTTP: "http://192.0.2.9/cm"}},
		"tasmota.mqtt: want mqtt://HOST or mqtts://HOST:PORT and nothing behind it":                 {Tasmota: &Tasmota{MQTT: "http://192.0.2.9", Topic: "x"}},
		"tasmota.topic: name the plug's own topic, as its page shows it":                            {Tasmota: &Tasmota{MQTT: "mqtt://192.0.2.9", Topic: "+/x"}},
		"tasmota.topic: goes with mqtt only":                                                        {Tasmota: &Tasmota{HTTP: "http://192.0.2.9", Topic: "x"}},
		"tasmota.outlet: Tasmota counts its outlets from 1 to 32, have 33":                          {Tasmota: &Tasmota{HTTP: "http://192.0.2.9", Outlet: 33}},
		"tasmota.password: give exactly one of env, file and text":                                  {Tasmota: &Tasmota{HTTP: "http://192.0.2.9", Password: &Secret{}}},
		"shelly.generation: say which: 1 (its page is /relay/0), or 2 and later (its page is /rpc)": {Shelly: &Shelly{HTTP: "http://192.0.2.9"}},
		"shelly.mqtt: a Shelly of generation 1 is switched over http here":                          {Shelly: &Shelly{Generation: 1, MQTT: "mqtt://192.0.2.9", Topic: "x"}},
		"shelly.username: a Shelly of generation 2 knows one user: admin":                           {Shelly: &Shelly{Generation: 2, HTTP: "http://192.0.2.9", Username: "x"}},
		"shelly.outlet: Shelly counts its outlets from 0 to 31, have -1":                            {Shelly: &Shelly{Generation: 2, HTTP: "http://192.0.2.9", Outlet: -1}},
		"snmp.address: name the unit that has the outlet: HOST or HOST:PORT":                        snmp(func(s *SNMP) { s.Address = "" }),
		"snmp.address: want HOST or HOST:PORT":                                                      snmp(func(s *SNMP) { s.Address = "192.0.2.7:http" }),
		"snmp.oid: want the outlet's object as numbers, e.g. 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.1":    snmp(func(s *SNMP) { s.OID = "sysName.0" }),
		"snmp.read_oid: want an object as numbers":                                                  snmp(func(s *SNMP) { s.ReadOID = "1" }),
		"snmp.on: say which integer means on; the unit's MIB has it":                                snmp(func(s *SNMP) { s.On = nil }),
		"snmp.off: say which integer means off; the unit's MIB has it":                              snmp(func(s *SNMP) { s.Off = nil }),
		"snmp.off: on and off are the same integer":                                                 snmp(func(s *SNMP) { s.Off = &one }),
		"snmp: give either community (version 2c) or user (version 3)":                              snmp(func(s *SNMP) { s.User = &User{} }),
		"snmp.community: give exactly one of env, file and text":                                    snmp(func(s *SNMP) { s.Community = &Secret{Text: "x", Env: "Y"} }),
		"snmp.user.name: name the user":                                                             user(func(u *User) { u.Name = "" }),
		"snmp.user.auth_key: give exactly one of env, file and text":                                user(func(u *User) { u.AuthKey = nil }),
		"snmp.user.priv_key: give exactly one of env, file and text":                                user(func(u *User) { u.PrivKey = &Secret{} }),
		`snmp.user.auth: want sha, sha256, sha384 or sha512, have "md5"`:                            user(func(u *User) { u.Auth = "md5" }),
		`snmp.user.priv: want aes or aes256, have "des"`:                                            user(func(u *User) { u.Priv = "des" }),
	} {
		f := c.Check()
		require.NotNil(t, f, want)
		assert.Equal(t, want, f.Error())
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "s"), []byte("of the file\n"), 0o600))
	t.Setenv("ASSAY_TEST_SECRET", "of the environment")
	for want, s := range map[string]*Secret{
		"": nil, "in place": {Text: "in place"}, "of the file": {File: "s"}, "of the environment": {Env: "ASSAY_TEST_SECRET"},
	} {
		got, err := s.Reveal(dir)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := (&Secret{Env: "ASSAY_TEST_NO_SECRET"}).Reveal(dir)
	require.EqualError(t, err, "the environment has no ASSAY_TEST_NO_SECRET")
	_, err = (&Secret{File: "nowhere"}).Reveal(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}
