package secrets

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"assay/firmware/inspect/found"
)

// A shape is where the value of a secret stands: the last group that matched. Few texts have
// the sign that all of its matches have, which costs less to look for.
type shape struct {
	what string
	sign string
	re   *regexp.Regexp
}

// word is a value on a command line: quoted, or up to the next blank.
const word = `(?:"([^"\n]{3,})"|'([^'\n]{3,})'|([^\s"'|;&]{3,}))`

// commands are programs of scripts that are given a password as a word of their own.
var commands = []shape{
	{"sshpass", "sshpass", regexp.MustCompile(`(?m)^[^#\n]*\bsshpass[ \t]+-p[ \t]*` + word)},
	{"curl", "curl", regexp.MustCompile(`(?m)^[^#\n]*\bcurl\b[^#\n|;]*?[ \t](?:-u|--user)[ \t=]*["']?[^\s:"']{1,64}:([^\s"'|;&@]{3,})`)},
	{"wget", "wget", regexp.MustCompile(`(?m)^[^#\n]*\bwget\b[^#\n|;]*?[ \t]--(?:http-|ftp-|proxy-)?password[ \t=]` + word)},
	{"mosquitto", "mosquitto_", regexp.MustCompile(`(?m)^[^#\n]*\bmosquitto_(?:pub|sub|rr)\b[^#\n|;]*?[ \t](?:-P|--pw)[ \t]*` + word)},
	{"chpasswd", "chpasswd", regexp.MustCompile(`(?m)^[^#\n]*\becho[ \t]+(?:-[en]+[ \t]+)?["']?[a-z_][a-z0-9_-]{0,31}:([^\s"'|$]{3,})["']?[ \t]*\|[ \t]*(?:/usr)?(?:/s?bin/)?chpasswd\b`)},
	{"passwd", "passwd", regexp.MustCompile(`(?m)^[^#\n]*\becho[ \t]+(?:-[en]+[ \t]+)?["']?([^\s"'|$\\]{3,})(?:\\n[^\n|]*)?["']?[ \t]*\|[ \t]*(?:/usr)?(?:/s?bin/)?passwd\b`)},
}

var shellHead = regexp.MustCompile(`^#![ \t]*\S*/(?:env[ \t]+)?(?:ba|a|da|k|z)?sh\b`)

// assignments of the shell need no quotes.
var assignments = []shape{
	{"an assignment of the shell", "=", regexp.MustCompile(`(?im)^[ \t]*(?:export[ \t]+|local[ \t]+|readonly[ \t]+)?(?:[A-Z0-9_]*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|API_?KEY|_TOKEN|_PSK|_PASS)|PASS)=([^\s"'#;|&$` + "`" + `]{4,})[ \t]*(?:[;#][^\n]*)?\r?$`)},
}

// calls pass a password as an argument, in languages with calls.
var calls = []shape{
	{"define", "efine(", regexp.MustCompile(`(?i)\bdefine\(\s*["']` + secretKey + `["']\s*,\s*(?:"([^"\n]{3,})"|'([^'\n]{3,})')`)},
	{"username_pw_set", "username_pw_set", regexp.MustCompile(`\busername_pw_set\([^,()\n]{1,80},\s*(?:password\s*=\s*)?(?:"([^"\n]{3,})"|'([^'\n]{3,})')`)},
}

// places are files whose lines have a form of their own, by their name.
var places = map[string][]shape{
	".netrc":       {{"a login of .netrc", "password", regexp.MustCompile(`(?m)^[^#\n]*\bpassword[ \t\n]+(\S{3,})`)}},
	".pgpass":      {{"a login of .pgpass", ":", regexp.MustCompile(`(?m)^[^#\n:]+:[^\n:]*:[^\n:]*:[^\n:]+:([^\n]{3,})$`)}},
	"chap-secrets": {{"a login of PPP", "", pppSecret}},
	"pap-secrets":  {{"a login of PPP", "", pppSecret}},
	"snmpd.conf": {
		{"an SNMP community", "community", regexp.MustCompile(`(?m)^[ \t]*r[ow]community6?[ \t]+(\S{3,})`)},
		{"an SNMP community", "com2sec", regexp.MustCompile(`(?m)^[ \t]*com2sec6?[ \t]+(?:-Cn[ \t]+\S+[ \t]+)?\S+[ \t]+\S+[ \t]+(\S{3,})`)},
		{"an SNMP user", "reateUser", regexp.MustCompile(`(?mi)^[ \t]*createUser[ \t]+(?:-e[ \t]+\S+[ \t]+)?\S+[ \t]+(?:MD5|SHA\S*)[ \t]+["']?([^\s"']{3,})`)},
	},
}

var pppSecret = regexp.MustCompile(`(?m)^[ \t]*(?:"[^"\n]*"|[^\s#"]+)[ \t]+(?:"[^"\n]*"|\S+)[ \t]+` + word)

// dockerAuth is a login at a registry: user and password in base64.
var dockerAuth = []shape{{"a login at a registry", `"auth"`, regexp.MustCompile(`"auth"\s*:\s*"([A-Za-z0-9+/]{8,}={0,2})"`)}}

// spoken tells secrets that are no pairs of a name and a value.
func spoken(f found.File) []found.Finding {
	base := strings.ToLower(path.Base(f.Name))
	all := places[base]
	switch {
	case base == ".dockercfg" || strings.HasSuffix(f.Name, "/.docker/config.json"):
		all = dockerAuth
	case skipped(f.Name) || !isSource(f.Name, f.Text):
	case all == nil && (shellHead.Match(f.Text) || strings.HasSuffix(base, ".sh")):
		all = slices.Concat(commands, assignments)
	case all == nil:
		all = slices.Concat(commands, calls)
	}
	var out []found.Finding
	for _, s := range all {
		if !bytes.Contains(f.Text, []byte(s.sign)) {
			continue
		}
		for _, m := range s.re.FindAllSubmatchIndex(f.Text, -1) {
			at := len(m) - 2
			for at > 2 && m[at] < 0 {
				at -= 2
			}
			if m[at] < 0 || isPlaceholder(string(f.Text[m[at]:m[at+1]])) {
				continue
			}
			out = append(out, one(found.Password, int64(m[at]), f.Text[m[at]:m[at+1]], "a fixed password in clear (%s)", s.what)...)
		}
	}
	return out
}
