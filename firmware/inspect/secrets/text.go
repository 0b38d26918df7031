package secrets

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"assay/firmware/inspect/found"
)

// Text judges a text by its place in the file system: configuration with passwords, keys
// that may log in, shells that nobody asks to log in.
func Text(f found.File) []found.Finding {
	if len(f.Text) == 0 {
		return nil
	}
	var out []found.Finding
	base := path.Base(f.Name)
	if strings.HasPrefix(base, "authorized_keys") {
		out = append(out, authorized(f)...)
	}
	if telnetPlace(f.Name) {
		out = append(out, shells(f)...)
	}
	out = append(out, spoken(f)...)
	switch {
	case skipped(f.Name):
	case isConfig(f.Name):
		out = append(out, pairs(f, configPair, uciOption, xmlElement, xmlAttribute)...)
	case isSource(f.Name, f.Text):
		out = append(out, pairs(f, quotedPair)...)
	}
	return out
}

var authorizedLine = regexp.MustCompile(`(?m)^[^#\n]*?\b(ssh-rsa|ssh-dss|ssh-ed25519|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9@.-]+) (AAAA[0-9A-Za-z+/=]{20,})`)

func authorized(f found.File) []found.Finding {
	var out []found.Finding
	for _, m := range authorizedLine.FindAllSubmatchIndex(f.Text, -1) {
		out = append(out, one(found.AuthorizedKey, int64(m[0]), f.Text[m[4]:m[5]], "a public key that may log in (%s)", f.Text[m[2]:m[3]])...)
	}
	return out
}

func telnetPlace(name string) bool {
	return strings.HasPrefix(name, "/etc/") || strings.Contains(name, "/init") || strings.HasSuffix(name, ".sh") || strings.HasSuffix(name, ".service")
}

// A telnetd whose program is a shell, or a shell bound to a port, asks nobody for a password.
var shellLines = []shape{
	{"", "telnetd", regexp.MustCompile(`(?m)^[^#\n]*\bu?telnetd\b[^#\n]*\s-l\s*["']?(/usr)?/s?bin/(ba|a|da)?sh\b`)},
	{"", "-l", regexp.MustCompile(`(?m)^[^#\n]*\b(nc|ncat|netcat)\b[^#\n]*\s-l[^#\n]*(-e|--exec|-c)\s*(/usr)?/?s?(bin/)?(ba|a|da)?sh\b`)},
	{"", " -", regexp.MustCompile(`(?m)^[^#\n]*\b(nc|ncat|netcat)\b[^#\n]*(-e|--exec|-c)\s*(/usr)?/?s?(bin/)?(ba|a|da)?sh\b[^#\n]*\s-[a-z]*l`)},
	{"", "-i", regexp.MustCompile(`(?m)^[^#\n]*\bsh\s+-i\b[^#\n]*\|\s*(busybox\s+)?(nc|ncat|netcat)\b[^#\n]*\s-[a-z]*l`)},
	{"", "socat", regexp.MustCompile(`(?m)^[^#\n]*\bsocat\b[^#\n]*LISTEN[^#\n]*EXEC:["']?(/usr)?/?s?(bin/)?(ba|a|da)?sh\b`)},
}

func shells(f found.File) []found.Finding {
	var out []found.Finding
	for _, s := range shellLines {
		if !bytes.Contains(f.Text, []byte(s.sign)) {
			continue
		}
		for _, m := range s.re.FindAllIndex(f.Text, -1) {
			out = append(out, one(found.TelnetShell, int64(m[0]), f.Text[m[0]:m[1]], "a shell over the network that asks for no login")...)
		}
	}
	return out
}

// secretKey names what holds a password; the words around it may be anything.
const secretKey = `[A-Za-z0-9_.\-]*?(?:password|passwd|passphrase|passwort|pwd|psk|secret|api_?key|apikey|access_?key|auth_?key|(?:auth|access|private|api|bot|device|refresh)_?token|[_.\-]pass|wep_key\d?|wpa_key|enckey|secret_?key)\d?`

