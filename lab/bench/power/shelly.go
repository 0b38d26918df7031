package power

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync/atomic"
)

// shellyUser is the only user that a Shelly of generation 2 has.
const shellyUser = "admin"

func (s *Shelly) open(dir string) (Switch, error) {
	password, err := s.Password.Reveal(dir)
	if err != nil {
		return nil, fmt.Errorf("read the plug's password: %w", err)
	}
	switch {
	case s.Generation == 1:
		return shellyRelay{page{base: s.HTTP, username: s.Username, password: password}, s.Outlet}, nil
	case s.HTTP != "":
		return shellyPage{page{base: s.HTTP, username: shellyUser, password: password, digest: true}, s.Outlet}, nil
	}
	b, err := newBroker(s.MQTT, s.Username, password)
	if err != nil {
		return nil, err
	}
	return &shellyTopic{broker: b, topic: s.Topic, outlet: s.Outlet}, nil
}

// shellyRelay is generation 1 (shelly-api-docs.shelly.cloud/gen1): /relay/0?turn=on.
type shellyRelay struct {
	page   page
	outlet int
}

// String says where it is.
func (s shellyRelay) String() string { return "the Shelly at " + s.page.base }

// Set turns the relay; its answer is not believed, the state is read afterwards.
func (s shellyRelay) Set(ctx context.Context, on bool) error {
	_, err := s.page.get(ctx, s.path(), url.Values{"turn": {word(on)}})
	return err
}

// State reads the relay.
func (s shellyRelay) State(ctx context.Context) (bool, error) {
	answer, err := s.page.get(ctx, s.path(), nil)
	if err != nil {
		return false, err
	}
	return boolean(answer, "ison")
}

func (s shellyRelay) path() string { return "/relay/" + strconv.Itoa(s.outlet) }

func boolean(answer map[string]any, name string) (bool, error) {
	is, ok := answer[name].(bool)
	if !ok {
		return false, fmt.Errorf("its answer has no %s", name)
	}
	return is, nil
}

// shellyPage is generation 2 and later (shelly-api-docs.shelly.cloud/gen2): Switch.Set and Switch.GetStatus.
type shellyPage struct {
	page   page
	outlet int
}

// String says where it is.
func (s shellyPage) String() string { return "the Shelly at " + s.page.base }

// Set calls Switch.Set.
func (s shellyPage) Set(ctx context.Context, on bool) error {
	_, err := s.page.get(ctx, "/rpc/Switch.Set", url.Values{"id": {strconv.Itoa(s.outlet)}, "on": {strconv.FormatBool(on)}})
	return err
}

// State calls Switch.GetStatus.
func (s shellyPage) State(ctx context.Context) (bool, error) {
	answer, err := s.page.get(ctx, "/rpc/Switch.GetStatus", url.Values{"id": {strconv.Itoa(s.outlet)}})
	if err != nil {
		return false, err
	}
	return boolean(answer, "output")
}

// shellyTopic is generation 2 behind a broker: JSON RPC to TOPIC/rpc, answered to SRC/rpc.
type shellyTopic struct {
	broker broker
	topic  string
	outlet int
	calls  atomic.Int64
}

// String says where it is.
func (s *shellyTopic) String() string { return "the Shelly " + s.topic + " at " + s.broker.url }

// Set calls Switch.Set.
func (s *shellyTopic) Set(ctx context.Context, on bool) error {
	_, err := s.call(ctx, "Switch.Set", map[string]any{"id": s.outlet, "on": on})
	return err
}

// State calls Switch.GetStatus.
func (s *shellyTopic) State(ctx context.Context) (bool, error) {
	answer, err := s.call(ctx, "Switch.GetStatus", map[string]any{"id": s.outlet})
	if err != nil {
		return false, err
	}
	return boolean(answer, "output")
}

// rpcAnswer is what comes back; answers to other calls have another id.
type rpcAnswer struct {
	ID     int64          `json:"id"`
	Source string         `json:"src"`
	Result map[string]any `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (s *shellyTopic) call(ctx context.Context, method string, params map[string]any) (map[string]any, error) {
	id := s.calls.Add(1)
	src := s.broker.name()
	question, err := json.Marshal(map[string]any{"id": id, "src": src, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	var answer rpcAnswer
	err = s.broker.converse(ctx, []string{src + "/rpc"}, s.topic+"/rpc", string(question), func(_ string, b []byte) bool {
		answer = rpcAnswer{}
		return json.Unmarshal(b, &answer) == nil && answer.ID == id && (answer.Result != nil || answer.Error != nil)
	})
	switch {
	case err != nil:
		return nil, err
	case answer.Error != nil:
		return nil, errors.New("it answers: " + strconv.Quote(clip(answer.Error.Message)))
	}
	return answer.Result, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100])
	}
	return s
}
