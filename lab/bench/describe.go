package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"assay/lab/bench/segment"
)

// A Description is what a reader of the evidence needs to know about the bench.
type Description struct {
	Mode       string              `json:"mode"`
	System     string              `json:"system"` // linux/amd64
	Kernel     string              `json:"kernel"`
	User       string              `json:"user"` // root, or an ordinary user
	Interfaces []segment.Interface `json:"interfaces,omitempty"`
	Services   []Service           `json:"services,omitempty"`
	Capture    string              `json:"capture,omitempty"` // the interface that is captured
	Device     string              `json:"device,omitempty"`  // how the device is attached
	Versions   map[string]string   `json:"versions"`          // of the software that the bench is made of
	Missing    []Missing           `json:"missing,omitempty"`
	Notes      []string            `json:"notes,omitempty"`
}

// A Service is one server of the bench.
type Service struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// parts are the modules whose behaviour a device can meet.
func parts() []string {
	return []string{
		"github.com/eclipse/paho.mqtt.golang", "github.com/insomniacslk/dhcp", "github.com/miekg/dns",
		"github.com/mochi-mqtt/server/v2", "github.com/pion/dtls/v3", "github.com/plgd-dev/go-coap/v3",
	}
}

func describe(mode string) Description {
	d := Description{
		Mode: mode, System: runtime.GOOS + "/" + runtime.GOARCH, Kernel: segment.Kernel(),
		User: "an ordinary user", Versions: map[string]string{"go": runtime.Version()},
	}
	if os.Geteuid() == 0 {
		d.User = "root"
		if Inside() && !mapsEverybody() {
			d.User = "root of a user namespace"
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return d
	}
	for _, m := range info.Deps {
		if slices.Contains(parts(), m.Path) {
			d.Versions[m.Path] = m.Version
		}
	}
	return d
}

// mapsEverybody tells whether more than one user exists in this user namespace.
func mapsEverybody() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true
	}
	f := strings.Fields(string(b))
	return len(f) != 3 || f[2] != "1"
}
