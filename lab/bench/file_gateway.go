package bench

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// DHCPFile is what the gateway's DHCP server tells a device beside its address. Where nothing is
// given the bench itself is router, name server and time server.
type DHCPFile struct {
	LeaseSeconds  int              `yaml:"lease_seconds"`
	RenewSeconds  int              `yaml:"renew_seconds"`  // T1; 0: the device's own choice, half of the lease
	RebindSeconds int              `yaml:"rebind_seconds"` // T2; 0: the device's own choice
	Failover      bool             `yaml:"failover"`       // a second server: the first falls silent once it has leased
	Router        string           `yaml:"router"`
	DNS           []string         `yaml:"dns"`
	NTP           []string         `yaml:"ntp"`
	Domain        string           `yaml:"domain"`
	Portal        string           `yaml:"portal"`  // captive portal's API (RFC 8910)
	Options       map[uint8]string `yaml:"options"` // any other option: code and hexadecimal value
}

// NamesFile is what the gateway's name server says beside the hosts of the dossier's cloud.
type NamesFile struct {
	Lie      []string `yaml:"lie"`      // names that are answered with the bench's own address; "*.example" and "*" are patterns
	Upstream string   `yaml:"upstream"` // address:port of a name server for all other names; only with an uplink
}

// IPv6File is the gateway's IPv6 network.
type IPv6File struct {
	Prefix string `yaml:"prefix"` // a /64; empty: one of our own that is routed nowhere
	SLAAC  bool   `yaml:"slaac"`  // devices make their own addresses
	DHCP   bool   `yaml:"dhcp"`   // devices lease addresses
}

// Uplink is the one way out of the gateway's segment.
type Uplink struct {
	Interface string   `yaml:"interface"`
	Allow     []string `yaml:"allow"` // host:port, or host:port/udp
}

// The bounds of a lease in bench.yaml.
const (
	minLease = 2
	maxLease = 7 * 24 * 3600
	maxAllow = 64
)

type complain func(key, say string, args ...any) error

// checkMode refuses the keys of another mode.
func (f *File) checkMode(bad complain) error {
	gateway := []struct {
		key   string
		given bool
	}{{"address", f.Address != ""}, {"dhcp", f.DHCP != nil}, {"dns", f.DNS != nil}, {"ipv6", f.IPv6 != nil}, {"uplink", f.Uplink != nil}, {"selftest", f.SelfTest != nil}}
	if f.Mode != ModeGateway {
		for _, k := range gateway {
			if k.given {
				return bad(k.key, "belongs to mode gateway, this is mode %s: leave it out, or set mode: gateway", f.Mode)
			}
		}
	}
	if f.Mode == ModeGateway && f.Serve != nil {
		return bad("serve", "belongs to mode attached: in mode gateway the bench serves everything at its own address; leave it out")
	}
	if f.Mode == ModeOffline {
		for _, k := range []struct {
			key   string
			given bool
		}{{"interface", f.Interface != ""}, {"flash", f.Flash != nil}, {"button", f.Button != nil}, {"power", f.Power != nil}, {"console", f.Console != nil}, {"serve", f.Serve != nil}, {"capture", f.Capture != nil}, {"units", len(f.Units) > 0}} {
			if k.given {
				return bad(k.key, "in mode offline there is no device: leave it out")
			}
		}
	}
	return nil
}

// checkGateway holds the rules of what only a gateway has.
func (f *File) checkGateway(bad complain) error {
	if f.Address != "" {
		p, err := netip.ParsePrefix(f.Address)
		if err != nil || !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 28 || p.Addr() == p.Masked().Addr() || !p.Addr().IsGlobalUnicast() {
			return bad("address", "want the bench's own IPv4 address with its prefix (/16 to /28), for example 10.77.0.1/24, have %.48q", f.Address)
		}
	}
	for _, check := range []func(complain) error{f.DHCP.check, f.checkNames, f.IPv6.check, f.checkUplink, f.checkSelfTest} {
		if err := check(bad); err != nil {
			return err
		}
	}
	return nil
}

// maxEvery is more steps than any profile has.
const maxEvery = 10_000

func (f *File) checkSelfTest(bad complain) error {
	if f.SelfTest != nil && (f.SelfTest.Every < 1 || f.SelfTest.Every > maxEvery) {
		return bad("selftest.every", "want the number of steps after which the bench tests itself again, 1 to %d, or leave it out: it does so before and after the run", maxEvery)
	}
	return nil
}

// ProvesEvery is after how many steps the bench proves itself again; 0: before and after the run only.
func (f *File) ProvesEvery() int {
	if f == nil || f.SelfTest == nil {
		return 0
	}
	return f.SelfTest.Every
}

func (d *DHCPFile) check(bad complain) error {
	if d == nil {
		return nil
	}
	if d.LeaseSeconds != 0 && (d.LeaseSeconds < minLease || d.LeaseSeconds > maxLease) {
		return bad("dhcp.lease_seconds", "want %d to %d", minLease, maxLease)
	}
	lease := int(d.lease() / time.Second)
	switch {
	case d.RenewSeconds < 0 || d.RenewSeconds >= lease:
		return bad("dhcp.renew_seconds", "want less than lease_seconds (%d)", lease)
	case d.RebindSeconds < 0 || d.RebindSeconds >= lease || d.RebindSeconds != 0 && d.RebindSeconds <= d.RenewSeconds:
		return bad("dhcp.rebind_seconds", "want more than renew_seconds and less than lease_seconds (%d)", lease)
	}
	if d.Portal != "" {
		if u, err := url.Parse(d.Portal); err != nil || u.Host == "" || len(d.Portal) > 255 {
			return bad("dhcp.portal", "want a URL, have %.48q", d.Portal)
		}
	}
	if len(d.Domain) > 253 {
		return bad("dhcp.domain", "a name has at most 253 letters")
	}
	for _, servers := range []struct {
		key  string
		list []string
	}{{"dhcp.router", some(d.Router)}, {"dhcp.dns", d.DNS}, {"dhcp.ntp", d.NTP}} {
		for _, a := range servers.list {
			if at, err := netip.ParseAddr(a); err != nil || !at.Is4() {
				return bad(servers.key, "want IPv4 addresses, have %.48q", a)
			}
		}
	}
	return d.checkOptions(bad)
}

