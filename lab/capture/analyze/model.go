package analyze

import "time"

// An Analysis is what a capture tells. Its JSON names are API. Texts that come from the network hold
// printable characters only.
type Analysis struct {
	File        string           `json:"file"`
	Device      string           `json:"device,omitempty"` // only frames of this MAC or IP were looked at
	Capture     Capture          `json:"capture"`
	Notes       []string         `json:"notes"` // what limits this analysis: nothing is left out without being told here
	Credentials []Credential     `json:"credentials"`
	ClearText   []ClearText      `json:"clear_text"`
	Services    []Service        `json:"services"`
	Attempts    []Attempts       `json:"attempts"`
	Endpoints   []Endpoint       `json:"endpoints"`
	Names       []Name           `json:"names"`
	TLS         []TLSSession     `json:"tls"` // and DTLS
	MQTT        []MQTTSession    `json:"mqtt"`
	CoAP        []CoAPExchange   `json:"coap"`
	HTTP        []HTTPExchange   `json:"http"`
	DNS         []DNSName        `json:"dns"`
	DHCP        []DHCPClient     `json:"dhcp"`
	Others      []Message        `json:"others"` // ARP, ICMP, NTP and the like, counted by ends and kind
	Protocols   []Protocol       `json:"protocols"`
	Totals      map[string]Count `json:"totals"` // e.g. "tcp flows", "mqtt publish"
	Flows       []Flow           `json:"flows"`
}

// Count is a number of things; its own type, so that JSON readers see it is never negative.
type Count = uint64

// Capture is the file itself.
type Capture struct {
	Format       string      `json:"format"` // e.g. "pcapng"
	Application  string      `json:"application,omitempty"`
	Packets      Count       `json:"packets"`
	Bytes        Count       `json:"bytes"`            // on the wire
	Selected     Count       `json:"selected_packets"` // those of the device, or all
	First        time.Time   `json:"first"`
	Last         time.Time   `json:"last"`
	Seconds      float64     `json:"seconds"`
	Truncated    bool        `json:"truncated"`     // the file ends in the middle of a block
	CutPackets   Count       `json:"cut_packets"`   // not captured to their end
	Undecoded    Count       `json:"undecoded"`     // packets of links or forms that were not understood
	Dropped      Count       `json:"dropped"`       // lost while capturing, as the file says
	DropsCounted bool        `json:"drops_counted"` // the file has such counters
	Secrets      int         `json:"decryption_secrets"`
	Interfaces   []Interface `json:"interfaces"`
	Comments     []string    `json:"comments,omitempty"`
	Commented    Count       `json:"commented_packets"`
}

// Interface is one that the file describes.
type Interface struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Link        string `json:"link"` // e.g. "Ethernet"
	SnapLength  uint32 `json:"snap_length"`
	Filter      string `json:"filter,omitempty"`
	Packets     Count  `json:"packets"`
	Counted     bool   `json:"counted"`
	Received    Count  `json:"received"`
	Dropped     Count  `json:"dropped"`
}

// Credential is a secret that everybody on the network could read.
type Credential struct {
	Protocol string `json:"protocol"` // e.g. "HTTP Basic"
	Client   string `json:"client"`
	Server   string `json:"server"`
	User     string `json:"user,omitempty"`
	Secret   string `json:"secret"` // masked unless asked for: "h***** (6 characters)"
	Where    string `json:"where,omitempty"`
	Frame    uint64 `json:"frame"`
	Seen     Count  `json:"seen"`
}

// ClearText is a protocol without encryption between two ends.
type ClearText struct {
	Protocol string `json:"protocol"`
	Client   string `json:"client"`
	Server   string `json:"server"`
	Flows    Count  `json:"flows"`
	Packets  Count  `json:"packets"`
	Bytes    Count  `json:"bytes"`
	Frame    uint64 `json:"frame"` // the first
}

// Attempts are ports of a server that a client tried in vain: a scan, or a service that is not there.
type Attempts struct {
	Client      string `json:"client"`
	Server      string `json:"server"`
	Transport   string `json:"transport"`
	Refused     Count  `json:"refused"`    // by a reset, or by ICMP
	Unanswered  Count  `json:"unanswered"` // for UDP, that need not mean anything
	LowestPort  uint16 `json:"lowest_port"`
	HighestPort uint16 `json:"highest_port"`
	Frame       uint64 `json:"frame"`
}

