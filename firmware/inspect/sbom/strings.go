package sbom

import (
	"regexp"

	"assay/firmware/inspect/found"
	"assay/firmware/inspect/scan"
)

// A mark is a version string that a program carries.
type mark struct {
	name   string
	kind   string
	needle string
	back   int64
	shape  *regexp.Regexp // the version is its first group
}

const (
	app = "application"
	lib = "library"
	sys = "operating-system"
	fw  = "firmware"
)

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

const v = `(\d+(?:\.\d+)+[a-z]?(?:[-_](?:rc|alpha|beta|p)\.?\d+)?)`

// marks are strings that the named projects print: what strings(1) shows of their programs.
var marks = []mark{
	{"busybox", app, "BusyBox v", 0, re(`^BusyBox v` + v)},
	{"linux", sys, "Linux version ", 0, re(`^Linux version (\d+\.\d+[0-9A-Za-z.+_-]*) \(`)},
	{"u-boot", fw, "U-Boot ", 0, re(`^U-Boot (?:SPL |TPL )?(\d{4}\.\d{2}[0-9A-Za-z.+_-]*|1\.\d+\.\d+[0-9A-Za-z.+_-]*) ?\(`)},
	{"barebox", fw, "barebox ", 0, re(`^barebox (\d{4}\.\d{2}\.\d+)`)},
	{"openssl", lib, "OpenSSL ", 0, re(`^OpenSSL ` + v + `[a-z]?[ -](?:FIPS )?[ ]?\d{1,2} [A-Z][a-z]{2} \d{4}`)},
	{"libressl", lib, "LibreSSL ", 0, re(`^LibreSSL (\d+\.\d+\.\d+)`)},
	{"wolfssl", lib, "wolfSSL ", 0, re(`^wolfSSL (?:version )?` + v)},
	{"mbedtls", lib, "mbed TLS ", 0, re(`^mbed TLS ` + v)},
	{"mbedtls", lib, "Mbed TLS ", 0, re(`^Mbed TLS ` + v)},
	{"gnutls", lib, "GnuTLS ", 0, re(`^GnuTLS ` + v)},
	{"dropbear", app, "SSH-2.0-dropbear_", 0, re(`^SSH-2\.0-dropbear_(\d{4}\.\d+)`)},
	{"dropbear", app, "Dropbear v", 0, re(`^Dropbear v(\d{4}\.\d+)`)},
	{"openssh", app, "OpenSSH_", 0, re(`^OpenSSH_(\d+\.\d+(?:p\d+)?)`)},
	{"libssh2", lib, "libssh2_", 0, re(`^libssh2_(\d+\.\d+\.\d+)`)},
	{"curl", lib, "libcurl/", 0, re(`^libcurl/` + v)},
	{"zlib", lib, "inflate ", 0, re(`^inflate (\d+\.\d+(?:\.\d+)*) Copyright`)},
	{"zlib", lib, "deflate ", 0, re(`^deflate (\d+\.\d+(?:\.\d+)*) Copyright`)},
	{"bzip2", lib, "bzip2/libbzip2", 0, re(`^bzip2/libbzip2[^0-9]{1,40}` + v)},
	{"xz", lib, "xz (XZ Utils) ", 0, re(`^xz \(XZ Utils\) ` + v)},
	{"libpng", lib, "libpng version ", 0, re(`^libpng version ` + v)},
	{"sqlite", lib, "SQLite version ", 0, re(`^SQLite version (3\.\d+\.\d+)`)},
	{"lua", lib, "$LuaVersion: Lua ", 0, re(`^\$LuaVersion: Lua ` + v)},
	{"lua", lib, "$Lua: Lua ", 0, re(`^\$Lua: Lua ` + v)},
	{"dnsmasq", app, "dnsmasq-", 0, re(`^dnsmasq-(\d+\.\d+(?:rc\d+|test\d+)?)\x00`)},
	{"hostapd", app, "hostapd v", 0, re(`^hostapd v` + v)},
	{"wpa_supplicant", app, "wpa_supplicant v", 0, re(`^wpa_supplicant v` + v)},
	{"lighttpd", app, "lighttpd/", 0, re(`^lighttpd/` + v)},
	{"nginx", app, "nginx/", 0, re(`^nginx/(\d+\.\d+\.\d+)`)},
	{"mosquitto", app, "mosquitto version ", 0, re(`^mosquitto version ` + v)},
	{"samba", app, "Samba version ", 0, re(`^Samba version ` + v)},
	{"vsftpd", app, "vsftpd: version ", 0, re(`^vsftpd: version ` + v)},
	{"proftpd", app, "ProFTPD ", 0, re(`^ProFTPD ` + v)},
	{"net-snmp", app, "NET-SNMP version ", 0, re(`^NET-SNMP version: ?` + v)},
	{"miniupnpd", app, "MiniUPnPd/", 0, re(`^MiniUPnPd/` + v)},
	{"libupnp", lib, "Portable SDK for UPnP devices/", 0, re(`^Portable SDK for UPnP devices/` + v)},
	{"pppd", app, "pppd version ", 0, re(`^pppd version ` + v)},
	{"iptables", app, "iptables v", 0, re(`^iptables v` + v)},
	{"bluez", app, "bluetoothd ", 0, re(`^bluetoothd (\d+\.\d+)`)},
	{"ntpd", app, "ntpd ", 0, re(`^ntpd (\d\.\d+\.\d+p?\d*)@`)},
	{"chrony", app, "chronyd version ", 0, re(`^chronyd version ` + v)},
	{"avahi", app, "avahi-daemon ", 0, re(`^avahi-daemon (\d+\.\d+)`)},
	{"systemd", app, "systemd-", 0, re(`^systemd-(\d{3})(?:\.\d+)?\x00`)},
	{"glibc", lib, "GNU C Library ", 0, re(`^GNU C Library [^\n]{0,80}?version (\d+\.\d+)`)},
	{"musl", lib, "musl libc (", 0, re(`^musl libc \([a-z0-9_-]+\)\nVersion (\d+\.\d+\.\d+)`)},
	{"uclibc-ng", lib, "uClibc-ng ", 0, re(`^uClibc-ng (\d+\.\d+\.\d+)`)},
	{"zephyr", sys, "Booting Zephyr OS build ", 0, re(`^Booting Zephyr OS build (?:zephyr-)?v?(\d+\.\d+\.\d+[0-9A-Za-z.-]*)`)},
	{"freertos", sys, "FreeRTOS V", 0, re(`^FreeRTOS V` + v)},
	{"freertos", sys, "FreeRTOS Kernel V", 0, re(`^FreeRTOS Kernel V` + v)},
	{"threadx", sys, "ThreadX ", 0, re(`^ThreadX [A-Za-z0-9/ -]{0,60}?(?:Version G?|V)(\d+\.\d+(?:\.\d+)*)`)},
	{"lwip", lib, "lwIP/", 0, re(`^lwIP/` + v)},
	{"mongoose", lib, "Mongoose/", 0, re(`^Mongoose/` + v)},
	// ESP-IDF's description of an application (esp_app_desc_t): version, project and IDF version at fixed places.
	{"esp-idf", sys, "\x32\x54\xcd\xab", -112, re(`^v?(\d+\.\d+[0-9A-Za-z.+-]{0,24})\x00`)},
}

// Needles are what the scan has to look for; Judge takes the index of one.
func Needles() []scan.Needle {
	out := make([]scan.Needle, len(marks))
	for i, m := range marks {
		out[i] = scan.Needle{Text: m.needle, Back: m.back}
	}
	return out
}

// Judge looks closer at a hit of the needle with the index.
func (s *Set) Judge(f found.File, path string, needle int, at int64) {
	m := marks[needle]
	if at >= f.Size() {
		return
	}
	b, err := f.Bytes(at, min(256, f.Size()-at))
	if err != nil {
		return
	}
	if g := m.shape.FindSubmatch(b); g != nil {
		how := "version-string"
		if m.name == "linux" {
			how = "kernel"
		}
		s.Add(Component{Name: m.name, Version: string(g[1]), Type: m.kind}, Place{path, at, how})
	}
}
