package dossier

// A Step is one exchange: exactly one of its first nine fields is set. The three
// conditions are CEL over `reply`, tried in the order limited, refused, success; the
// default success is the protocol's own (HTTP 2xx, CONNACK 0, CoAP 2.xx, a dialogue that
// came to its end, exit 0, "yes").
type Step struct {
	HTTP    *HTTPStep    `yaml:"http,omitempty" json:"http,omitempty"`
	MQTT    *MQTTStep    `yaml:"mqtt,omitempty" json:"mqtt,omitempty"`
	CoAP    *CoAPStep    `yaml:"coap,omitempty" json:"coap,omitempty"`
	SSH     *SSHStep     `yaml:"ssh,omitempty" json:"ssh,omitempty"`
	Telnet  *TelnetStep  `yaml:"telnet,omitempty" json:"telnet,omitempty"`
	Serial  *SerialStep  `yaml:"serial,omitempty" json:"serial,omitempty"`
	Command *CommandStep `yaml:"command,omitempty" json:"command,omitempty"`
	Person  *PersonStep  `yaml:"person,omitempty" json:"person,omitempty"`
	Button  *ButtonStep  `yaml:"button,omitempty" json:"button,omitempty"`

	Success string            `yaml:"success,omitempty" json:"success,omitempty"`
	Refused string            `yaml:"refused,omitempty" json:"refused,omitempty"`
	Limited string            `yaml:"limited,omitempty" json:"limited,omitempty"`
	Capture map[string]string `yaml:"capture,omitempty" json:"capture,omitempty"` // value name -> CEL that yields a string
	Seconds float64           `yaml:"seconds,omitempty" json:"seconds,omitempty"` // deadline of this exchange, default 5 (person: 120; a dialogue: 5 and what its lines may take)
	Retry   *Retry            `yaml:"retry,omitempty" json:"retry,omitempty"`
}

// Retry repeats a step that was not done yet. Without Until a yes, a no and a lock end it, and
// everything else is tried again; with Until it goes on until that holds.
type Retry struct {
	Times       int     `yaml:"times" json:"times"`                                   // tries after the first
	WaitSeconds float64 `yaml:"wait_seconds,omitempty" json:"wait_seconds,omitempty"` // between two tries, default 1
	Until       string  `yaml:"until,omitempty" json:"until,omitempty"`               // CEL over reply
}

// TLS is what the bench shows in TLS and DTLS, and whom it believes.
type TLS struct {
	Certificate string  `yaml:"certificate,omitempty" json:"certificate,omitempty"` // PEM chain of the bench as a client
	Key         *Secret `yaml:"key,omitempty" json:"key,omitempty"`                 // its PEM private key
	CA          string  `yaml:"ca,omitempty" json:"ca,omitempty"`                   // PEM; in place of the dossier's anchors for: device
}

// HTTPStep is one HTTP(S) request. reply: {status: int, body: string, json: dyn, headers: map,
// url: string (where the answer came from), redirects: int (that were followed)}.
type HTTPStep struct {
	Method    string            `yaml:"method,omitempty" json:"method,omitempty"` // default GET
	URL       string            `yaml:"url" json:"url"`
	Headers   map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	JSON      map[string]any    `yaml:"json,omitempty" json:"json,omitempty"`
	Form      map[string]string `yaml:"form,omitempty" json:"form,omitempty"`
	Body      string            `yaml:"body,omitempty" json:"body,omitempty"`
	Upload    *Upload           `yaml:"upload,omitempty" json:"upload,omitempty"`
	Basic     bool              `yaml:"basic,omitempty" json:"basic,omitempty"`                               // HTTP Basic with the arguments username and password
	Redirects string            `yaml:"redirects,omitempty" json:"redirects,omitempty" enum:"same-host|none"` // default same-host
	TLS       *TLS              `yaml:"tls,omitempty" json:"tls,omitempty"`
}

// Upload is a file in a form: multipart/form-data (RFC 7578), with the step's form beside it.
type Upload struct {
	Field string `yaml:"field" json:"field"`                     // the file's name in the form
	Name  string `yaml:"name,omitempty" json:"name,omitempty"`   // the file name that the device is told
	File  string `yaml:"file,omitempty" json:"file,omitempty"`   // on the bench
	Value string `yaml:"value,omitempty" json:"value,omitempty"` // or the content itself
}

// MQTTStep connects, then publishes and/or subscribes. reply: {connack: int, suback: int
// (-1: none), messages: [{topic, payload, json, retained}]}; over MQTT 5 the codes are its reason
// codes, and there are puback: int, disconnect: int (-1: none), reason: string (the broker's words).
type MQTTStep struct {
	URL       string  `yaml:"url" json:"url"`                                            // mqtt://host:1883 or mqtts://host:8883; "cloud" is the bench's own broker
	Version   string  `yaml:"version,omitempty" json:"version,omitempty" enum:"3.1.1|5"` // default 3.1.1
	ClientID  string  `yaml:"client_id,omitempty" json:"client_id,omitempty"`
	Username  string  `yaml:"username,omitempty" json:"username,omitempty"`
	Password  string  `yaml:"password,omitempty" json:"password,omitempty"`
	Publish   string  `yaml:"publish,omitempty" json:"publish,omitempty"` // topic
	Payload   string  `yaml:"payload,omitempty" json:"payload,omitempty"`
	Retain    bool    `yaml:"retain,omitempty" json:"retain,omitempty"`
	Subscribe string  `yaml:"subscribe,omitempty" json:"subscribe,omitempty"` // topic filter
	Listen    float64 `yaml:"listen,omitempty" json:"listen,omitempty"`       // seconds to collect messages; ends early when Success holds
	QoS       *int    `yaml:"qos,omitempty" json:"qos,omitempty" range:"0-2"` // default 1
	Will      *Will   `yaml:"will,omitempty" json:"will,omitempty"`
	HangUp    bool    `yaml:"hang_up,omitempty" json:"hang_up,omitempty"` // leave without a DISCONNECT: the broker then publishes the will
	TLS       *TLS    `yaml:"tls,omitempty" json:"tls,omitempty"`
}

