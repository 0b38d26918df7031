package secrets

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/inspect/found"
)

// TestKeysOfOpenSSL has openssl make the keys that Go's standard library does not read.
func TestKeysOfOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for script, want := range map[string]string{
		"openssl dsaparam -genkey 1024 | openssl dsa -outform DER":                                       "a private key in DER: DSA 1024",
		"openssl genpkey -algorithm ed448 -outform DER":                                                  "a private key in DER: Ed448",
		"openssl genpkey -algorithm x25519 -outform DER":                                                 "a private key in DER: X25519",
		"openssl ecparam -genkey -name prime256v1 -param_enc explicit | openssl ec -outform DER":         "a private key in DER: EC on a curve of its own",
		"openssl ecparam -genkey -name prime256v1 | openssl pkcs8 -topk8 -passout pass:x -outform DER":   "a private key in DER, encrypted with a password (PKCS #8)",
		"openssl genrsa 2048 | openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout pass:x -outform DER":      "a private key in DER, encrypted with a password (PKCS #8)",
		"openssl ecparam -genkey -name prime256v1 -noout | openssl pkcs8 -topk8 -nocrypt -outform DER":   "a private key in DER: ECDSA P-256",
		"openssl ecparam -genkey -name brainpoolP256r1 | openssl pkcs8 -topk8 -nocrypt -outform DER":     "a private key in DER: EC",
		"openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -scrypt -passout pass:x -outform DER": "a private key in DER, encrypted with a password (PKCS #8)",
	} {
		cmd := exec.Command("sh", "-c", script)
		der, err := cmd.Output()
		require.NoError(t, err, script)
		for _, b := range [][]byte{der, append([]byte("text \x00"), append(der, 0xff, 0xff)...)} {
			got := search(t, b, time.Time{})
			if assert.Len(t, got, 1, script) {
				assert.Equal(t, found.PrivateKey, got[0].Kind)
				assert.Equal(t, want, got[0].Statement)
			}
		}
		assert.Empty(t, search(t, der[:len(der)-1], time.Time{}), "cut: %s", script)
	}
}

// TestStoresOfOthers has gpg and keytool write theirs.
func TestStoresOfOthers(t *testing.T) {
	dir, err := os.MkdirTemp("", "gpg") // the agent's socket has a short name
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if _, err := exec.LookPath("gpg"); err == nil {
		script := `export GNUPGHOME=$PWD; trap 'gpgconf --kill gpg-agent' EXIT
			gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key a@example.com ed25519 sign never && gpg --batch --armor --export-secret-keys >s && gpg --batch --armor --export >p`
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		secret, err := os.ReadFile(filepath.Join(dir, "s"))
		require.NoError(t, err)
		public, err := os.ReadFile(filepath.Join(dir, "p"))
		require.NoError(t, err)
		assert.Equal(t, []string{"private-key: an OpenPGP private key, armored"}, statements(search(t, secret, time.Time{})))
		assert.Empty(t, search(t, public, time.Time{}))
	}
	if _, err := exec.LookPath("keytool"); err == nil {
		store := filepath.Join(dir, "store.jks")
		out, err := exec.Command("keytool", "-genkeypair", "-alias", "a", "-keyalg", "RSA", "-dname", "CN=a", "-storetype", "JKS", "-keystore", store, "-storepass", "long-password", "-keypass", "long-password").CombinedOutput()
		require.NoError(t, err, "%s", out)
		b, err := os.ReadFile(store)
		require.NoError(t, err)
		assert.Contains(t, statements(search(t, b, time.Time{})), "private-key: a Java key store with a private key")
	}
	assert.Equal(t, []string{"private-key: a Java key store with a private key"}, statements(search(t, []byte("\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01a"), time.Time{})))
	assert.Empty(t, search(t, []byte("\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x01a"), time.Time{}), "a certificate alone")
}

