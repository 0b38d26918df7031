package power

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Config is the key `power` of a bench file: exactly one driver.
type Config struct {
	Command []string `yaml:"command"` // {{state}} stands for on or off
	Read    []string `yaml:"read"`    // with command: prints on or off
	Person  bool     `yaml:"person"`
	Tasmota *Tasmota `yaml:"tasmota"`
	Shelly  *Shelly  `yaml:"shelly"`
	SNMP    *SNMP    `yaml:"snmp"`
}

// Tasmota is a plug with the firmware of that name, by its web page or over a broker.
type Tasmota struct {
	HTTP     string  `yaml:"http"`  // http://192.0.2.9
	MQTT     string  `yaml:"mqtt"`  // mqtt://192.0.2.2:1883
	Topic    string  `yaml:"topic"` // with mqtt: the plug's own name, cmnd/TOPIC/POWER
	Outlet   int     `yaml:"outlet"`
	Username string  `yaml:"username"`
	Password *Secret `yaml:"password"`
}

// Shelly is a plug or relay of that make.
type Shelly struct {
	Generation int     `yaml:"generation"` // 1: /relay; 2 and later: RPC
	HTTP       string  `yaml:"http"`
	MQTT       string  `yaml:"mqtt"`  // generation 2
	Topic      string  `yaml:"topic"` // with mqtt: the device's prefix, TOPIC/rpc
	Outlet     int     `yaml:"outlet"`
	Username   string  `yaml:"username"`
	Password   *Secret `yaml:"password"`
}

// SNMP is an outlet of a power distribution unit, or a switch port that gives power over Ethernet.
type SNMP struct {
	Address   string  `yaml:"address"` // host or host:port
	OID       string  `yaml:"oid"`
	ReadOID   string  `yaml:"read_oid"` // where the state is read back; empty: oid
	On        *int    `yaml:"on"`       // the integer that switches it on, and stands for it
	Off       *int    `yaml:"off"`
	Community *Secret `yaml:"community"` // version 2c
	User      *User   `yaml:"user"`      // version 3
}

// User is one of SNMP version 3, with authentication and privacy.
type User struct {
	Name    string  `yaml:"name"`
	Auth    string  `yaml:"auth"` // sha, sha256, sha384, sha512; empty: sha256
	AuthKey *Secret `yaml:"auth_key"`
	Priv    string  `yaml:"priv"` // aes, aes256; empty: aes
	PrivKey *Secret `yaml:"priv_key"`
}

// Secret is a value of a bench file that is not printed: as text, or where it is to be read from.
type Secret struct {
	Text string `yaml:"text"`
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

const maxSecret = 4 << 10

// Reveal reads the value. Files are meant from dir; one line break at the end is not part of it.
func (s *Secret) Reveal(dir string) (string, error) {
	switch {
	case s == nil:
		return "", nil
	case s.Env != "":
		v, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", fmt.Errorf("the environment has no %s", s.Env)
		}
		return v, nil
	case s.File != "":
		name := s.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if len(b) > maxSecret {
			return "", fmt.Errorf("%s has more than %d bytes", s.File, maxSecret)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	}
	return s.Text, nil
}

func (s *Secret) complaint() string {
	given := 0
	for _, v := range []string{s.Text, s.File, s.Env} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		return "give exactly one of env, file and text"
	}
	return ""
}

// A Fault is what is wrong with a configuration: the key below `power`, and what to do.
type Fault struct{ Key, Say string }

// Error is the complaint.
func (f *Fault) Error() string { return f.Key + ": " + f.Say }

func fault(key, say string, args ...any) *Fault { return &Fault{key, fmt.Sprintf(say, args...)} }

// Check finds the first thing that is wrong; nil where nothing is.
func (c *Config) Check() *Fault {
	given := 0
	for _, is := range []bool{c.Command != nil, c.Person, c.Tasmota != nil, c.Shelly != nil, c.SNMP != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return fault("", "give exactly one of command, person, tasmota, shelly and snmp")
	case c.Command != nil && (len(c.Command) == 0 || c.Command[0] == ""):
		return fault("command", "name the program first")
	case c.Read != nil && c.Command == nil:
		return fault("read", "goes with command only: the other drivers read their state back by themselves")
	case c.Read != nil && (len(c.Read) == 0 || c.Read[0] == ""):
		return fault("read", "name the program first")
	case c.Tasmota != nil:
		return c.Tasmota.check()
	case c.Shelly != nil:
		return c.Shelly.check()
	case c.SNMP != nil:
		return c.SNMP.check()
	}
	return nil
}

func (t *Tasmota) check() *Fault {
	if f := door("tasmota", t.HTTP, t.MQTT, t.Topic, t.Password); f != nil {
		return f
	}
	if t.Outlet < 0 || t.Outlet > 32 {
		return fault("tasmota.outlet", "Tasmota counts its outlets from 1 to 32, have %d", t.Outlet)
	}
	return nil
}

