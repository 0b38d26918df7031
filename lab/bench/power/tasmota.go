package power

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
)

// The command of a Tasmota plug is `Power`, with the outlet's number where it has several
// (tasmota.github.io/docs/Commands). Asked without a value it tells its state.

func (t *Tasmota) open(dir string) (Switch, error) {
	password, err := t.Password.Reveal(dir)
	if err != nil {
		return nil, fmt.Errorf("read the plug's password: %w", err)
	}
	number := ""
	if t.Outlet > 0 {
		number = strconv.Itoa(t.Outlet)
	}
	if t.HTTP != "" {
		// The page takes name and password in the query, not in a header.
		return tasmotaPage{page{base: t.HTTP}, t.Username, password, number}, nil
	}
	b, err := newBroker(t.MQTT, t.Username, password)
	if err != nil {
		return nil, err
	}
	return tasmotaTopic{b, t.Topic, number}, nil
}

type tasmotaPage struct {
	page               page
	username, password string
	number             string
}

// String says where the plug is.
func (t tasmotaPage) String() string { return "the Tasmota plug at " + t.page.base }

// Set sends the command; its answer is not believed, the state is read afterwards.
func (t tasmotaPage) Set(ctx context.Context, on bool) error {
	_, err := t.command(ctx, "Power"+t.number+" "+word(on))
	return err
}

// State asks without a value.
func (t tasmotaPage) State(ctx context.Context) (bool, error) {
	return t.command(ctx, "Power"+t.number)
}

func (t tasmotaPage) command(ctx context.Context, command string) (bool, error) {
	query := url.Values{"cmnd": {command}}
	if t.password != "" {
		query.Set("user", t.username)
		query.Set("password", t.password)
	}
	answer, err := t.page.get(ctx, "/cm", query)
	if err != nil {
		return false, err
	}
	return tasmotaState(answer, t.number)
}

// tasmotaState reads {"POWER":"ON"}; a plug with one outlet leaves the number out.
func tasmotaState(answer map[string]any, number string) (bool, error) {
	names := []string{"POWER" + number}
	if number == "" {
		names = append(names, "POWER1")
	} else if number == "1" {
		names = append(names, "POWER")
	}
	for _, name := range names {
		text, _ := answer[name].(string)
		if on, known := said(text); known {
			return on, nil
		}
	}
	if answer["WARNING"] != nil {
		return false, fmt.Errorf("it wants a user name and a password")
	}
	return false, fmt.Errorf("its answer has no state of outlet POWER%s", number)
}

// tasmotaTopic is a plug behind a broker, with the default topics of Tasmota.
type tasmotaTopic struct {
	broker broker
	topic  string
	number string
}

// String says where the plug is.
func (t tasmotaTopic) String() string {
	return "the Tasmota plug " + t.topic + " at " + t.broker.url
}

// Set publishes the command and waits until the plug has answered it.
func (t tasmotaTopic) Set(ctx context.Context, on bool) error {
	_, err := t.ask(ctx, word(on))
	return err
}

// State asks with an empty payload.
func (t tasmotaTopic) State(ctx context.Context) (bool, error) { return t.ask(ctx, "") }

func (t tasmotaTopic) ask(ctx context.Context, payload string) (bool, error) {
	answers := []string{"stat/" + t.topic + "/POWER" + t.number}
	if t.number == "1" {
		answers = append(answers, "stat/"+t.topic+"/POWER")
	} else if t.number == "" {
		answers = append(answers, "stat/"+t.topic+"/POWER1")
	}
	var on, known bool
	err := t.broker.converse(ctx, answers, "cmnd/"+t.topic+"/POWER"+t.number, payload, func(_ string, answer []byte) bool {
		on, known = said(string(answer))
		return known
	})
	return on, err
}