// Will is what the broker publishes when the bench hangs up.
type Will struct {
	Topic   string `yaml:"topic" json:"topic"`
	Payload string `yaml:"payload,omitempty" json:"payload,omitempty"`
	Retain  bool   `yaml:"retain,omitempty" json:"retain,omitempty"`
	QoS     int    `yaml:"qos,omitempty" json:"qos,omitempty" range:"0-2"`
}

// CoAPStep is one CoAP request over coap:// (UDP), coaps:// (DTLS, with a pre-shared key or
// certificates), coap+tcp:// or coaps+tcp:// (TLS, with certificates). reply: {code: string ("2.05"),
// payload: string, json: dyn, notifications: [{code, payload, json}]}.
type CoAPStep struct {
	Method   string  `yaml:"method,omitempty" json:"method,omitempty"` // default GET
	URL      string  `yaml:"url" json:"url"`
	Identity string  `yaml:"identity,omitempty" json:"identity,omitempty"`
	Key      string  `yaml:"key,omitempty" json:"key,omitempty"` // as written on the label; UTF-8 bytes, or hex after "hex:"
	Payload  string  `yaml:"payload,omitempty" json:"payload,omitempty"`
	Format   string  `yaml:"format,omitempty" json:"format,omitempty"`   // content format, e.g. application/json
	Observe  float64 `yaml:"observe,omitempty" json:"observe,omitempty"` // seconds to collect notifications (RFC 7641); ends early when Success holds
	TLS      *TLS    `yaml:"tls,omitempty" json:"tls,omitempty"`
}

// SSHStep logs in and runs a command, or leads a dialogue with a shell, or only logs in. reply: {text: string,
// matched: string (by the last expect), stderr: string, exit: int (-1: none), host_key: string
// ("ssh-ed25519 SHA256:..."), server: string (its version)}.
type SSHStep struct {
	URL      string  `yaml:"url" json:"url"` // ssh://host:22
	Username string  `yaml:"username,omitempty" json:"username,omitempty"`
	Password string  `yaml:"password,omitempty" json:"password,omitempty"`
	Key      *Secret `yaml:"key,omitempty" json:"key,omitempty"` // private key, PEM or OpenSSH
	Run      string  `yaml:"run,omitempty" json:"run,omitempty"`
	Dialogue []Line  `yaml:"dialogue,omitempty" json:"dialogue,omitempty"`
	Legacy   bool    `yaml:"legacy,omitempty" json:"legacy,omitempty"` // offer the algorithms that nobody should use any more, too
}

// TelnetStep leads a dialogue over Telnet. reply: {text: string, matched: string (by the last expect)}.
type TelnetStep struct {
	URL      string `yaml:"url" json:"url"` // telnet://host:23
	Dialogue []Line `yaml:"dialogue" json:"dialogue"`
}

// SerialStep leads a dialogue over a serial line of the bench. reply: {text: string, matched: string (by the last expect)}.
type SerialStep struct {
	Port     string `yaml:"port" json:"port"`                       // e.g. /dev/ttyUSB0; "console" is the line that the bench knows
	Speed    int    `yaml:"speed,omitempty" json:"speed,omitempty"` // bits per second, default 115200
	Frame    string `yaml:"frame,omitempty" json:"frame,omitempty" enum:"8N1|8E1|8O1|7E1|7O1|8N2"`
	Ending   string `yaml:"ending,omitempty" json:"ending,omitempty" enum:"cr|lf|crlf"` // of what is sent, default cr
	Dialogue []Line `yaml:"dialogue" json:"dialogue"`
}

// A Line of a dialogue awaits a text, then sends one. It needs one of the two.
type Line struct {
	Expect  string  `yaml:"expect,omitempty" json:"expect,omitempty"`   // RE2, over what came since the last match
	Send    *string `yaml:"send,omitempty" json:"send,omitempty"`       // a line; an empty one is the Enter key
	Raw     bool    `yaml:"raw,omitempty" json:"raw,omitempty"`         // send it without a line's end
	Seconds float64 `yaml:"seconds,omitempty" json:"seconds,omitempty"` // for the text to come, default 5
}

// CommandStep runs a program on the bench, without a shell. reply: {exit: int, stdout: string, json: dyn}.
type CommandStep struct {
	Run   []string `yaml:"run" json:"run"`
	Stdin string   `yaml:"stdin,omitempty" json:"stdin,omitempty"`
}

// PersonStep asks the person at the bench. reply: {answer: string}.
type PersonStep struct {
	Say string `yaml:"say" json:"say"`
}

// ButtonStep presses a button through the bench's instrument, or asks a person to. reply: {pressed: bool}.
type ButtonStep struct {
	Name string  `yaml:"name" json:"name"`
	Hold float64 `yaml:"hold,omitempty" json:"hold,omitempty"` // seconds
}
