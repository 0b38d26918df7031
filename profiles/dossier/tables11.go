package dossier

// Tables 11 to 20 of TS 103 701 V2.1.1. What stands below the blank line of a row is beside the
// standard's own fields, for machines; meanings.yaml says what each field is for.

// SecComMech is a row of table 11: communication mechanisms that deliver security.
type SecComMech struct {
	ID                   string   `yaml:"id" json:"id"`
	Description          string   `yaml:"description" json:"description"`
	Interface            []string `yaml:"interface,omitempty" json:"interface,omitempty" rows:"28-LogIntf|15-PhyIntf"`
	SecurityGuarantees   string   `yaml:"security_guarantees,omitempty" json:"security_guarantees,omitempty"`
	CryptographicDetails string   `yaml:"cryptographic_details,omitempty" json:"cryptographic_details,omitempty"`

	Role     string     `yaml:"role,omitempty" json:"role,omitempty" enum:"client|server|peer"`
	Listens  []Socket   `yaml:"listens,omitempty" json:"listens,omitempty"`
	Contacts []Endpoint `yaml:"contacts,omitempty" json:"contacts,omitempty"`
	Versions []string   `yaml:"versions,omitempty" json:"versions,omitempty" enum:"TLS 1.0|TLS 1.1|TLS 1.2|TLS 1.3|DTLS 1.0|DTLS 1.2|DTLS 1.3" eg:"TLS 1.2"`
	Suites   []string   `yaml:"suites,omitempty" json:"suites,omitempty" form:"suite"`
	Peer     string     `yaml:"peer,omitempty" json:"peer,omitempty" enum:"certificate|pinned|psk|none"`
	Keys     []Key      `yaml:"keys,omitempty" json:"keys,omitempty"`
}

// NetSecImpl is a row of table 12: implementations of network and security functions.
type NetSecImpl struct {
	ID                     string `yaml:"id" json:"id"`
	Description            string `yaml:"description" json:"description"`
	ReviewEvaluationMethod string `yaml:"review_evaluation_method,omitempty" json:"review_evaluation_method,omitempty"`
	Report                 string `yaml:"report,omitempty" json:"report,omitempty"`

	Documents []string `yaml:"documents,omitempty" json:"documents,omitempty" rows:"documents" eg:"manual"`
}

// SoftServ is a row of table 13: software services.
type SoftServ struct {
	ID                      string   `yaml:"id" json:"id"`
	Description             string   `yaml:"description" json:"description"`
	Status                  string   `yaml:"status,omitempty" json:"status,omitempty" enum:"enabled|disabled"`
	Justification           string   `yaml:"justification,omitempty" json:"justification,omitempty"`
	AllowsConfiguration     *Answer  `yaml:"allows_configuration,omitempty" json:"allows_configuration,omitempty"`
	AuthenticationMechanism []string `yaml:"authentication_mechanism,omitempty" json:"authentication_mechanism,omitempty" rows:"1-AuthMech"`

	Interface string   `yaml:"interface,omitempty" json:"interface,omitempty" eg:"http"`
	Listens   []Socket `yaml:"listens,omitempty" json:"listens,omitempty"`
}

// SecMgmt is a row of table 14: management of critical security parameters over the life cycle.
type SecMgmt struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// PhyIntf is a row of table 15: physical interfaces.
type PhyIntf struct {
	ID             string `yaml:"id" json:"id"`
	Description    string `yaml:"description" json:"description"`
	Type           string `yaml:"type,omitempty" json:"type,omitempty"`
	Status         string `yaml:"status,omitempty" json:"status,omitempty"`
	DebugInterface *bool  `yaml:"debug_interface,omitempty" json:"debug_interface,omitempty"`
	Protection     string `yaml:"protection,omitempty" json:"protection,omitempty"`

	Kind    string   `yaml:"kind,omitempty" json:"kind,omitempty" enum:"ethernet|wifi|bluetooth|802.15.4|cellular|usb|serial|jtag|button|display|sensor|other"`
	Names   []string `yaml:"names,omitempty" json:"names,omitempty" eg:"eth0"`
	Enabled *bool    `yaml:"enabled,omitempty" json:"enabled,omitempty"`
}

// CodeMin is a row of table 16: techniques to keep code minimal.
type CodeMin struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// PrivlCtrl is a row of table 17: privilege control of software.
type PrivlCtrl struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// AccCtrl is a row of table 18: hardware access control for memory.
type AccCtrl struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// SecDev is a row of table 19: secure development processes.
type SecDev struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// SecBoot is a row of table 20: secure boot and detection of software change.
type SecBoot struct {
	ID                        string `yaml:"id" json:"id"`
	Description               string `yaml:"description" json:"description"`
	SecurityGuarantees        string `yaml:"security_guarantees,omitempty" json:"security_guarantees,omitempty"`
	DetectionMechanisms       string `yaml:"detection_mechanisms,omitempty" json:"detection_mechanisms,omitempty"`
	UserNotification          string `yaml:"user_notification,omitempty" json:"user_notification,omitempty"`
	NotificationFunctionality string `yaml:"notification_functionality,omitempty" json:"notification_functionality,omitempty"`

	Keys []Key `yaml:"keys,omitempty" json:"keys,omitempty"`
}