func (s *Shelly) check() *Fault {
	if f := door("shelly", s.HTTP, s.MQTT, s.Topic, s.Password); f != nil {
		return f
	}
	switch {
	case s.Generation < 1 || s.Generation > 9:
		return fault("shelly.generation", "say which: 1 (its page is /relay/0), or 2 and later (its page is /rpc)")
	case s.Generation == 1 && s.MQTT != "":
		return fault("shelly.mqtt", "a Shelly of generation 1 is switched over http here")
	case s.Generation > 1 && s.HTTP != "" && s.Username != "" && s.Username != shellyUser:
		return fault("shelly.username", "a Shelly of generation 2 knows one user: %s", shellyUser)
	case s.Outlet < 0 || s.Outlet > 31:
		return fault("shelly.outlet", "Shelly counts its outlets from 0 to 31, have %d", s.Outlet)
	}
	return nil
}

// plainTopic is a topic that holds no wild card and stays below its prefix.
var plainTopic = regexp.MustCompile(`^[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*$`)

// door checks what web page and broker have in common.
func door(driver, page, broker, topic string, password *Secret) *Fault {
	if (page == "") == (broker == "") {
		return fault(driver, "give either http or mqtt")
	}
	key, address, schemes := ".http", page, []string{"http", "https"}
	if broker != "" {
		key, address, schemes = ".mqtt", broker, []string{"mqtt", "mqtts"}
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" ||
		u.Scheme != schemes[0] && u.Scheme != schemes[1] {
		return fault(driver+key, "want %s://HOST or %s://HOST:PORT and nothing behind it", schemes[0], schemes[1])
	}
	switch {
	case broker != "" && !plainTopic.MatchString(topic):
		return fault(driver+".topic", "name the plug's own topic, as its page shows it")
	case broker == "" && topic != "":
		return fault(driver+".topic", "goes with mqtt only")
	}
	if password != nil {
		if say := password.complaint(); say != "" {
			return fault(driver+".password", "%s", say)
		}
	}
	return nil
}

var oidPattern = regexp.MustCompile(`^\.?[0-2](\.[0-9]{1,10}){2,90}$`)

func (s *SNMP) check() *Fault {
	switch {
	case s.Address == "":
		return fault("snmp.address", "name the unit that has the outlet: HOST or HOST:PORT")
	case !oidPattern.MatchString(s.OID):
		return fault("snmp.oid", "want the outlet's object as numbers, e.g. 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.1")
	case s.ReadOID != "" && !oidPattern.MatchString(s.ReadOID):
		return fault("snmp.read_oid", "want an object as numbers")
	case s.On == nil:
		return fault("snmp.on", "say which integer means on; the unit's MIB has it")
	case s.Off == nil:
		return fault("snmp.off", "say which integer means off; the unit's MIB has it")
	case *s.On == *s.Off:
		return fault("snmp.off", "on and off are the same integer")
	case (s.Community == nil) == (s.User == nil):
		return fault("snmp", "give either community (version 2c) or user (version 3)")
	case s.Community != nil && s.Community.complaint() != "":
		return fault("snmp.community", "%s", s.Community.complaint())
	}
	if _, _, err := s.target(); err != nil {
		return fault("snmp.address", "%v", err)
	}
	if s.User != nil {
		return s.User.check()
	}
	return nil
}

func (u *User) check() *Fault {
	switch {
	case u.Name == "":
		return fault("snmp.user.name", "name the user")
	case u.AuthKey == nil || u.AuthKey.complaint() != "":
		return fault("snmp.user.auth_key", "give exactly one of env, file and text")
	case u.PrivKey == nil || u.PrivKey.complaint() != "":
		return fault("snmp.user.priv_key", "give exactly one of env, file and text")
	}
	if _, ok := authProtocols()[u.Auth]; !ok {
		return fault("snmp.user.auth", "want sha, sha256, sha384 or sha512, have %.20q", u.Auth)
	}
	if _, ok := privProtocols()[u.Priv]; !ok {
		return fault("snmp.user.priv", "want aes or aes256, have %.20q", u.Priv)
	}
	return nil
}

// A Person is somebody at the bench.
type Person interface {
	Ask(ctx context.Context, say string) (string, error)
}

// A Runner runs a program of the lab: what it wrote to its standard output, and its end.
type Runner func(ctx context.Context, argv []string, values map[string]string) ([]byte, error)

// Open makes the switch of a configuration that was checked. dir is the folder of the bench file.
func (c *Config) Open(dir string, person Person, run Runner) (Switch, error) {
	switch {
	case c.Person && person == nil:
		return nil, errors.New("nobody sits at this bench to pull the plug: run it at a terminal, or name another driver")
	case c.Person:
		return hand{person}, nil
	case c.Tasmota != nil:
		return c.Tasmota.open(dir)
	case c.Shelly != nil:
		return c.Shelly.open(dir)
	case c.SNMP != nil:
		return c.SNMP.open(dir)
	}
	return program{c.Command, c.Read, run}, nil
}

// withPort adds a default port to an address.
func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}
