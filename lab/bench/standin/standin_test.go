package standin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve has a stand-in do one thing after the other.
func serve(t *testing.T, all ...Request) []Answer {
	t.Helper()
	var in, out bytes.Buffer
	for _, r := range all {
		require.NoError(t, json.NewEncoder(&in).Encode(r))
	}
	require.NoError(t, Serve(t.Context(), &in, &out))
	var answers []Answer
	for dec := json.NewDecoder(&out); dec.More(); {
		var a Answer
		require.NoError(t, dec.Decode(&a))
		answers = append(answers, a)
	}
	require.Len(t, answers, len(all))
	return answers
}

// TestAGoodDeviceLooksAtCertificates is about the one thing that a known-good device must never do.
func TestAGoodDeviceLooksAtCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("image")) }))
	defer server.Close()
	at, own := server.Listener.Addr().String(), server.Certificate().Raw
	request := func(name string, roots [][]byte, pin []byte) Request {
		return Request{Do: DoHello, At: at, Name: name, Roots: roots, Pin: pin}
	}
	cases := map[string]struct {
		request Request
		refused bool
	}{
		"its root and name": {request("example.com", [][]byte{own}, nil), false},
		"another name":      {request("example.net", [][]byte{own}, nil), true},
		"no root":           {request("example.com", nil, nil), true},
		"root that is none": {request("example.com", [][]byte{{1, 2, 3}}, nil), true},
		"its bytes":         {request("another.example", nil, own), false},
		"other bytes":       {request("example.com", [][]byte{own}, []byte{1}), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := serve(t, c.request)[0]
			assert.Equal(t, c.refused, a.Refused, a.Error)
			assert.Equal(t, c.refused, a.Error != "")
			c.request.Do, c.request.URL = DoFetch, "https://example.com/image"
			a = serve(t, c.request)[0]
			assert.Equal(t, c.refused, a.Refused, a.Error)
			assert.Equal(t, c.refused, a.Bytes == 0)
		})
	}
}

func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	answers := serve(t,
		Request{Do: "dance"}, Request{Do: DoBeacon, Count: 1}, Request{Do: DoHello, At: "127.0.0.1:1"},
		Request{Do: DoBroker, At: "127.0.0.1:1"}, Request{Do: DoLease, Interface: "nowhere0"}, Request{Do: DoListen})
	for _, a := range answers[:5] {
		assert.NotEmpty(t, a.Error)
		assert.False(t, a.Refused, a.Error)
	}
	last := answers[5]
	assert.Empty(t, last.Error)
	assert.NotZero(t, last.Open)
	assert.NotZero(t, last.Closed)
	require.ErrorContains(t, Serve(t.Context(), strings.NewReader("no json\n"), &bytes.Buffer{}), "read a request")
}