func (d *DHCPFile) checkOptions(bad complain) error {
	const key = "dhcp.options"
	codes := make([]uint8, 0, len(d.Options))
	for code := range d.Options {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		value := d.Options[code]
		if name, taken := ownOptions()[code]; taken {
			return bad(key, "option %d is set by %s", code, name)
		}
		if b, err := hex.DecodeString(value); err != nil || len(b) == 0 || len(b) > 255 {
			return bad(key, "option %d: want 1 to 255 bytes in hexadecimal digits and in quotes, for example \"0102ff\", have %.48q", code, value)
		}
	}
	return nil
}

// ownOptions are those that the protocol or a key of its own sets.
func ownOptions() map[uint8]string {
	return map[uint8]string{
		0: "the protocol", 255: "the protocol",
		dhcpv4.OptionSubnetMask.Code(): "address", dhcpv4.OptionRouter.Code(): "dhcp.router",
		dhcpv4.OptionDomainNameServer.Code(): "dhcp.dns", dhcpv4.OptionNTPServers.Code(): "dhcp.ntp", dhcpv4.OptionDomainName.Code(): "dhcp.domain",
		dhcpv4.OptionIPAddressLeaseTime.Code(): "dhcp.lease_seconds", dhcpv4.OptionRenewTimeValue.Code(): "dhcp.renew_seconds",
		dhcpv4.OptionRebindingTimeValue.Code(): "dhcp.rebind_seconds", dhcpv4.OptionDHCPMessageType.Code(): "the protocol",
		dhcpv4.OptionServerIdentifier.Code(): "the protocol", optionPortal: "dhcp.portal",
	}
}

// optionPortal is the captive portal option (RFC 8910, section 2.1).
const optionPortal = 114

func (d *DHCPFile) lease() time.Duration {
	if d == nil || d.LeaseSeconds == 0 {
		return gatewayLease
	}
	return time.Duration(d.LeaseSeconds) * time.Second
}

func (f *File) checkNames(bad complain) error {
	d := f.DNS
	if d == nil {
		return nil
	}
	for _, name := range d.Lie {
		if name == "" || len(name) > 253 || strings.ContainsAny(name, " \t") || strings.Contains(strings.TrimPrefix(name, "*"), "*") {
			return bad("dns.lie", "want names, \"*.example\" or \"*\", have %.48q", name)
		}
	}
	if d.Upstream == "" {
		return nil
	}
	if _, err := netip.ParseAddrPort(d.Upstream); err != nil {
		return bad("dns.upstream", "want address:port of a name server, for example 192.0.2.53:53, have %.48q", d.Upstream)
	}
	if f.Uplink == nil {
		return bad("dns.upstream", "names are asked for outside only where there is an uplink: give uplink, or leave this out")
	}
	return nil
}

func (v *IPv6File) check(bad complain) error {
	if v == nil {
		return nil
	}
	if !v.SLAAC && !v.DHCP {
		return bad("ipv6", "set slaac or dhcp to true, or leave it out")
	}
	if v.Prefix == "" {
		return nil
	}
	p, err := netip.ParsePrefix(v.Prefix)
	if err != nil || !p.Addr().Is6() || p.Addr().Is4In6() || p.Bits() != 64 || p != p.Masked() || !p.Addr().IsGlobalUnicast() {
		return bad("ipv6.prefix", "want a network of length 64, for example fd77:a55a:7700::/64, have %.48q", v.Prefix)
	}
	return nil
}

func (f *File) checkUplink(bad complain) error {
	u := f.Uplink
	switch {
	case u == nil:
		return nil
	case u.Interface == "":
		return bad("uplink.interface", "name the network interface that leads out")
	case u.Interface == f.Interface:
		return bad("uplink.interface", "the device is on %s: the way out must be another interface", f.Interface)
	case len(u.Allow) == 0:
		return bad("uplink.allow", "name what the device may reach as host:port, or leave the uplink out")
	case len(u.Allow) > maxAllow:
		return bad("uplink.allow", "at most %d places", maxAllow)
	}
	for _, one := range u.Allow {
		if _, err := parseDoor(one); err != nil {
			return bad("uplink.allow", "%v", err)
		}
	}
	return nil
}

// A door is one place that a device may reach through the uplink.
type door struct {
	host string
	port uint16
	udp  bool
}

func parseDoor(s string) (door, error) {
	at, protocol, named := strings.Cut(s, "/")
	host, port, ok := strings.Cut(at, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 || host == "" || strings.ContainsAny(host, " *") || named && !slices.Contains([]string{"tcp", "udp"}, protocol) {
		return door{}, fmt.Errorf("want host:port or host:port/udp, have %.64q", s)
	}
	return door{host: host, port: uint16(n), udp: protocol == "udp"}, nil
}

// some is a list of one text, or of none.
func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
