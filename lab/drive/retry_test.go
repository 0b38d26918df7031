package drive

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

// fastClock waits for nothing and counts for how long it should have.
type fastClock struct{ waited time.Duration }

func (*fastClock) Now() time.Time { return time.Now() }
func (c *fastClock) Wait(ctx context.Context, d time.Duration) error {
	c.waited += d
	return ctx.Err()
}

// booting answers 503 until it has been asked often enough, then status.
func booting(t *testing.T, after int32, status int) (string, *atomic.Int32) {
	t.Helper()
	asked := new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= after {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(status)
		io.WriteString(w, `{"state":"ready"}`)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// once leaves the tests' login away, where retries do not belong.
func once(o *Options) { delete(o.Dossier.Operations, "login-it") }

func TestRetry(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  int32
		status int
		retry  dossier.Retry
		want   probes.Outcome
		asked  int32
		waited time.Duration
	}{
		{"is ready at once", 0, 200, dossier.Retry{Times: 5}, probes.Done, 1, 0},
		{"is ready in the end", 3, 200, dossier.Retry{Times: 5, WaitSeconds: 2}, probes.Done, 4, 6 * time.Second},
		{"is never ready", 9, 200, dossier.Retry{Times: 2}, probes.Unexpected, 3, 2 * time.Second},
		{"a no is an answer", 1, 401, dossier.Retry{Times: 5}, probes.Refused, 2, time.Second},
		{"a lock is an answer", 0, 429, dossier.Retry{Times: 5}, probes.Limited, 1, 0},
		{"until goes on after a no", 0, 401, dossier.Retry{Times: 2, Until: "reply.status == 200"}, probes.Refused, 3, 2 * time.Second},
		{"until holds", 2, 200, dossier.Retry{Times: 5, Until: "reply.json.state == 'ready'"}, probes.Done, 3, 2 * time.Second},
		{"done but not what until waits for", 0, 200, dossier.Retry{Times: 1, Until: "reply.json.state == 'idle'"}, probes.Unexpected, 2, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, asked := booting(t, c.after, c.status)
			step := get(url)
			step.Retry = &c.retry
			ticks := &fastClock{}
			got := do(t, driver(t, steps(step), once, func(o *Options) { o.Clock = ticks }), nil)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.Equal(t, c.asked, asked.Load())
			assert.Equal(t, c.waited, ticks.waited)
		})
	}
	// Cut short by the caller it is no answer.
	url, _ := booting(t, 1000, 200)
	step := get(url)
	step.Retry = &dossier.Retry{Times: 1000, WaitSeconds: 0.02}
	ctx, cancel := contextWithin(t, 200*time.Millisecond)
	defer cancel()
	_, err := driver(t, steps(step), once).Do(ctx, "it", nil)
	require.ErrorIs(t, err, probes.ErrBench)

	d := twoUnits()
	d.Operations = map[string]dossier.Operation{"login-http": steps(step)}
	_, err = New(Options{Dossier: d, Unit: "one", Host: func() string { return "" }, Clock: clock{}})
	assert.ErrorContains(t, err, "operation login-http: step 1: retry: how often a login is tried is for the probes to count")
}
