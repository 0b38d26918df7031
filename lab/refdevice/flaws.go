package refdevice

import (
	"fmt"
	"slices"
	"strings"
)

// A FlawName is the name of one switch, as written on the command line.
type FlawName string

// The switches. Each is asked for in exactly one place of this package.
const (
	DefaultPassword       FlawName = "default-password"
	DefaultMQTTPassword   FlawName = "default-mqtt-password"
	DefaultPSK            FlawName = "default-psk"
	UniversalPassword     FlawName = "universal-password"
	UniversalPSK          FlawName = "universal-psk"
	MACPassword           FlawName = "mac-password"
	OpenHTTP              FlawName = "open-http"
	AnyPassword           FlawName = "any-password"
	OpenMQTT              FlawName = "open-mqtt"
	OpenCoAP              FlawName = "open-coap"
	NoLockout             FlawName = "no-lockout"
	NoMQTTLockout         FlawName = "no-mqtt-lockout"
	AcceptsTamperedUpdate FlawName = "accepts-tampered-update"
	AcceptsUnsignedUpdate FlawName = "accepts-unsigned-update"
	AcceptsAnyKey         FlawName = "accepts-any-key"
	AcceptsOlderUpdate    FlawName = "accepts-older-update"
	CoAPUpdateUnchecked   FlawName = "coap-update-unchecked"
	JamsAfterRefusal      FlawName = "jams-after-refusal"
	CrashesAfterRefusal   FlawName = "crashes-after-refusal"
	RefusesGenuine        FlawName = "refuses-genuine"
	WipeLeavesAPI         FlawName = "wipe-leaves-api"
	WipeLeavesFlash       FlawName = "wipe-leaves-flash"
	WipeLeavesBackup      FlawName = "wipe-leaves-backup"
	WipeLeavesRetained    FlawName = "wipe-leaves-retained"
	WipeLeaksLater        FlawName = "wipe-leaks-later"
	WipeKeepsAccounts     FlawName = "wipe-keeps-accounts"
	ButtonKeepsData       FlawName = "button-keeps-data"
	HiddenTelnet          FlawName = "hidden-telnet"
	HiddenTelnetIPv6      FlawName = "hidden-telnet-ipv6"
	SkipsTLSVerification  FlawName = "skips-tls-verification"
	IgnoresHostName       FlawName = "ignores-host-name"
	IgnoresExpiry         FlawName = "ignores-expiry"
	IgnoresPurpose        FlawName = "ignores-purpose"
	AcceptsWeakKeys       FlawName = "accepts-weak-keys"
	AcceptsOldTLS         FlawName = "accepts-old-tls"
	ForgetsWithoutPower   FlawName = "forgets-settings-without-power"
	StaysDarkAfterCut     FlawName = "stays-dark-after-power-cut"
	SecretInFirmware      FlawName = "secret-in-firmware"
	AccountInFirmware     FlawName = "account-in-firmware"
	VulnerableLibrary     FlawName = "vulnerable-library"
	AnotherVersion        FlawName = "another-version"
)

// A Flaw is one thing a device may do wrong.
type Flaw struct {
	Name     FlawName `json:"name"`
	Explains string   `json:"explains"` // one line
	Checks   []string `json:"checks"`   // ids of the checks that must fail because of it
}

// Flaws lists every flaw, in the order of the checks that find them.
func Flaws() []Flaw {
	return slices.Concat(credentialFlaws(), updateFlaws(), wipeFlaws(), exposureFlaws(), tlsFlaws(), resilienceFlaws(), firmwareFlaws())
}

func credentialFlaws() []Flaw {
	return []Flaw{
		{DefaultPassword, "admin/admin also gets in over HTTPS", []string{"credentials/http-default"}},
		{DefaultMQTTPassword, "admin/admin also gets in to the local broker", []string{"credentials/mqtt-default"}},
		{DefaultPSK, "the identity admin with the key admin also gets in over CoAPS", []string{"credentials/coap-default"}},
		{UniversalPassword, "every unit leaves the factory with the same admin and MQTT password",
			[]string{"credentials/http-default", "credentials/mqtt-default"}},
		{UniversalPSK, "every unit leaves the factory with the same CoAP key", []string{"credentials/coap-default"}},
		{MACPassword, "the admin password is the last six hex digits of the MAC address", []string{"credentials/http-derived"}},
		{OpenHTTP, "the profile API answers without any login", []string{"credentials/http-open"}},
		{AnyPassword, "the HTTPS login takes any password for the admin", []string{"credentials/http-open"}},
		{OpenMQTT, "the local broker lets in who gives no name", []string{"credentials/mqtt-open"}},
		{OpenCoAP, "the CoAP API answers without DTLS too", []string{"credentials/coap-open", "exposure/undeclared"}},
		{NoLockout, "the HTTPS login never locks", []string{"credentials/http-bruteforce"}},
		{NoMQTTLockout, "the local broker's login never locks", []string{"credentials/mqtt-bruteforce"}},
	}
}

func updateFlaws() []Flaw {
	refusals := viaBoth("update/tampered-", "update/unsigned-", "update/wrong-key-", "update/older-")
	return []Flaw{
		{AcceptsTamperedUpdate, "an update that names the maker's key is taken, its signature is never verified", viaBoth("update/tampered-")},
		{AcceptsUnsignedUpdate, "an update without a signature is taken", viaBoth("update/unsigned-")},
		{AcceptsAnyKey, "an update is verified under the key that it brings along", viaBoth("update/wrong-key-")},
		{AcceptsOlderUpdate, "version and security counter of an update are not compared", viaBoth("update/older-")},
		{CoAPUpdateUnchecked, "what arrives over CoAP is installed without verification",
			[]string{"update/tampered-coap", "update/unsigned-coap", "update/wrong-key-coap"}},
		{JamsAfterRefusal, "a refused update blocks every later one until the power is cut", refusals},
		{CrashesAfterRefusal, "a refused update leaves the device unhealthy", refusals},
		{RefusesGenuine, "no update is ever taken", viaBoth("update/genuine-")},
	}
}

