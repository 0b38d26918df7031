package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// pcap writes a small capture of a login and a question for a name: `pcap FILE`.
func pcap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pcap FILE")
	}
	ts.Check(writeCapture(ts.MkAbs(args[0])))
}

func writeCapture(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := pcapgo.NewWriter(file)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		return err
	}
	login := "GET /config HTTP/1.1\r\nHost: device.example\r\nAuthorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:hunter2<b>")) + "\r\n\r\n"
	question := &layers.DNS{ID: 1, Questions: []layers.DNSQuestion{{Name: []byte("cloud.example"), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	for i, parts := range [][]gopacket.SerializableLayer{
		{&layers.TCP{SrcPort: 40000, DstPort: 80, Seq: 1, SYN: true}},
		{&layers.TCP{SrcPort: 40000, DstPort: 80, Seq: 2, ACK: true}, gopacket.Payload(login)},
		{&layers.UDP{SrcPort: 40001, DstPort: 53}, question},
	} {
		proto := layers.IPProtocolTCP
		if i == 2 {
			proto = layers.IPProtocolUDP
		}
		all := append([]gopacket.SerializableLayer{
			&layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 0x64}, DstMAC: []byte{2, 0, 0, 0, 0, 1}, EthernetType: layers.EthernetTypeIPv4},
			&layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: []byte{192, 0, 2, 100}, DstIP: []byte{192, 0, 2, 1}},
		}, parts...)
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
			return err
		}
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, int64(i)*1e6), CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}
		if err := w.WritePacket(info, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// TestAnalysisPage looks at the page as a browser would get it: whole, and without anything that runs or loads.
func TestAnalysisPage(t *testing.T) {
	path, out := filepath.Join(t.TempDir(), "login.pcap"), filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, writeCapture(path))
	root := command()
	root.SetArgs([]string{"capture", "analyze", path, "--format", "html", "--out", out, "--show-secrets"})
	require.NoError(t, root.ExecuteContext(t.Context()))
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	page := string(b)
	for _, part := range []string{"<svg", "192.0.2.100 &gt; 192.0.2.1:80", "HTTP Basic", "prefers-color-scheme:dark", "@media print", "hunter2&lt;b&gt;", "url(#clear)", "</html>"} {
		require.Contains(t, page, part)
	}
	for _, part := range []string{"<script", "http://", "https://", "@import", "hunter2<b>"} {
		require.NotContains(t, page, part)
	}
	require.Equal(t, strings.Count(page, "<table>"), strings.Count(page, "</table>"))
}
