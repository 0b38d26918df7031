package drive

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

type somebody func(ctx context.Context, say string) (string, error)

func (s somebody) Ask(ctx context.Context, say string) (string, error) { return s(ctx, say) }

type finger func(name string, hold time.Duration) error

func (f finger) Press(_ context.Context, name string, hold time.Duration) error { return f(name, hold) }

func answers(with string) func(*Options) {
	return func(o *Options) {
		o.Person = somebody(func(context.Context, string) (string, error) { return with, nil })
	}
}

func TestPerson(t *testing.T) {
	step := dossier.Step{Person: &dossier.PersonStep{Say: "Does {{serial}} blink?"}}
	for said, want := range map[string]probes.Outcome{
		"yes": probes.Done, " Y\n": probes.Done, "no": probes.Refused, "N": probes.Refused, "perhaps": probes.Unexpected, "": probes.Unexpected,
	} {
		assert.Equal(t, want, do(t, driver(t, steps(step), answers(said)), nil).Outcome, said)
	}
	version := step
	version.Success, version.Capture = "reply.answer != ''", map[string]string{"version": "reply.answer"}
	got := do(t, driver(t, steps(version), answers(" 1.0.0 ")), nil)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "1.0.0", got.Values["version"])
	assert.Equal(t, "1.0.0", got.Text)

	var asked string
	do(t, driver(t, steps(step), func(o *Options) {
		o.Person = somebody(func(_ context.Context, say string) (string, error) { asked = say; return "yes", nil })
	}), nil)
	assert.Equal(t, "Does "+serial+" blink?", asked)
}

func TestPersonBenchErrors(t *testing.T) {
	step := dossier.Step{Person: &dossier.PersonStep{Say: "Well?"}, Seconds: 0.05}
	for want, person := range map[string]Person{
		"nobody sits at this bench": nil,
		"did not answer in time": somebody(func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}),
		"ask the person: the terminal is gone": somebody(func(context.Context, string) (string, error) {
			return "", errors.New("the terminal is gone")
		}),
	} {
		_, err := driver(t, steps(step), func(o *Options) { o.Person = person }).Do(t.Context(), "it", nil)
		require.ErrorIs(t, err, probes.ErrBench)
		assert.ErrorContains(t, err, want)
	}
}

func TestButton(t *testing.T) {
	step := dossier.Step{Button: &dossier.ButtonStep{Name: "reset", Hold: 10}}
	var pressed string
	got := do(t, driver(t, steps(step), func(o *Options) {
		o.Button = finger(func(name string, hold time.Duration) error { pressed = name + " " + hold.String(); return nil })
	}), nil)
	assert.Equal(t, probes.Done, got.Outcome)
	assert.Equal(t, "reset 10s", pressed)

	var asked string
	hand := func(said string) func(*Options) {
		return func(o *Options) {
			o.Person = somebody(func(_ context.Context, say string) (string, error) { asked = say; return said, nil })
		}
	}
	assert.Equal(t, probes.Done, do(t, driver(t, steps(step), hand("yes")), nil).Outcome)
	assert.Equal(t, `Press the button "reset" of the device, hold it for 10s, then answer yes.`, asked)

	for want, change := range map[string]func(*Options){
		"cannot press buttons":              func(*Options) {},
		`press reset: the person said "no"`: hand("no"),
		"press reset: the relay does not go": func(o *Options) {
			o.Button = finger(func(string, time.Duration) error { return errors.New("the relay does not go") })
		},
	} {
		_, err := driver(t, steps(step), change).Do(t.Context(), "it", nil)
		require.ErrorIs(t, err, probes.ErrBench)
		assert.ErrorContains(t, err, want)
	}
}
