package sbom

import (
	"bytes"
	"os"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/scan"
)

func names(s *Set) (out []string) {
	for _, c := range s.List() {
		out = append(out, strings.TrimSpace(c.Ecosystem+" "+c.Name+" "+c.Version))
	}
	return out
}

func TestDatabases(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"/var/lib/dpkg/status", "Package: libssl3\nStatus: install ok installed\nSource: openssl (3.0.11-1)\nVersion: 3.0.11-1~deb12u2\nDescription: x\n  Package: fake\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n", []string{"Debian libssl3 3.0.11-1~deb12u2", "Debian openssl 3.0.11-1"}},
		{"/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\n", []string{"Debian base-files 12"}},
		{"/usr/lib/opkg/status", "Package: dropbear\nVersion: 2019.78-2\nStatus: install ok installed\nArchitecture: arm\n", []string{"opkg dropbear 2019.78-2"}},
		{"/lib/apk/db/installed", "C:Q1\nP:libcrypto3\nV:3.1.4-r5\nA:armhf\nL:Apache-2.0\no:openssl\nF:lib\nR:libcrypto.so.3\n\n", []string{"Alpine libcrypto3 3.1.4-r5", "Alpine openssl 3.1.4-r5"}},
		{"/etc/os-release", "NAME=\"OpenWrt\"\nID=\"openwrt\"\nVERSION_ID=\"22.03.5\"\n", []string{"openwrt 22.03.5"}},
		{"/image.manifest", "busybox cortexa9hf_neon 1.36.1\nlibz1 cortexa9hf_neon 1.3.1\n# no line\n", []string{"Yocto busybox 1.36.1", "Yocto libz1 1.3.1"}},
		{"/usr/share/sbom.spdx.json", `{"packages":[{"name":"lib","versionInfo":"1.0","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:generic/lib@1.0"}]}]}`, []string{"lib 1.0"}},
		{"/etc/other", "Package: x\nVersion: 1\n", nil},
	} {
		s := &Set{}
		s.File(found.File{Name: c.name, Text: []byte(c.text)}, "image!"+c.name)
		assert.Equal(t, c.want, names(s), c.name)
	}
}

// TestMarks: each project's own way to write its version, and what looks like it.
func TestMarks(t *testing.T) {
	desc := "\x32\x54\xcd\xab" + strings.Repeat("\x00", 108) + "v5.1.2\x00" + strings.Repeat("\x00", 40)
	for text, want := range map[string]string{
		"BusyBox v1.30.1 (2020-01-01 00:00:00 UTC)": "busybox 1.30.1", "BusyBox vX": "", "Linux version 5.10.110-yocto (oe@x) (gcc": "linux 5.10.110-yocto",
		"U-Boot 2021.04-dirty (Jan 01 2022 - 00:00:00 +0000)": "u-boot 2021.04-dirty", "U-Boot SPL 2023.01 (Jan": "u-boot 2023.01", "OpenSSL 1.1.1d  10 Sep 2019": "openssl 1.1.1d",
		"OpenSSL 3.0.11 19 Sep 2023": "openssl 3.0.11", "OpenSSL 1.1.1 compatible": "", "SSH-2.0-dropbear_2019.78": "dropbear 2019.78", "OpenSSH_9.2p1 Debian-2": "openssh 9.2p1",
		" inflate 1.2.11 Copyright 1995-2017 Mark Adler ": "zlib 1.2.11", "wolfSSL 5.6.3": "wolfssl 5.6.3", "mbed TLS 2.28.0": "mbedtls 2.28.0", "dnsmasq-2.80\x00": "dnsmasq 2.80",
		"hostapd v2.9\nUser space": "hostapd 2.9", "*** Booting Zephyr OS build zephyr-v3.5.0 ***": "zephyr 3.5.0", "FreeRTOS V10.4.3": "freertos 10.4.3", desc: "esp-idf 5.1.2", "libcurl/7.88.1": "curl 7.88.1",
		"musl libc (armhf)\nVersion 1.2.3\n": "musl 1.2.3", "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.": "glibc 2.36", "lwIP/2.1.2": "lwip 2.1.2",
	} {
		s := &Set{}
		b := []byte("\x00\x00" + text + "\x00\x00")
		table, err := scan.New(Needles())
		require.NoError(t, err)
		require.NoError(t, table.Read(t.Context(), bytes.NewReader(b), nil, func(h scan.Hit) error {
			s.Judge(found.File{Source: format.FromBytes(b)}, "image", h.Needle, h.Offset)
			return nil
		}))
		if want == "" {
			assert.Empty(t, names(s), text)
		} else {
			assert.Equal(t, []string{want}, names(s), text)
		}
	}
}

func TestGo(t *testing.T) {
	self, err := os.Open(os.Args[0])
	require.NoError(t, err)
	defer self.Close()
	info, err := self.Stat()
	require.NoError(t, err)
	s := &Set{}
	s.Go(found.File{Source: format.NewSource(self, info.Size())}, "image!/bin/x")
	assert.Regexp(t, `Go stdlib 1\.\d+`, strings.Join(names(s), "\n"))
}

func TestBOM(t *testing.T) {
	s := &Set{}
	s.Add(Component{Name: "busybox", Version: "1.30.1-5", Type: "library", Ecosystem: "opkg", Licence: "GPL-2.0"}, Place{"image!/usr/lib/opkg/status", 0, "package-database"})
	s.Add(Component{Name: "libstdc++", Version: "1:2+b1", Type: "library", Ecosystem: "Debian"}, Place{"image!/x", 4, "package-database"})
	var b bytes.Buffer
	require.NoError(t, cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).Encode(BOM("image", strings.Repeat("0", 64), s.List())))
	for _, want := range []string{"pkg:opkg/busybox@1.30.1-5", "pkg:deb/debian/libstdc", "image!/usr/lib/opkg/status", `"type":"firmware"`} {
		assert.Contains(t, b.String(), want)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("/var/lib/dpkg/status", "Package: a\nVersion: 1\n\n")
	f.Add("/lib/apk/db/installed", "P:a\nV:1\n\n")
	f.Add("/x.spdx.json", `{"packages":[{}]}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		s := &Set{}
		s.File(found.File{Name: name, Text: []byte(text)}, "image")
		for _, c := range s.List() {
			if len(c.Name) > maxField || len(c.Version) > maxField || c.Name == "" {
				t.Fatalf("%q %q", c.Name, c.Version)
			}
		}
		BOM("image", "", s.List())
	})
}