// Service is a port at which somebody answered.
type Service struct {
	Server    string `json:"server"` // address and port
	Transport string `json:"transport"`
	Protocol  string `json:"protocol"`
	Encrypted bool   `json:"encrypted"`
	Refused   Count  `json:"refused"` // connections that it refused at other times
	Flows     Count  `json:"flows"`
	Clients   Count  `json:"clients"` // different ones, counted up to 64
	Frame     uint64 `json:"frame"`
}

// Endpoint is an address on the network.
type Endpoint struct {
	Address         string    `json:"address"`
	MACs            []string  `json:"macs"`
	Names           []string  `json:"names"`
	SentPackets     Count     `json:"sent_packets"`
	SentBytes       Count     `json:"sent_bytes"`
	ReceivedPackets Count     `json:"received_packets"`
	ReceivedBytes   Count     `json:"received_bytes"`
	First           time.Time `json:"first"`
	Last            time.Time `json:"last"`
}

// Name is a name with an address that something gave it.
type Name struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Source  string `json:"source"` // "DNS", "mDNS", "DHCP", "TLS SNI", "certificate"
	Frame   uint64 `json:"frame"`
}

// TLSSession is one handshake as far as it is in clear.
type TLSSession struct {
	Protocol     string        `json:"protocol"` // "TLS" or "DTLS"
	Client       string        `json:"client"`
	Server       string        `json:"server"`
	Frame        uint64        `json:"frame"`
	ServerName   string        `json:"server_name,omitempty"`
	Offered      []string      `json:"offered_versions"`
	Version      string        `json:"version"` // negotiated; "" if no server hello was seen
	CipherSuite  string        `json:"cipher_suite"`
	ALPNOffered  []string      `json:"alpn_offered,omitempty"`
	ALPN         string        `json:"alpn,omitempty"`
	JA3          string        `json:"ja3,omitempty"`
	JA4          string        `json:"ja4,omitempty"`
	Resumed      bool          `json:"resumed"`
	Completed    bool          `json:"completed"` // application data followed
	Alerts       []Alert       `json:"alerts,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
}

// Alert is one that was sent in clear.
type Alert struct {
	From  string `json:"from"` // "client" or "server"
	Text  string `json:"text"`
	Frame uint64 `json:"frame"`
}

// Certificate is one of a server's or a client's chain.
type Certificate struct {
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SHA256    string    `json:"sha256"`
	Valid     bool      `json:"valid_then"` // the packet lies within the validity
	Error     string    `json:"error,omitempty"`
}

// MQTTSession is one connection.
type MQTTSession struct {
	Client     string           `json:"client"`
	Server     string           `json:"server"`
	Frame      uint64           `json:"frame"`
	Version    string           `json:"version"` // e.g. "3.1.1"
	ClientID   string           `json:"client_id"`
	User       string           `json:"user,omitempty"`
	Password   bool             `json:"password"` // one was sent
	Clean      bool             `json:"clean"`
	KeepAlive  int              `json:"keep_alive_seconds"`
	Will       *Will            `json:"will,omitempty"`
	Code       int              `json:"code"` // of CONNACK; -1 if none was seen
	Published  []Topic          `json:"published"`
	Subscribed []Subscription   `json:"subscribed"`
	Packets    map[string]Count `json:"packets"` // by kind, e.g. "publish"
	MoreTopics Count            `json:"more_topics"`
}

// Will is what the server says for a client that goes silent.
type Will struct {
	Topic  string `json:"topic"`
	QoS    int    `json:"qos"`
	Retain bool   `json:"retain"`
	Bytes  int    `json:"bytes"`
}

// Topic counts the messages of one topic in one direction.
type Topic struct {
	Topic    string `json:"topic"`
	From     string `json:"from"` // "client" or "server"
	QoS      int    `json:"qos"`  // the highest
	Messages Count  `json:"messages"`
	Retained Count  `json:"retained"`
	Bytes    Count  `json:"bytes"` // of payloads
	Frame    uint64 `json:"frame"`
}

// Subscription is one filter that a client asked for.
type Subscription struct {
	Filter  string `json:"filter"`
	QoS     int    `json:"qos"`
	Granted int    `json:"granted"` // the server's code; -1 if none was seen
	Frame   uint64 `json:"frame"`
}

// CoAPExchange is a request with its answers; blocks are joined.
type CoAPExchange struct {
	Client        string `json:"client"`
	Server        string `json:"server"`
	Transport     string `json:"transport"` // "udp" or "tcp"
	Method        string `json:"method"`
	Path          string `json:"path"`
	Code          string `json:"code"` // "" if nothing answered
	Observe       bool   `json:"observe"`
	Notifications Count  `json:"notifications"`
	Requests      Count  `json:"requests"`  // retransmissions and blocks included
	Responses     Count  `json:"responses"` // blocks included
	Sent          Body   `json:"sent"`
	Received      Body   `json:"received"`
	Frame         uint64 `json:"frame"`
	LastFrame     uint64 `json:"last_frame"`
}

// Body is a payload, whole.
type Body struct {
	Bytes  Count  `json:"bytes"`
	Blocks int    `json:"blocks"` // 0: it came in one piece
	Whole  bool   `json:"whole"`  // every block was seen
	SHA256 string `json:"sha256,omitempty"`
}

// HTTPExchange is a request with its response.
type HTTPExchange struct {
	Client   string `json:"client"`
	Server   string `json:"server"`
	Method   string `json:"method"`
	Host     string `json:"host,omitempty"`
	Path     string `json:"path"` // without the query: secrets travel there
	Status   int    `json:"status"`
	Type     string `json:"content_type,omitempty"`
	Agent    string `json:"user_agent,omitempty"`
	Software string `json:"server_software,omitempty"`
	Sent     Count  `json:"sent_bytes"`     // of the body, as announced
	Received Count  `json:"received_bytes"` // likewise; 0 where it was chunked
	Frame    uint64 `json:"frame"`
}

// DNSName is a name that was asked for.
type DNSName struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Protocol string   `json:"protocol"` // "DNS", "mDNS" or "LLMNR"
	Queries  Count    `json:"queries"`
	Answers  []string `json:"answers"`
	Code     string   `json:"code"` // of the last response, e.g. "no error"; "" if none was seen
	Clients  []string `json:"clients"`
	Servers  []string `json:"servers"`
	Frame    uint64   `json:"frame"`
}

// DHCPClient is what a client and its servers said.
type DHCPClient struct {
	MAC         string           `json:"mac"`
	HostName    string           `json:"host_name,omitempty"`
	VendorClass string           `json:"vendor_class,omitempty"`
	Parameters  string           `json:"parameters,omitempty"` // option 55, in order: a fingerprint
	Address     string           `json:"address,omitempty"`    // leased
	Server      string           `json:"server,omitempty"`
	Router      string           `json:"router,omitempty"`
	Resolvers   []string         `json:"resolvers,omitempty"`
	Messages    map[string]Count `json:"messages"`
	Frame       uint64           `json:"frame"`
}

// Message counts messages of one kind between two ends.
type Message struct {
	Protocol string `json:"protocol"`
	From     string `json:"from"`
	To       string `json:"to"`
	Info     string `json:"info"`
	Packets  Count  `json:"packets"`
	Frame    uint64 `json:"frame"`
}

// Protocol counts packets by what was recognised.
type Protocol struct {
	Name      string `json:"name"`
	Encrypted bool   `json:"encrypted"`
	Flows     Count  `json:"flows"`
	Packets   Count  `json:"packets"`
	Bytes     Count  `json:"bytes"`
}

// Flow is one conversation.
type Flow struct {
	Transport     string    `json:"transport"` // "tcp" or "udp"
	Client        string    `json:"client"`
	Server        string    `json:"server"`
	Protocol      string    `json:"protocol"`
	Encrypted     bool      `json:"encrypted"`
	State         string    `json:"state,omitempty"` // of TCP, e.g. "established"; "refused" of UDP too
	ClientPackets Count     `json:"client_packets"`
	ServerPackets Count     `json:"server_packets"`
	ClientBytes   Count     `json:"client_bytes"` // frames, on the wire
	ServerBytes   Count     `json:"server_bytes"`
	First         time.Time `json:"first"`
	Last          time.Time `json:"last"`
	Frame         uint64    `json:"frame"`
	Gaps          bool      `json:"gaps"` // bytes of it are missing from the capture
}
