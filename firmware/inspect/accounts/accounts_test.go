package accounts

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/inspect/found"
)

func judge(t testing.TB, name, text string, own ...string) (kinds []string, j *Judge, all []found.Finding) {
	j, err := New(own)
	require.NoError(t, err)
	all = j.File(found.File{Name: name, Text: []byte(text)})
	for _, f := range all {
		kinds = append(kinds, f.Kind)
	}
	return kinds, j, all
}

func TestAccounts(t *testing.T) {
	for _, c := range []struct {
		name, file, line string
		want             []string
	}{
		{"locked", "/etc/shadow", "root:*:19000:0:99999:7:::", nil},
		{"locked by a mark", "/etc/shadow", "root:!!:19000:0:99999:7:::", nil},
		{"shadowed", "/etc/passwd", "root:x:0:0:root:/root:/bin/sh", nil},
		{"second root", "/etc/passwd", "toor:x:0:0::/:/bin/sh", []string{found.SecondRoot}},
		{"second root in other digits", "/etc/passwd", "toor:x:00:0::/:/bin/sh", []string{found.SecondRoot}},
		{"empty", "/etc/passwd", "guest::1:1::/:/bin/sh", []string{found.EmptyPassword}},
		{"empty in shadow", "/etc/shadow", "guest::19000:0:99999:7:::", []string{found.EmptyPassword}},
		{"comment", "/etc/shadow", "#guest::19000:0:99999:7:::", nil},
		{"md5crypt of admin", "/etc/shadow", "root:$1$abcdefgh$l/LAqC8oJERu7Cmx6trtY/:1::::::", []string{found.WeakHash, found.DefaultPassword}},
		{"locked, but the hash is there", "/etc/shadow", "root:!$1$abcdefgh$l/LAqC8oJERu7Cmx6trtY/:1::::::", []string{found.WeakHash, found.DefaultPassword}},
		{"DES crypt of secret", "/etc/shadow", "root:aa3kxsKzvuQMc:1::::::", []string{found.WeakHash, found.DefaultPassword}},
		{"apr1", "/etc/lighttpd/.htpasswd", "admin:$apr1$abcdefgh$abcdefghijklmnopqrstuv", []string{found.WeakHash}},
		{"htpasswd's SHA-1 of admin", "/etc/lighttpd/.htpasswd", "user9:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=", []string{found.WeakHash, found.DefaultPassword}},
		{"NT", "/etc/shadow", "u9:$3$$209c6174da490caeb422f3fa5a7ae634:1::::::", []string{found.WeakHash}},
		{"sha1crypt", "/etc/shadow", "u9:$sha1$100$saltsalt$QZ9F7Tfn4XN1dQOCyoRnrW802RkE:1::::::", []string{found.WeakHash}},
		{"SunMD5", "/etc/shadow", "u9:$md5,rounds=10$saltsalt$$ENtPpmDR2dgx3El0MGDS21:1::::::", []string{found.WeakHash}},
		{"the cheapest yescrypt of admin", "/etc/shadow", "u9:$y$j75$F5Jx5fExrKuPp53xLKQ..1$D4ivxoKBNrCBnwCOJuP3EwgFLH4LKwWKYXHqe5Yh/P0:1::::::", []string{found.PasswordHash, found.DefaultPassword}},
		{"a hash of hostile cost", "/etc/shadow", "root:$6$rounds=999999999$salt$" + strings.Repeat("a", 86) + ":1::::::", []string{found.PasswordHash}},
		{"a bcrypt of hostile cost", "/etc/shadow", "root:$2y$31$" + strings.Repeat("a", 53) + ":1::::::", []string{found.PasswordHash}},
		{"a yescrypt of gigabytes", "/etc/shadow", "root:$y$jHT$salt$" + strings.Repeat("a", 43) + ":1::::::", []string{found.PasswordHash}},
		{"no hash at all", "/etc/shadow", "root:hello world:1::::::", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, _ := judge(t, c.file, c.line)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestOwnWordsAndBudget(t *testing.T) {
	_, _, all := judge(t, "/etc/shadow", "u:aa3kxsKzvuQMc:1::::::")
	require.Len(t, all, 2)
	for _, f := range all {
		assert.NotContains(t, f.Statement, "secret")
	}
	var lines string
	for _, user := range []string{"a", "b", "c", "d"} {
		lines += user + ":$6$rounds=400000$salt$" + strings.Repeat("a", 86) + ":1::::::\n"
	}
	j, err := New(nil)
	require.NoError(t, err)
	j.spent = budget - 10
	j.File(found.File{Name: "/etc/shadow", Text: []byte(lines)})
	assert.Len(t, j.Skipped, 4)
	assert.Contains(t, j.Skipped[0], "goes beyond what one image may take")
	got, _, _ := judge(t, "/etc/shadow", "u:abJnggxhB/yWI:1::::::", "another")
	assert.Contains(t, got, found.WeakHash)
}

// TestHashesOfOthers compares every kind with crypt(3) of the machine, as Perl calls it.
func TestHashesOfOthers(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("perl is not installed")
	}
	for _, salt := range []string{"ab", "./", "zZ", "$1$saltsalt", "$5$saltstring", "$5$rounds=1000$saltstring", "$6$saltstring", "$6$rounds=1000$saltstring", "$2y$04$abcdefghijklmnopqrstuu", "$y$j75$abcdefghijklmnop"} {
		for _, word := range []string{"operator", "raspberry-own-word", "a"} {
			out, err := exec.Command("perl", "-e", "print crypt($ARGV[0], $ARGV[1])", word, salt).Output()
			require.NoError(t, err)
			hash := string(out)
			if len(hash) < 13 {
				t.Skipf("crypt(3) here does not know %s", salt)
			}
			kind, _ := Kind(hash)
			require.NotEmpty(t, kind, hash)
			j, err := New(nil)
			require.NoError(t, err)
			if kind == "DES crypt" {
				assert.True(t, j.match(word, hash, kind), hash)
				continue
			}
			assert.True(t, j.match(word, hash, kind), hash)
			assert.False(t, j.match(word+"x", hash, kind), hash)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("/etc/shadow", "root:$1$abcdefgh$l/LAqC8oJERu7Cmx6trtY/:1::::::\nx:aa3kxsKzvuQMc:")
	f.Fuzz(func(t *testing.T, name, text string) {
		if strings.Contains(text, "$6$") || strings.Contains(text, "$5$") || strings.Contains(text, "$2") || strings.Contains(text, "$y$") {
			return // slow by intent
		}
		j, err := New(nil)
		require.NoError(t, err)
		j.File(found.File{Name: name, Text: []byte(text)})
		j.File(found.File{Name: "/etc/shadow", Text: []byte(text)})
	})
}
