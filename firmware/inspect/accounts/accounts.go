// Package accounts is for judging who may log in to an image: accounts without a password, a
// second root, password hashes that a short word list opens or that are weak by their kind. It
// never tells a password and never tries what a hostile hash makes expensive.
package accounts

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"assay/firmware/inspect/found"
)

// words are passwords that devices are shipped with, the most common first.
var words = []string{"admin", "root", "password", "1234", "12345", "123456", "12345678", "123456789", "default", "user", "guest", "support",
	"pass", "toor", "changeme", "password123", "admin123", "admin1234", "root123", "test", "service", "system", "operator", "supervisor", "tech",
	"private", "public", "secret", "qwerty", "letmein", "welcome", "0000", "1111", "888888", "666666", "54321", "7ujMko0admin", "7ujMko0vizxv",
	"vizxv", "xc3511", "xmhdipc", "juantech", "anko", "zlxx.", "jvbzd", "klv123", "klv1234", "hi3518", "dreambox", "ikwb", "realtek", "smcadmin",
	"ubnt", "raspberry", "openwrt", "alpine", "linux", "debian", "netgear1", "Zte521", "oelinux123", "calvin", "1", "a"}

// budget bounds all hashing of one image, in units of about a millisecond: an image with a
// thousand accounts of high cost must not hold the lab.
const budget = 60_000

// A Judge checks password files. Its budget lasts for one image.
type Judge struct {
	words   []string
	decoder *crypt.Decoder
	spent   int
	known   map[string]int // hash -> place in the list, -1 for not on it

	Skipped []string // hashes that were not tried, and why
}

// New makes a Judge with the usual words and the operator's own.
func New(own []string) (*Judge, error) {
	j := &Judge{words: append(append([]string(nil), own...), words...), decoder: crypt.NewDecoder(), known: map[string]int{}}
	for _, register := range []func(algorithm.DecoderRegister) error{md5crypt.RegisterDecoder, shacrypt.RegisterDecoder, bcrypt.RegisterDecoder, scrypt.RegisterDecoder} {
		if err := register(j.decoder); err != nil {
			return nil, fmt.Errorf("password hashes: %w", err)
		}
	}
	return j, nil
}

// Is tells whether a file is one of accounts by its name.
func Is(name string) bool {
	switch path.Base(name) {
	case "passwd", "shadow", "passwd-", "shadow-", "passwd.default", "shadow.default", "master.passwd", "gshadow", "htpasswd", ".htpasswd", "passwd.bak", "shadow.bak", "passwd.orig", "shadow.orig":
		return true
	}
	return false
}

// File judges one file of accounts.
func (j *Judge) File(f found.File) []found.Finding {
	if !Is(f.Name) || len(f.Text) == 0 {
		return nil
	}
	isPasswd := strings.Contains(path.Base(f.Name), "passwd") && !strings.Contains(f.Name, "htpasswd")
	var out []found.Finding
	at := int64(0)
	for line := range bytes.SplitSeq(f.Text, []byte("\n")) {
		fields := strings.Split(strings.TrimRight(string(line), "\r"), ":")
		if len(fields) >= 2 && fields[0] != "" && !strings.HasPrefix(fields[0], "#") && len(fields[0]) <= 64 {
			out = append(out, j.line(fields, isPasswd, at)...)
		}
		at += int64(len(line)) + 1
	}
	return out
}

func (j *Judge) line(fields []string, isPasswd bool, at int64) []found.Finding {
	user := printable(fields[0])
	finding := func(kind, statement string, args ...any) found.Finding {
		return found.Finding{Kind: kind, Offset: at, Digest: found.Digest([]byte(strings.Join(fields[:2], ":"))), Statement: fmt.Sprintf(statement, args...)}
	}
	var out []found.Finding
	if isPasswd && len(fields) >= 7 {
		if uid, err := strconv.ParseUint(fields[2], 10, 64); err == nil && uid == 0 && fields[0] != "root" {
			out = append(out, finding(found.SecondRoot, "account %s has uid 0", user))
		}
	}
	hash := fields[1]
	if hash == "" {
		if isPasswd && len(fields) < 7 || !isPasswd && len(fields) < 8 {
			return out
		}
		return append(out, finding(found.EmptyPassword, "account %s has no password", user))
	}
	kind, weak := Kind(hash)
	if kind == "" {
		return out
	}
	if weak {
		out = append(out, finding(found.WeakHash, "the password of account %s is hashed with %s", user, kind))
	} else {
		out = append(out, finding(found.PasswordHash, "account %s has a fixed password (%s)", user, kind))
	}
	if n := j.try(fields[0], hash, kind); n >= 0 {
		out = append(out, finding(found.DefaultPassword, "the password of account %s is on the word list (%s)", user, kind))
	}
	return out
}

func printable(s string) string {
	q := strconv.QuoteToGraphic(s)
	return q[1 : len(q)-1]
}

