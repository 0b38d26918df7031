package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/bench/intercept"
	"assay/probes"
	"assay/profiles/dossier"
)

// of picks what is said of the interceptor.
func of(has []probes.Instrument, missing []Missing) (can []string, cannot map[string]string) {
	cannot = map[string]string{}
	for _, i := range has {
		if strings.HasPrefix(string(i), string(probes.InstrumentInterceptor)) {
			can = append(can, string(i))
		}
	}
	for _, m := range missing {
		if strings.HasPrefix(string(m.Instrument), string(probes.InstrumentInterceptor)) {
			cannot[string(m.Instrument)] = m.Because
		}
	}
	return can, cannot
}

// TestInterceptionIsSettledBefore: which impostors there will be is known before a bench is built, with the reason for each other.
func TestInterceptionIsSettledBefore(t *testing.T) {
	_, o := product(t, defaults())
	can, cannot := of(Offers(ModeReference, nil, o.Dossier))
	assert.Len(t, can, 1+2*(1+len(probes.Scenarios)), "%v", can)
	assert.Contains(t, can, "interceptor/https/no-basic-constraints")
	assert.Equal(t, []string{"interceptor/coaps"}, keysOf(cannot))
	assert.Contains(t, cannot["interceptor/coaps"], "declares no host of `cloud` that the device calls with application coaps")

	// Without the CA's key only those that need nobody's.
	d := *o.Dossier
	cloud := *d.Cloud
	cloud.Issuer = nil
	d.Cloud = &cloud
	can, cannot = of(Offers(ModeReference, nil, &d))
	assert.Contains(t, can, "interceptor/mqtts/self-signed")
	assert.Contains(t, can, "interceptor/mqtts/old-version")
	assert.NotContains(t, can, "interceptor/mqtts/expired")
	assert.Contains(t, cannot["interceptor/mqtts/expired"], "must be issued by the product's CA, and the dossier does not give its key")
	assert.Len(t, cannot, 1+2*7)

	cloud.Certificate = "no-such-file.pem"
	_, cannot = of(Offers(ModeReference, nil, &d))
	assert.Contains(t, cannot["interceptor"], "dossier cloud.certificate and cloud.key: ")
	d.Cloud = nil
	for _, one := range []*dossier.Dossier{&d, nil} {
		can, cannot = of(Offers(ModeReference, nil, one))
		assert.Empty(t, can)
		assert.Equal(t, map[string]string{"interceptor": noCloud}, cannot)
	}
	can, cannot = of(Offers(ModeReduced, nil, o.Dossier))
	assert.Empty(t, can)
	assert.Contains(t, cannot["interceptor"], "shares its address with this machine")

	// Attached, it is bench.yaml that lets the bench stand in for the cloud.
	_, cannot = of(Offers(ModeAttached, &File{}, o.Dossier))
	assert.Equal(t, map[string]string{"interceptor": noServe}, cannot)
	can, cannot = of(Offers(ModeAttached, &File{Serve: &Serve{Broker: true}}, o.Dossier))
	assert.Contains(t, can, "interceptor/mqtts/expired")
	assert.Equal(t, []string{"interceptor/coaps", "interceptor/https"}, keysOf(cannot), "no update server, and no port declared")
}

func keysOf(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// free is a port that nobody has, and that the kernel gives to nobody else's test.
func free(t *testing.T) int {
	for range 50 {
		port := 20_000 + rand.IntN(12_000)
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// TestDeclaredPorts: where a dossier says that the device calls its cloud, the bench answers: at further ports with what belongs
// there, and over DTLS.
func TestDeclaredPorts(t *testing.T) {
	noLeaks(t)
	_, o := product(t, defaults())
	d := *o.Dossier
	https, coaps := free(t), free(t)
	d.IXIT.LogIntf = append(slices.Clone(d.IXIT.LogIntf), dossier.LogIntf{ID: "LogIntf-9", Contacts: []dossier.Endpoint{
		{Host: d.Cloud.Hosts[0], Protocol: "tcp", Port: https, Application: "https"},
		{Host: d.Cloud.Hosts[0], Protocol: "udp", Port: coaps, Application: "coaps"},
		{Host: "elsewhere.example", Protocol: "tcp", Port: 9, Application: "https"},
	}})
	assert.Equal(t, []int{https}, callers(&d, probes.ViaHTTPS, portHTTPS))
	can, _ := of(Offers(ModeAttached, &File{Serve: &Serve{Broker: true}}, &d))
	assert.Contains(t, can, "interceptor/https/expired")
	assert.Contains(t, can, "interceptor/coaps/expired")
	assert.NotContains(t, can, "interceptor/coaps/old-version", "the bench cannot")

	v := &servers{at: map[string]netip.AddrPort{}}
	cloud, err := standIn(&d)
	require.NoError(t, err)
	v.impostor = intercept.New(intercept.Options{Cloud: cloud, Now: time.Now})
	s := serving{address: netip.MustParseAddr(loopback), broker: true, log: func(line string) { t.Log(line) }}
	require.NoError(t, v.serveRest(t.Context(), &d, s))
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // on purpose
	}}
	reply, err := client.Get("https://127.0.0.1:" + strconv.Itoa(https) + "/")
	require.NoError(t, err)
	_ = reply.Body.Close()
	assert.Equal(t, http.StatusNotFound, reply.StatusCode)
	calls, err := v.impostor.Calls(t.Context(), probes.ViaHTTPS)
	require.NoError(t, err)
	require.Len(t, calls, 1)
	assert.Equal(t, "http", calls[0].Protocol)
	st, err := v.impostor.Stand(t.Context(), probes.ViaCoAPS, probes.Expired)
	require.NoError(t, err)
	assert.Equal(t, "coaps://"+d.Cloud.Hosts[0]+":"+strconv.Itoa(coaps), st.URL())
	require.NoError(t, st.Close())
	require.NoError(t, v.close())
}

// TestCallsFrom: the device is told by its address as it is now.
func TestCallsFrom(t *testing.T) {
	host := ""
	ours := callsFrom(context.WithoutCancel(t.Context()), func() string { return host })
	at := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	assert.False(t, ours(at("192.0.2.100:1")), "nobody knows yet")
	host = "192.0.2.100"
	assert.True(t, ours(at("192.0.2.100:40000")))
	assert.True(t, ours(at("[::ffff:192.0.2.100]:40000")))
	assert.False(t, ours(at("192.0.2.101:40000")))
	host = "192.0.2.101"
	assert.True(t, ours(at("192.0.2.101:40000")), "another lease")
	host = "localhost"
	assert.True(t, ours(at("127.0.0.1:40000")))
	assert.False(t, ours(at("192.0.2.101:40000")))
	assert.False(t, ours(&net.UnixAddr{Name: "x"}))
}