// TestSpoken is of passwords that no pair of a name and a value tells.
func TestSpoken(t *testing.T) {
	const script = "/etc/init.d/app"
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{script, "#!/bin/sh\nsshpass -p hunter22 ssh root@h\n", 1}, {script, "#!/bin/sh\nsshpass -p \"$PW\" ssh root@h\n", 0}, {script, "#!/bin/sh\n# sshpass -p hunter22 ssh\n", 0},
		{script, "#!/bin/sh\ncurl -s -u admin:hunter22 http://h/\n", 1}, {script, "#!/bin/sh\ncurl -u \"$U:$P\" http://h/\n", 0}, {script, "#!/bin/sh\ncurl http://h:8080/x\n", 0},
		{script, "#!/bin/sh\nwget --user=a --password=hunter22 http://h\n", 1}, {script, "#!/bin/sh\nmosquitto_pub -h h -u d -P hunter22 -t x\n", 1},
		{script, "#!/bin/sh\necho root:hunter22 | chpasswd\n", 1}, {script, "#!/bin/sh\necho \"root:$P\" | chpasswd\n", 0}, {script, "#!/bin/sh\necho -e \"hunter22\\nhunter22\" | passwd root\n", 1},
		{script, "#!/bin/sh\nMQTT_PASSWORD=hunter22\n", 1}, {script, "#!/bin/sh\nPASSWORD=$(cat /x)\nPASSWORD=\nTOKEN_FILE=/x\nPASS=$1\n", 0}, {script, "#!/bin/sh\nPASS=\"hunter22\"\n", 1},
		{"/usr/lib/x.py", "def f(password=password, token=None):\n    PASSWORD=value,\n", 0}, {"/usr/lib/x.py", "c.username_pw_set(\"u\", \"hunter22\")\n", 1}, {"/www/x.php", "<?php define('DB_PASSWORD', 'hunter22');\n", 1},
		{"/root/.netrc", "machine h login u password hunter22\n", 1}, {"/root/.pgpass", "h:5432:db:u:hunter22\n", 1}, {"/etc/ppp/chap-secrets", "# client server secret\nu * \"hunter22\" *\n", 1},
		{"/etc/snmp/snmpd.conf", "rocommunity public\ncom2sec local default hunter22\n# rwcommunity x1234\n", 2}, {"/root/.docker/config.json", `{"auths":{"h":{"auth":"dXNlcjpodW50ZXIyMg=="}}}`, 1},
		{"/etc/x.xml", "<param name=\"password\" value=\"hunter22\"/>\n<param name=\"passwordFile\" value=\"/x\"/>\n", 1}, {"/opt/.env", "API_TOKEN=hunter22hunter\n", 1},
	} {
		got := Text(found.File{Name: c.name, Text: []byte(c.text)})
		assert.Len(t, got, c.want, "%s: %s: %v", c.name, c.text, statements(got))
		for _, f := range got {
			assert.Equal(t, found.Password, f.Kind)
			assert.NotContains(t, f.Statement, "hunter")
		}
	}
}

func TestShellsOverTheNetwork(t *testing.T) {
	for line, want := range map[string]int{
		"telnetd -l /bin/sh": 1, "telnetd -f /etc/issue -l \"/bin/sh\"": 1, "utelnetd -l /bin/ash -d": 1, "busybox telnetd -p 23 -l/bin/sh &": 1, "telnetd -l /bin/login": 0, "# telnetd -l /bin/sh": 0,
		"nc -lp 4444 -e /bin/sh": 1, "nc -e /bin/sh -l -p 4444": 1, "cat /tmp/f | /bin/sh -i 2>&1 | nc -l 4444 > /tmp/f": 1, "nc -l 4444 > /tmp/x": 0, "socat TCP-LISTEN:1337,fork EXEC:/bin/bash": 1,
	} {
		for _, name := range []string{"/etc/init.d/x", "/usr/lib/systemd/system/x.service"} {
			assert.Len(t, Text(found.File{Name: name, Text: []byte("#!/bin/sh\n" + line + "\n")}), want, line)
		}
	}
}
