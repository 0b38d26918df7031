// Package secrets is for finding keys, tokens and passwords that an image carries, and keys
// whose private half everybody has. It tells what kind lies where and a digest; it never tells
// a secret, never uses one and never asks anybody whether one is valid.
package secrets

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"assay/firmware/inspect/found"
	"assay/firmware/inspect/scan"
)

// A Searcher judges the places that the scan found in one file after the other.
type Searcher struct {
	At time.Time // when certificates must be valid; zero for "not asked"

	detectors []detector
	end       int64 // where the last key or certificate of the file ends: what lies in it is told
}

type detector struct {
	needle scan.Needle
	run    func(s *Searcher, f found.File, at int64) []found.Finding
}

// New makes a Searcher.
func New(at time.Time) *Searcher {
	s := &Searcher{At: at}
	add := func(run func(*Searcher, found.File, int64) []found.Finding, back int64, needles ...string) {
		for _, n := range needles {
			s.detectors = append(s.detectors, detector{scan.Needle{Text: n, Back: back}, run})
		}
	}
	add((*Searcher).pemBlock, 0, "-----BEGIN ")
	add((*Searcher).putty, 0, "PuTTY-User-Key-File-")
	add((*Searcher).openSSHBinary, 0, "openssh-key-v1\x00")
	// Version and first bytes of PKCS#8, PKCS#1, SEC 1, PKCS#12 and certificates, behind the SEQUENCE's header.
	add((*Searcher).derKey, 0, "\x02\x01\x00\x30", "\x02\x01\x00\x02", "\x02\x01\x01\x04")
	// The identifiers of password-based encryption: PBES2 (RFC 8018), and PKCS #12's with SHA-1.
	add((*Searcher).encryptedDER, 0, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d", "\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01")
	add(func(_ *Searcher, f found.File, at int64) []found.Finding { return javaStore(f, at) }, 0, "\xfe\xed\xfe\xed\x00\x00\x00")
	add((*Searcher).pkcs12, 0, "\x02\x01\x03\x30")
	add((*Searcher).derCertificate, 0, "\xa0\x03\x02\x01\x02\x02", "\xa0\x03\x02\x01\x02\x30")
	add((*Searcher).dropbear, 0, "\x00\x00\x00\x07ssh-rsa", "\x00\x00\x00\x0bssh-ed25519", "\x00\x00\x00\x13ecdsa-sha2-nistp")
	for i := range tokens {
		t := &tokens[i]
		add(func(s *Searcher, f found.File, at int64) []found.Finding { return t.judge(f, at) }, t.back, t.needles...)
	}
	for _, k := range rawKeys() {
		add(func(s *Searcher, f found.File, at int64) []found.Finding {
			return one(found.TestKey, at, []byte(k.bytes), "%s of the public test key %s", k.what, k.name)
		}, 0, k.bytes)
	}
	return s
}

// Needles are what the scan has to look for; Judge takes the index of one.
func (s *Searcher) Needles() []scan.Needle {
	out := make([]scan.Needle, len(s.detectors))
	for i, d := range s.detectors {
		out[i] = d.needle
	}
	return out
}

// Begin starts a file.
func (s *Searcher) Begin() { s.end = 0 }

// Judge looks closer at a hit of the needle with the index.
func (s *Searcher) Judge(f found.File, needle int, at int64) []found.Finding {
	if at < s.end {
		return nil
	}
	return s.detectors[needle].run(s, f, at)
}

func one(kind string, at int64, evidence []byte, statement string, args ...any) []found.Finding {
	return []found.Finding{{Kind: kind, Offset: at, Digest: found.Digest(evidence), Statement: fmt.Sprintf(statement, args...)}}
}

// window is what lies at a place, up to n bytes.
func window(f found.File, at, n int64) []byte {
	if at < 0 || at >= f.Size() {
		return nil
	}
	b, err := f.Bytes(at, min(n, f.Size()-at))
	if err != nil {
		return nil
	}
	return b
}

// printable keeps foreign text from steering a terminal.
func printable(s string) string {
	q := strconv.QuoteToGraphic(s[:min(len(s), 200)])
	return q[1 : len(q)-1]
}

func (s *Searcher) putty(f found.File, at int64) []found.Finding {
	b := window(f, at, 16<<10)
	m := puttyKey.FindSubmatch(b)
	if m == nil {
		return nil
	}
	if string(m[2]) != "none" {
		return one(found.PrivateKey, at, m[0], "a PuTTY private key, encrypted with a password (%s)", m[1])
	}
	return one(found.PrivateKey, at, m[0], "a PuTTY private key: %s", m[1])
}

var puttyKey = regexp.MustCompile(`^PuTTY-User-Key-File-[123]: ([a-z0-9@.-]{3,40})\r?\nEncryption: ([a-z0-9-]{3,20})\r?\nComment: [^\n]{0,400}\nPublic-Lines: \d{1,4}\r?\n`)

func (s *Searcher) openSSHBinary(f found.File, at int64) []found.Finding {
	return openSSH(window(f, at, 32<<10), at)
}

// token is a credential with a shape of its own.
type token struct {
	kind    string
	name    string
	needles []string
	back    int64
	shape   *regexp.Regexp
}

func (t *token) judge(f found.File, at int64) []found.Finding {
	if m := t.shape.Find(window(f, at, 1024)); m != nil && varied(m) {
		if before := window(f, at-1, 1); at > 0 && len(before) == 1 && wordByte(before[0]) && t.back == 0 {
			return nil // the middle of something else
		}
		return one(t.kind, at, m, "%s", t.name)
	}
	return nil
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// varied tells a token from a placeholder (AKIA and sixteen equal letters).
func varied(b []byte) bool {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n >= 8 && !bytes.Contains(bytes.ToUpper(b), bytes.Repeat([]byte("X"), 6))
}

var tokens = []token{
	{kind: found.CloudCredential, name: "an AWS access key id", needles: []string{"AKIA", "ASIA"}, shape: regexp.MustCompile(`^A[KS]IA[0-9A-Z]{16}`)},
	{kind: found.CloudCredential, name: "an AWS secret access key", needles: []string{"aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"}, shape: regexp.MustCompile(`(?i)^aws_secret_access_key["']?\s*[:=]\s*["']?[A-Za-z0-9/+=]{40}`)},
	{kind: found.CloudCredential, name: "a Google API key", needles: []string{"AIza"}, shape: regexp.MustCompile(`^AIza[0-9A-Za-z_-]{35}`)},
	{kind: found.CloudCredential, name: "a Google service account", needles: []string{`"service_account"`}, shape: regexp.MustCompile(`^"service_account"[^}]{1,600}"private_key_id":\s*"[0-9a-f]{40}"`)},
	{kind: found.CloudCredential, name: "a Google OAuth token", needles: []string{"ya29."}, shape: regexp.MustCompile(`^ya29\.[0-9A-Za-z_-]{20,}`)},
	{kind: found.CloudCredential, name: "an Azure storage key", needles: []string{"AccountKey="}, shape: regexp.MustCompile(`^AccountKey=[A-Za-z0-9+/]{86}==`)},
	{kind: found.CloudCredential, name: "an Azure shared access key", needles: []string{"SharedAccessKey="}, shape: regexp.MustCompile(`^SharedAccessKey=[A-Za-z0-9+/]{40,}={0,2}`)},
	{kind: found.CloudCredential, name: "an Azure shared access signature", needles: []string{"SharedAccessSignature "}, shape: regexp.MustCompile(`^SharedAccessSignature sr=[^\s&]+&sig=[A-Za-z0-9%+/=]{30,}`)},
	{kind: found.CloudCredential, name: "a DigitalOcean token", needles: []string{"dop_v1_", "doo_v1_"}, shape: regexp.MustCompile(`^do[op]_v1_[0-9a-f]{64}`)},
	{kind: found.Token, name: "a JSON Web Token", needles: []string{"eyJ0eX", "eyJhbG", "eyJraW", "eyJjdH", "eyJ4NX", "eyAi", "ewog", "ewoi"},
		shape: regexp.MustCompile(`^(?:eyJ|eyA|ewo)[A-Za-z0-9_-]{8,}\.(?:eyJ|eyA|ewo)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}`)},
	{kind: found.Token, name: "a GitHub token", needles: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, shape: regexp.MustCompile(`^gh[pousr]_[0-9A-Za-z]{36}`)},
	{kind: found.Token, name: "a GitHub token", needles: []string{"github_pat_"}, shape: regexp.MustCompile(`^github_pat_[0-9A-Za-z_]{60,}`)},
	{kind: found.Token, name: "a GitLab token", needles: []string{"glpat-"}, shape: regexp.MustCompile(`^glpat-[0-9A-Za-z_-]{20}`)},
	{kind: found.Token, name: "a Slack token", needles: []string{"xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-"}, shape: regexp.MustCompile(`^xox[abprs]-[0-9A-Za-z-]{20,}`)},
	{kind: found.Token, name: "a Slack web hook", needles: []string{"hooks.slack.com/services/"}, shape: regexp.MustCompile(`^hooks\.slack\.com/services/T[0-9A-Z]{6,}/B[0-9A-Z]{6,}/[0-9A-Za-z]{20,}`)},
	{kind: found.Token, name: "a Stripe key", needles: []string{"sk_live_", "rk_live_"}, shape: regexp.MustCompile(`^[sr]k_live_[0-9A-Za-z]{20,}`)},
	{kind: found.Token, name: "a SendGrid key", needles: []string{"SG.a", "SG.b", "SG.c", "SG.d"}, shape: regexp.MustCompile(`^SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}`)},
	{kind: found.Token, name: "an npm token", needles: []string{"npm_"}, shape: regexp.MustCompile(`^npm_[0-9A-Za-z]{36}`)},
	{kind: found.Token, name: "a Hugging Face token", needles: []string{"hf_a", "hf_b", "hf_c"}, shape: regexp.MustCompile(`^hf_[A-Za-z]{34}`)},
	{kind: found.Token, name: "a Telegram bot token", needles: []string{"api.telegram.org/bot"}, shape: regexp.MustCompile(`^api\.telegram\.org/bot\d{8,10}:[0-9A-Za-z_-]{35}`)},
	{kind: found.Password, name: "a user and a password in a URL", needles: []string{"http://", "https://", "mqtt://", "mqtts://", "ftp://", "rtsp://", "amqp://", "mongodb://", "postgres://", "redis://", "mysql://"},
		shape: regexp.MustCompile(`^[a-z]{3,10}://[A-Za-z0-9._~-]{1,64}:[^\s:/?#\[\]@"'<>%{}$*\x00-\x20\x7f-\xff]{4,64}@[A-Za-z0-9.\[:-]{3,}`)},
}

// List is the kinds that tokens are told as, for those who document them.
func List() []string {
	var out []string
	for _, t := range tokens {
		if !slices.Contains(out, t.name) {
			out = append(out, t.name)
		}
	}
	return out
}
