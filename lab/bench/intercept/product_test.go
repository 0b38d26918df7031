package intercept

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/probes"
)

const cloudName = "cloud.product.example"

// A product is a maker's test PKI.
type product struct {
	Cloud
	root string // PEM file
	dir  string
}

// kinds are the keys that a product may have.
var kinds = map[string]func(*testing.T) crypto.Signer{
	"ecdsa": func(t *testing.T) crypto.Signer {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		return k
	},
	"rsa": func(t *testing.T) crypto.Signer {
		k, err := rsa.GenerateKey(rand.Reader, soundBits)
		require.NoError(t, err)
		return k
	},
}

// newProduct makes root and cloud; change, if any, alters the root before it signs itself.
func newProduct(t *testing.T, kind string, change func(*x509.Certificate)) product {
	t.Helper()
	now := time.Now()
	root := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Maker"}, CommonName: "Maker root"}, NotBefore: now.Add(-backdated), NotAfter: now.Add(backdated),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(root)
	}
	rootKey, leafKey := kinds[kind](t), kinds[kind](t)
	ca, err := issue(root, root, rootKey.Public(), rootKey)
	require.NoError(t, err)
	leaf, err := issue(&x509.Certificate{
		Subject: pkix.Name{Organization: []string{"Maker"}, CommonName: cloudName}, NotBefore: now.Add(-day), NotAfter: now.Add(year),
		DNSNames: []string{cloudName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, leafKey.Public(), rootKey)
	require.NoError(t, err)
	p := product{dir: t.TempDir(), Cloud: Cloud{
		Genuine: &tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: leafKey, Leaf: leaf},
		Issuer:  &tls.Certificate{Certificate: [][]byte{ca.Raw}, PrivateKey: rootKey, Leaf: ca},
		Hosts:   []string{cloudName, "updates.product.example"},
	}}
	p.root = p.write(t, "root.pem", ca.Raw)
	return p
}

// write makes a PEM file of certificates.
func (p product) write(t *testing.T, name string, certificates ...[]byte) string {
	t.Helper()
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	name = filepath.Join(p.dir, name)
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}

// A scene is an interceptor on loopback with one way in, behind which somebody answers HTTP.
type scene struct {
	*Interceptor
	at   string // address and port
	port string
	keys *Keys
}

func newScene(t *testing.T, c Cloud) *scene { return newSceneFor(t, c, nil) }

// newSceneFor tells who is the device; before adds others.
func newSceneFor(t *testing.T, c Cloud, from func(net.Addr) bool, before ...func(*Interceptor)) *scene {
	t.Helper()
	keys := NewKeys("")
	s := &scene{keys: keys, Interceptor: New(Options{Cloud: c, From: from, Now: time.Now, Keys: keys, Log: func(line string) { t.Log(line) }})}
	for _, add := range before {
		add(s.Interceptor)
	}
	raw, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.at = raw.Addr().String()
	_, s.port, err = net.SplitHostPort(s.at)
	require.NoError(t, err)
	door := s.Door(t.Context(), probes.ViaHTTPS, "https://"+cloudName+":"+s.port, raw)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := door.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, door.Close())
		<-done
	})
	return s
}

// answer reads one line and answers as HTTP does.
func answer(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes")
	}
}

// stand presents a scenario for as long as the test takes.
func (s *scene) stand(t *testing.T, via string, as probes.Scenario) probes.Stand {
	t.Helper()
	st, err := s.Stand(t.Context(), via, as)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// last waits until a number of calls has come to an end, and returns the newest.
func last(t *testing.T, st probes.Stand, number int) probes.Call {
	t.Helper()
	var calls []probes.Call
	require.Eventually(t, func() bool {
		calls = st.Calls()
		return len(calls) >= number && calls[number-1].Ended
	}, 10*time.Second, time.Millisecond, "no call, or no end of it")
	return calls[len(calls)-1]
}
