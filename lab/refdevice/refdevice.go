// Package refdevice is the reference device that the bench proves itself on: a
// connected thermostat with a signed firmware, a flash file, real sockets, and a
// switch for every flaw that a check must find. It never pretends: what it says on
// the wire is what its flash and its code did, and it never knows that it is tested.
package refdevice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The product.
const (
	Manufacturer     = "Example Thermostats"
	Model            = "T-100"
	InstalledVersion = "1.0.0"
	CloudHost        = "cloud.thermostat.example"
	UpdatesHost      = "updates.thermostat.example"
	TimeHost         = "time.thermostat.example"
)

// How a device finds its network.
const (
	ModeDHCP     = "dhcp"     // a lease on an interface, Linux only
	ModeLoopback = "loopback" // an address it is told, for the reduced bench and tests
)

// maxConfig bounds the configuration file; ours have less than 1 KiB.
const maxConfig = 64 << 10

// Config is what one device process is told about its hardware. What the device
// knows about itself (keys, label, firmware) is in its flash.
type Config struct {
	Serial  string   `json:"serial"`
	MAC     string   `json:"mac"`
	Flash   string   `json:"flash"` // file; relative names are meant from the configuration's folder
	Network Network  `json:"network"`
	Ports   Ports    `json:"ports"`
	Cloud   string   `json:"cloud"` // host:port
	Flaws   []string `json:"flaws,omitempty"`

	// Now is the oscillator: the device takes only the time that passes from it, and the date from NTP.
	Now func() time.Time `json:"-"`
	// Answers gets one line per finished control line ("ok power off"); nil: nobody listens.
	Answers io.Writer `json:"-"`
}

// Network is what the device is plugged into.
type Network struct {
	Mode      string `json:"mode"`                // dhcp or loopback
	Interface string `json:"interface,omitempty"` // dhcp: e.g. eth0
	Host      string `json:"host,omitempty"`      // loopback: the device's address, e.g. 127.0.0.1
	Resolver  string `json:"resolver,omitempty"`  // loopback: address:port of the name server
	NTP       string `json:"ntp,omitempty"`       // loopback: address:port of the time server
}

// Ports are the device's own.
type Ports struct {
	HTTPS  int `json:"https"`  // admin API
	MQTT   int `json:"mqtt"`   // local broker over TLS
	CoAPS  int `json:"coaps"`  // CoAP over DTLS with a pre-shared key
	CoAP   int `json:"coap"`   // plain CoAP; open only with the flaw open-coap
	Telnet int `json:"telnet"` // a login prompt; open only with the flaws hidden-telnet and hidden-telnet-ipv6
}

// DefaultPorts are the ports of the reference segment.
func DefaultPorts() Ports {
	return Ports{HTTPS: 8443, MQTT: 8884, CoAPS: 5684, CoAP: 5683, Telnet: 2323}
}

// LoadConfig reads a configuration strictly. The caller adds the clock.
func LoadConfig(file string) (Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("read device configuration: %w", err)
	}
	if len(b) > maxConfig {
		return Config{}, fmt.Errorf("read device configuration %s: more than %d bytes", file, maxConfig)
	}
	var c Config
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read device configuration %s: %w", file, err)
	}
	if c.Flash != "" && !filepath.IsAbs(c.Flash) {
		c.Flash = filepath.Join(filepath.Dir(file), c.Flash)
	}
	return c, nil
}

// check refuses what no device could start with.
func (c Config) check() error {
	if c.Serial == "" || c.Flash == "" {
		return errors.New("device configuration: serial and flash are needed")
	}
	if c.Now == nil {
		return errors.New("device configuration: no clock")
	}
	if _, err := net.ParseMAC(c.MAC); err != nil {
		return fmt.Errorf("device configuration: mac: %w", err)
	}
	if host, port, err := net.SplitHostPort(c.Cloud); err != nil {
		return fmt.Errorf("device configuration: cloud: %w", err)
	} else if n, err := strconv.Atoi(port); host == "" || err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("device configuration: cloud: want host:port, have %q", c.Cloud)
	}
	for _, p := range []int{c.Ports.HTTPS, c.Ports.MQTT, c.Ports.CoAPS, c.Ports.CoAP, c.Ports.Telnet} {
		if p < 1 || p > 65535 {
			return fmt.Errorf("device configuration: ports: %d is not a port", p)
		}
	}
	return c.Network.check()
}

func (n Network) check() error {
	switch n.Mode {
	case ModeDHCP:
		if n.Interface == "" {
			return errors.New("device configuration: network mode dhcp needs an interface")
		}
		return nil
	case ModeLoopback:
		if _, err := netip.ParseAddr(n.Host); err != nil {
			return fmt.Errorf("device configuration: network host: %w", err)
		}
		for _, server := range []string{n.Resolver, n.NTP} {
			if server == "" {
				continue
			}
			if _, err := netip.ParseAddrPort(server); err != nil {
				return fmt.Errorf("device configuration: network server: %w", err)
			}
		}
		return nil
	default:
		return fmt.Errorf("device configuration: network mode %q is neither %s nor %s", n.Mode, ModeDHCP, ModeLoopback)
	}
}