var (
	configPair   = regexp.MustCompile(`(?im)^[ \t]*(?:export[ \t]+|set[ \t]+)?["']?(` + secretKey + `|pass)["']?(?:[ \t]*[:=][ \t]*|[ \t]+)(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'#;,]+)[ \t]*[,;]?[ \t]*(?:[#;][^\n]*)?\r?$)`)
	jsonPair     = regexp.MustCompile(`(?i)["'](` + secretKey + `)["']\s*:\s*"([^"\n]+)"`)
	uciOption    = regexp.MustCompile(`(?im)^[ \t]*option[ \t]+["']?(key\d?|` + secretKey + `)["']?[ \t]+(?:"([^"\n]+)"|'([^'\n]+)'|(\S+))`)
	xmlElement   = regexp.MustCompile(`(?i)<(` + secretKey + `)>([^<\n]+)</`)
	xmlAttribute = regexp.MustCompile(`(?i)<[^<>\n]*?\b(?:name|key|id)\s*=\s*["'](` + secretKey + `)["'][^<>\n]*?\bvalue\s*=\s*(?:"([^"\n<]+)"|'([^'\n<]+)')`)
	quotedPair   = regexp.MustCompile(`(?i)\b(` + secretKey + `|pass)["']?\s*(?:[:=]|:=|=>)\s*(?:"([^"\n]{4,})"|'([^'\n]{4,})')`)
)

func pairs(f found.File, shapes ...*regexp.Regexp) []found.Finding {
	var out []found.Finding
	seen := map[int]bool{}
	if bytes.HasPrefix(bytes.TrimSpace(f.Text), []byte("{")) {
		shapes = append(shapes, jsonPair)
	}
	for _, re := range shapes {
		for _, m := range re.FindAllSubmatchIndex(f.Text, -1) {
			for g := 4; g+1 < len(m); g += 2 {
				if m[g] < 0 || seen[m[g]] {
					continue
				}
				value := f.Text[m[g]:m[g+1]]
				if seen[m[g]] = true; isPlaceholder(string(value)) {
					continue
				}
				out = append(out, one(found.Password, int64(m[2]), value, "a fixed value for %q", printable(string(f.Text[m[2]:m[3]])))...)
			}
		}
	}
	return out
}

var placeholders = regexp.MustCompile(`(?i)^(\*+|x+|\.+|-+|<.*>|\[.*\]|\{.*\}|\$.*|%.*|@.*@|.*\$\{.*|.*\$\(.*|none|null|nil|true|false|yes|no|on|off|0|1|files?|compat|db|nis|ldap|systemd|required|requisite|sufficient|optional|include|your[_-]?.*|enter.*|example|todo|undefined|string|text|input|password|passwd|field|prompt|disabled|enabled|empty|unset|/.*|[a-z_.]+\(.*)$`)

// isPlaceholder tells a value that stands for one: variables, switches, the names of
// backends in nsswitch.conf and PAM, paths of files that hold the secret.
func isPlaceholder(v string) bool {
	v = strings.TrimSpace(v)
	return len(v) < 4 && !strings.ContainsAny(v, "0123456789") || placeholders.MatchString(v)
}

// skipped are places of documents and translations, and databases with readers of their own.
func skipped(name string) bool {
	for _, dir := range []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/include/", "/usr/share/licenses/", "/usr/share/bash-completion/", "/usr/share/zoneinfo/", "/var/lib/dpkg/", "/usr/lib/opkg/", "/lib/apk/", "/etc/pam.d/"} {
		if strings.Contains(name, dir) {
			return true
		}
	}
	switch path.Base(name) {
	case "nsswitch.conf", "passwd", "shadow", "passwd-", "shadow-", "login.defs", "services", "protocols":
		return true
	}
	return false
}

var configEnds = []string{".conf", ".cfg", ".config", ".cnf", ".ini", ".json", ".yaml", ".yml", ".toml", ".xml", ".env", ".properties", ".prop", ".plist", ".cf", ".nmconnection", ".network", ".service", ".default", ".settings", ".txt", ".rc"}

func isConfig(name string) bool {
	lower := strings.ToLower(name)
	for _, end := range configEnds {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	switch path.Base(lower) {
	case ".netrc", ".pgpass", ".my.cnf", ".env", "hostapd", "wireless", "network", "rpcd", "nvram", "chap-secrets", "pap-secrets":
		return true
	}
	return strings.HasPrefix(lower, "/etc/config/") || strings.HasPrefix(lower, "/etc/default/") || strings.HasPrefix(lower, "/etc/sysconfig/") || strings.HasPrefix(lower, "/etc/ppp/")
}

var sourceEnds = []string{".sh", ".lua", ".py", ".php", ".js", ".pl", ".rb", ".cgi", ".html", ".htm", ".asp", ".jsp", ".c", ".h", ".go", ".tcl"}

func isSource(name string, text []byte) bool {
	lower := strings.ToLower(name)
	for _, end := range sourceEnds {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return bytes.HasPrefix(text, []byte("#!")) || strings.HasPrefix(lower, "/etc/")
}
