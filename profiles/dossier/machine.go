package dossier

import "reflect"

// An Answer is a yes or no of the standard with its explanation. A nil one was not given.
type Answer struct {
	Is     bool   `yaml:"is" json:"is"`
	Detail string `yaml:"detail,omitempty" json:"detail,omitempty"`
}

// A Socket is a port that the device answers on.
type Socket struct {
	Protocol    string `yaml:"protocol" json:"protocol" enum:"tcp|udp"`
	Port        int    `yaml:"port" json:"port" range:"1-65535" eg:"443"`
	Application string `yaml:"application,omitempty" json:"application,omitempty" eg:"https"`
	Initialized *bool  `yaml:"initialized,omitempty" json:"initialized,omitempty"` // nil: yes
}

// InUse tells whether it answers on a device that is set up.
func (s Socket) InUse() bool { return s.Initialized == nil || *s.Initialized }

// An Endpoint is a host that the device calls.
type Endpoint struct {
	Host        string `yaml:"host" json:"host" form:"host" eg:"cloud.example"`
	Protocol    string `yaml:"protocol,omitempty" json:"protocol,omitempty" enum:"tcp|udp"`
	Port        int    `yaml:"port,omitempty" json:"port,omitempty" range:"0-65535" eg:"8883"` // 0: any
	Application string `yaml:"application,omitempty" json:"application,omitempty" eg:"mqtts"`
}

// A Key is kind and length of a key, never its value.
type Key struct {
	Type  string `yaml:"type" json:"type" enum:"rsa|ecdsa|ed25519|ecdh|x25519|aes|chacha20|hmac|psk|other" eg:"ecdsa"`
	Bits  int    `yaml:"bits,omitempty" json:"bits,omitempty" range:"0-65536" eg:"256"`
	Curve string `yaml:"curve,omitempty" json:"curve,omitempty" eg:"P-256"`
	Use   string `yaml:"use,omitempty" json:"use,omitempty" eg:"verifies images"`
}

// A Listening is a port and the row that declares it. Status is the row's own: enabled,
// disabled, or empty where its table has none.
type Listening struct {
	Row    string
	Status string
	Socket
}

// Listens lists every declared port, in the order of the tables: 11, 13, 28. A row whose description still is
// the placeholder declares nothing: what it says was guessed from watching, and nobody has stood up for it.
func (d *Dossier) Listens() []Listening {
	var out []Listening
	for _, r := range d.IXIT.all() {
		if r.undescribed() {
			continue
		}
		for _, s := range below[Socket](r.value) {
			l := Listening{Row: r.address(), Socket: s}
			if status := r.value.FieldByName("Status"); status.IsValid() {
				l.Status = status.String()
			}
			out = append(out, l)
		}
	}
	return out
}

// A Contact is a host that the device calls and the row that declares it.
type Contact struct {
	Row string
	Endpoint
}

// Contacts lists every declared host, in the order of the tables: 7, 11, 21, 24, 28; as with Listens, a row
// that nobody has described declares nothing.
func (d *Dossier) Contacts() []Contact {
	var out []Contact
	for _, r := range d.IXIT.all() {
		if r.undescribed() {
			continue
		}
		for _, e := range below[Endpoint](r.value) {
			out = append(out, Contact{Row: r.address(), Endpoint: e})
		}
	}
	return out
}

func (r row) undescribed() bool {
	text := r.value.FieldByName("Description")
	return text.IsValid() && text.String() == Placeholder
}

// below collects the lists of one type in a row.
func below[T any](row reflect.Value) []T {
	var out []T
	for i := range row.NumField() {
		if some, ok := row.Field(i).Interface().([]T); ok {
			out = append(out, some...)
		}
	}
	return out
}