func wipeFlaws() []Flaw {
	return []Flaw{
		{WipeLeavesAPI, "after a reset the profile API goes on answering from a cache", byBoth("wipe/api-")},
		{WipeLeavesFlash, "a reset drops the index of the data region, not the data", byBoth("wipe/flash-")},
		{WipeLeavesBackup, "a reset leaves a base64 copy of the profile in the flash", byBoth("wipe/flash-")},
		{WipeLeavesRetained, "a reset leaves the retained messages in the cloud", byBoth("wipe/retained-")},
		{WipeLeaksLater, "after a reset the old name goes out as the DHCP host name", byBoth("wipe/traffic-")},
		{WipeKeepsAccounts, "a reset keeps the accounts that users added", byBoth("wipe/login-")},
		{ButtonKeepsData, "a reset by the button only restarts the device",
			[]string{"wipe/api-button", "wipe/flash-button", "wipe/login-button", "wipe/retained-button", "wipe/traffic-button"}},
	}
}

func exposureFlaws() []Flaw {
	found := []string{
		"exposure/undeclared", "exposure/undeclared-login", // and the dossier denies what was seen:
		"credentials/telnet-open", "credentials/telnet-default", "credentials/telnet-derived", "credentials/telnet-bruteforce",
	}
	return []Flaw{
		{HiddenTelnet, "a Telnet login prompt answers at a port that no paper mentions", found},
		{HiddenTelnetIPv6, "such a prompt answers over IPv6 alone, on a device that everybody knows by its IPv4 address", found},
	}
}

// tlsFlaws are the device's as a client of its cloud, over MQTT and when it fetches updates over HTTPS.
func tlsFlaws() []Flaw {
	return []Flaw{
		{SkipsTLSVerification, "whoever answers for the cloud is believed, whatever his certificate", byWay(
			"unknown-ca", "self-signed", "wrong-host", "expired", "not-yet-valid", "wrong-eku", "non-ca-issuer", "no-basic-constraints", "weak-key",
		)},
		{IgnoresHostName, "any certificate under the maker's root is the cloud's", byWay("wrong-host")},
		{IgnoresExpiry, "the dates of the cloud's certificate are not compared with the clock", byWay("expired", "not-yet-valid")},
		{IgnoresPurpose, "what a certificate may be used for, and whether its issuer is a CA, is not looked at",
			byWay("wrong-eku", "non-ca-issuer", "no-basic-constraints")},
		{AcceptsWeakKeys, "the cloud may have an RSA key of 1024 bits", byWay("weak-key")},
		{AcceptsOldTLS, "the cloud may choose TLS 1.0 or 1.1", byWay("old-version", "offer-versions")},
	}
}

// byWay makes check ids of scenarios, one for each way in which the device calls its cloud.
func byWay(scenarios ...string) []string {
	var ids []string
	for _, s := range scenarios {
		ids = append(ids, "tls/"+s+"-mqtts", "tls/"+s+"-https")
	}
	return ids
}

func resilienceFlaws() []Flaw {
	return []Flaw{
		{ForgetsWithoutPower, "what the owner told the device is gone when its supply was cut", []string{"resilience/powercut-settings"}},
		{StaysDarkAfterCut, "a cut of the supply while it runs leaves the device in recovery, off the network", []string{"resilience/powercut-recovers"}},
	}
}

// firmwareFlaws lie in the images themselves, or in which of them a unit holds.
func firmwareFlaws() []Flaw {
	return []Flaw{
		{SecretInFirmware, "a private key lies in the firmware, the same for every unit", []string{"firmware/no-private-keys"}},
		{AccountInFirmware, "the firmware has an account without a password", []string{"firmware/no-open-accounts"}},
		{VulnerableLibrary, "the firmware has a library of which a vulnerability is known", []string{"firmware/no-known-vulnerabilities"}},
		{AnotherVersion, "units leave the factory with another version than the papers declare", []string{"firmware/declared-version", "firmware/declared-image"}},
	}
}

// viaBoth ends check ids with each way an update can come.
func viaBoth(stems ...string) []string { return ends(stems, "https", "coap") }

// byBoth ends check ids with each way a reset can be asked for.
func byBoth(stems ...string) []string { return ends(stems, "command", "button") }

func ends(stems []string, tails ...string) []string {
	var ids []string
	for _, stem := range stems {
		for _, tail := range tails {
			ids = append(ids, stem+tail)
		}
	}
	return ids
}

// flawSet holds the switches that are on.
type flawSet map[FlawName]bool

func (s flawSet) has(f FlawName) bool { return s[f] }

// parseFlaws turns names into switches; an unknown one is refused with what there is.
func parseFlaws(names []string) (flawSet, error) {
	known := Flaws()
	set := flawSet{}
	for _, name := range names {
		if !slices.ContainsFunc(known, func(f Flaw) bool { return f.Name == FlawName(name) }) {
			all := make([]string, len(known))
			for i, f := range known {
				all[i] = string(f.Name)
			}
			return nil, fmt.Errorf("flaw %q is unknown; there are %s", name, strings.Join(all, ", "))
		}
		set[FlawName(name)] = true
	}
	return set, nil
}
