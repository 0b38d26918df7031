package analyze

import (
	"bytes"
	"strings"
)

// A lineTalk reads protocols whose client logs in by USER and PASS: FTP (RFC 959) and POP3 (RFC 1939), and
// IMAP's LOGIN (RFC 9051).
type lineTalk struct {
	protocol string
	user     string
}

const maxLine = 2048

func (t *lineTalk) lost(int)             {}
func (t *lineTalk) end(*analyzer, *flow) {}

func (t *lineTalk) take(a *analyzer, f *flow, dir int, b []byte) int {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > maxLine {
			return len(b)
		}
		return 0
	}
	if dir == toClient {
		return bytes.LastIndexByte(b, '\n') + 1
	}
	line := strings.TrimRight(string(b[:min(end, maxLine)]), "\r")
	words := strings.SplitN(line, " ", 2)
	switch command := strings.ToUpper(words[0]); {
	case len(words) < 2:
	case command == "USER":
		t.user = words[1]
	case command == "PASS":
		a.secret(f.protocol, f, t.user, words[1], "")
	case command == "AUTH" && strings.HasPrefix(strings.ToUpper(words[1]), "TLS"):
		f.encrypted = true
	default:
		if rest, ok := strings.CutPrefix(strings.ToUpper(words[1]), "LOGIN "); ok && f.protocol == "IMAP" {
			login := strings.Fields(words[1][len(words[1])-len(rest):])
			if len(login) == 2 {
				a.secret("IMAP", f, strings.Trim(login[0], `"`), strings.Trim(login[1], `"`), "")
			}
		}
	}
	return end + 1
}

// A telnetTalk reads logins of Telnet (RFC 854): what a person types after "login:" and "Password:".
type telnetTalk struct {
	asked string // "login" or "password"
	typed []byte
	user  string
	tail  []byte // the end of what the server wrote
}

func (t *telnetTalk) lost(int)             { t.asked, t.typed = "", nil }
func (t *telnetTalk) end(*analyzer, *flow) {}

func (t *telnetTalk) take(a *analyzer, f *flow, dir int, b []byte) int {
	text, used := plainTelnet(b)
	if dir == toClient {
		t.tail = append(t.tail, text...)
		t.tail = t.tail[max(0, len(t.tail)-64):]
		switch prompt := strings.ToLower(strings.TrimSpace(string(t.tail))); {
		case strings.HasSuffix(prompt, "login:") || strings.HasSuffix(prompt, "username:") || strings.HasSuffix(prompt, "user:"):
			t.asked, t.typed = "login", nil
		case strings.HasSuffix(prompt, "password:"):
			t.asked, t.typed = "password", nil
		}
		return used
	}
	for _, c := range text {
		switch {
		case c == '\r' || c == '\n' || c == 0:
			t.enter(a, f)
		case (c == 8 || c == 0x7f) && len(t.typed) > 0:
			t.typed = t.typed[:len(t.typed)-1]
		case len(t.typed) < maxSecret:
			t.typed = append(t.typed, c)
		}
	}
	return used
}

func (t *telnetTalk) enter(a *analyzer, f *flow) {
	if len(t.typed) == 0 {
		return
	}
	switch t.asked {
	case "login":
		t.user = string(t.typed)
	case "password":
		a.secret("Telnet", f, t.user, string(t.typed), "")
	}
	t.asked, t.typed, t.tail = "", nil, nil
}

// plainTelnet takes the commands out (RFC 854; RFC 855 for subnegotiation) and tells how many bytes were read.
func plainTelnet(b []byte) (text []byte, used int) {
	const iac, sb, se = 0xff, 0xfa, 0xf0
	for i := 0; i < len(b); i++ {
		if b[i] != iac {
			text = append(text, b[i])
			continue
		}
		switch {
		case i+1 >= len(b):
			return text, i
		case b[i+1] == iac:
			text = append(text, iac)
			i++
		case b[i+1] == sb:
			end := bytes.Index(b[i:], []byte{iac, se})
			if end < 0 {
				if len(b)-i > maxLine {
					return text, len(b)
				}
				return text, i
			}
			i += end + 1
		case b[i+1] >= 0xfb:
			if i+2 >= len(b) {
				return text, i
			}
			i += 2
		default:
			i++
		}
	}
	return text, len(b)
}

// snmp reads the community of SNMP v1 and v2c (RFC 1157, section 4; RFC 1901).
func (a *analyzer) snmp(f *flow, dir int, b []byte) {
	body, _, ok := ber(b, 0x30)
	if !ok {
		return
	}
	version, rest, ok := ber(body, 0x02)
	if !ok || len(version) != 1 {
		return
	}
	if version[0] == 3 {
		f.protocol = "SNMPv3"
		// The flags' second bit is privacy (RFC 3412, section 6.4).
		header, _, _ := ber(rest, 0x30)
		_, header, _ = ber(header, 0x02)
		_, header, _ = ber(header, 0x02)
		if flags, _, ok := ber(header, 0x04); ok && len(flags) == 1 {
			f.encrypted = f.encrypted || flags[0]&2 != 0
		}
		return
	}
	community, _, ok := ber(rest, 0x04)
	if !ok || dir == toClient {
		return
	}
	a.secret("SNMP", f, "", string(community), map[byte]string{0: "community, v1", 1: "community, v2c"}[version[0]])
}

// ber reads one element of X.690 with this tag.
func ber(b []byte, tag byte) (value, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	length, at := int(b[1]), 2
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 3 || len(b) < 2+n {
			return nil, nil, false
		}
		length = 0
		for _, c := range b[2 : 2+n] {
			length = length<<8 | int(c)
		}
		at += n
	}
	if length > len(b)-at {
		return nil, nil, false
	}
	return b[at : at+length], b[at+length:], true
}