var shapes = []struct {
	kind  string
	weak  bool
	shape *regexp.Regexp
}{
	{"DES crypt", true, regexp.MustCompile(`^[./0-9A-Za-z]{13}$`)},
	{"BSDi crypt", true, regexp.MustCompile(`^_[./0-9A-Za-z]{19}$`)},
	{"md5crypt", true, regexp.MustCompile(`^\$1\$[^$:\s]{0,8}\$[./0-9A-Za-z]{22}$`)},
	{"apr1 md5crypt", true, regexp.MustCompile(`^\$apr1\$[^$:\s]{0,8}\$[./0-9A-Za-z]{22}$`)},
	{"sha256crypt", false, regexp.MustCompile(`^\$5\$(?:rounds=(\d{1,10})\$)?[^$:\s]{0,16}\$[./0-9A-Za-z]{43}$`)},
	{"sha512crypt", false, regexp.MustCompile(`^\$6\$(?:rounds=(\d{1,10})\$)?[^$:\s]{0,16}\$[./0-9A-Za-z]{86}$`)},
	{"bcrypt", false, regexp.MustCompile(`^\$2[abxy]\$(\d\d)\$[./0-9A-Za-z]{53}$`)},
	{"yescrypt", false, regexp.MustCompile(`^\$y\$([./0-9A-Za-z]{1,86})\$[./0-9A-Za-z]{0,86}\$[./0-9A-Za-z]{43}$`)},
	{"gost-yescrypt", false, regexp.MustCompile(`^\$gy\$[./0-9A-Za-z]+\$[./0-9A-Za-z]*\$[./0-9A-Za-z]{43}$`)},
	{"scrypt", false, regexp.MustCompile(`^\$7\$[./0-9A-Za-z]{11,97}\$[./0-9A-Za-z]{43}$`)},
	{"the NT hash", true, regexp.MustCompile(`^\$3\$\$?[0-9a-f]{32}$`)},
	{"SunMD5", true, regexp.MustCompile(`^\$md5[,$][^:\s]{0,40}\$[./0-9A-Za-z]{22}$`)},
	{"sha1crypt", true, regexp.MustCompile(`^\$sha1\$\d{1,10}\$[./0-9A-Za-z]{0,64}\$[./0-9A-Za-z]{28}$`)},
	{"SHA-1 without salt", true, regexp.MustCompile(`^\{SHA\}[A-Za-z0-9+/=]{28}$`)},
}

// Kind names the kind of a hash, and tells whether it is weak by that alone; empty for what
// is no hash: locked accounts, stars.
func Kind(hash string) (kind string, weak bool) {
	hash = strings.TrimPrefix(hash, "!") // locked, but the hash is there
	for _, s := range shapes {
		if s.shape.MatchString(hash) {
			return s.kind, s.weak
		}
	}
	if len(hash) > 4 && hash[0] == '$' && strings.Count(hash, "$") >= 3 {
		return "an unknown hash", false
	}
	return "", false
}

// cost of one try, in units of about a millisecond; 0 for what cannot be tried.
func cost(hash, kind string) int {
	for _, s := range shapes {
		if s.kind != kind {
			continue
		}
		m := s.shape.FindStringSubmatch(hash)
		if m == nil {
			return 0
		}
		switch kind {
		case "DES crypt", "md5crypt":
			return 1
		case "sha256crypt", "sha512crypt":
			rounds := 5000
			if m[1] != "" {
				rounds, _ = strconv.Atoi(m[1])
			}
			return min(max(rounds/1000, 1), 1<<20)
		case "bcrypt":
			n, _ := strconv.Atoi(m[1])
			if n > 20 || n < 4 {
				return 0
			}
			return max(1<<n/16, 1)
		case "yescrypt":
			// j9T and its neighbours are what distributions write: N up to 2^14, r 32; at the lowest costs
			// j75 and j85, r 8. Others may ask for gigabytes.
			if len(m[1]) == 3 && m[1][0] == 'j' && m[1][1] >= '5' && m[1][1] <= 'A' && (m[1][2] == 'T' || m[1][2] == '5') {
				return 40
			}
		case "SHA-1 without salt":
			return 1
		}
	}
	return 0
}

// try returns the place of the password in the list, -1 where it is not on it.
func (j *Judge) try(user, hash, kind string) int {
	hash = strings.TrimPrefix(hash, "!")
	list := append([]string{user, user + "123", user + "1234"}, j.words...)
	id := user + "\x00" + hash
	if n, ok := j.known[id]; ok {
		return n
	}
	j.known[id] = -1
	each := cost(hash, kind)
	if each == 0 {
		j.Skipped = append(j.Skipped, fmt.Sprintf("the password of account %s was not tried: %s of this form is not checked", printable(user), kind))
		return -1
	}
	if j.spent+each*len(list) > budget {
		j.Skipped = append(j.Skipped, fmt.Sprintf("the password of account %s was not tried: %s of this cost goes beyond what one image may take", printable(user), kind))
		return -1
	}
	j.spent += each * len(list)
	for i, word := range list {
		if j.match(word, hash, kind) {
			j.known[id] = i
			break
		}
	}
	return j.known[id]
}

func (j *Judge) match(word, hash, kind string) bool {
	switch kind {
	case "DES crypt":
		return desCrypt(word, hash) == hash
	case "SHA-1 without salt":
		sum := sha1.Sum([]byte(word))
		return "{SHA}"+base64.StdEncoding.EncodeToString(sum[:]) == hash
	}
	d, err := j.decoder.Decode(hash)
	return err == nil && d.Match(word)
}
