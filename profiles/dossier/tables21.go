package dossier

// Tables 21 to 29 of TS 103 701 V2.1.1. What stands below the blank line of a row is beside the
// standard's own fields, for machines; meanings.yaml says what each field is for.

// PersData is a row of table 21: categories of personal data.
type PersData struct {
	ID                            string   `yaml:"id" json:"id"`
	Description                   string   `yaml:"description" json:"description"`
	Sensitive                     *bool    `yaml:"sensitive,omitempty" json:"sensitive,omitempty"`
	Purpose                       string   `yaml:"purpose,omitempty" json:"purpose,omitempty"`
	ProcessingActivities          string   `yaml:"processing_activities,omitempty" json:"processing_activities,omitempty"`
	AuthorizedParties             string   `yaml:"authorized_parties,omitempty" json:"authorized_parties,omitempty"`
	Lifecycle                     string   `yaml:"lifecycle,omitempty" json:"lifecycle,omitempty"`
	SecureCommunicationMechanisms []string `yaml:"secure_communication_mechanisms,omitempty" json:"secure_communication_mechanisms,omitempty" rows:"11-SecComMech"`
	ObtainingConsent              string   `yaml:"obtaining_consent,omitempty" json:"obtaining_consent,omitempty"`
	WithdrawingConsent            string   `yaml:"withdrawing_consent,omitempty" json:"withdrawing_consent,omitempty"`
	StoringConsent                string   `yaml:"storing_consent,omitempty" json:"storing_consent,omitempty"`
	Aggregation                   string   `yaml:"aggregation,omitempty" json:"aggregation,omitempty"`
	Anonymization                 string   `yaml:"anonymization,omitempty" json:"anonymization,omitempty"`

	StoredAs []string   `yaml:"stored_as,omitempty" json:"stored_as,omitempty" form:"name" eg:"email"`
	Contacts []Endpoint `yaml:"contacts,omitempty" json:"contacts,omitempty"`
}

// ExtSens is a row of table 22: external sensing capabilities.
type ExtSens struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// ResMech is a row of table 23: resilience mechanisms.
type ResMech struct {
	ID                 string `yaml:"id" json:"id"`
	Description        string `yaml:"description" json:"description"`
	Type               string `yaml:"type,omitempty" json:"type,omitempty" enum:"network|power"`
	SecurityGuarantees string `yaml:"security_guarantees,omitempty" json:"security_guarantees,omitempty"`

	RecoversSeconds int `yaml:"recovers_seconds,omitempty" json:"recovers_seconds,omitempty" range:"0-86400" eg:"30"`
}

// TelData is a row of table 24: telemetry data.
type TelData struct {
	ID                  string   `yaml:"id" json:"id"`
	Description         string   `yaml:"description" json:"description"`
	Purpose             string   `yaml:"purpose,omitempty" json:"purpose,omitempty"`
	SecurityExamination string   `yaml:"security_examination,omitempty" json:"security_examination,omitempty"`
	PersonalData        []string `yaml:"personal_data,omitempty" json:"personal_data,omitempty" rows:"21-PersData"`

	Contacts []Endpoint `yaml:"contacts,omitempty" json:"contacts,omitempty"`
}

// DelFunc is a row of table 25: deletion functions.
type DelFunc struct {
	ID                       string `yaml:"id" json:"id"`
	Description              string `yaml:"description" json:"description"`
	TargetType               string `yaml:"target_type,omitempty" json:"target_type,omitempty" enum:"device|service|both"`
	InitiationAndInteraction string `yaml:"initiation_and_interaction,omitempty" json:"initiation_and_interaction,omitempty"`
	Confirmation             string `yaml:"confirmation,omitempty" json:"confirmation,omitempty"`

	By string `yaml:"by,omitempty" json:"by,omitempty" eg:"command"`
}

// UserDec is a row of table 26: security-relevant user decisions in setup and maintenance.
type UserDec struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
	Options     string `yaml:"options,omitempty" json:"options,omitempty"`
	TriggeredBy string `yaml:"triggered_by,omitempty" json:"triggered_by,omitempty"`
}

// UserIntf is a row of table 27: user interfaces for data input.
type UserIntf struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
	Type        string `yaml:"type,omitempty" json:"type,omitempty"`

	Interface string `yaml:"interface,omitempty" json:"interface,omitempty" eg:"http"`
}

// LogIntf is a row of table 28: logical interfaces.
type LogIntf struct {
	ID                   string `yaml:"id" json:"id"`
	Description          string `yaml:"description" json:"description"`
	Access               string `yaml:"access,omitempty" json:"access,omitempty"`
	Status               string `yaml:"status,omitempty" json:"status,omitempty" enum:"enabled|disabled"`
	DisclosedInformation string `yaml:"disclosed_information,omitempty" json:"disclosed_information,omitempty"`
	ResilienceMeasures   string `yaml:"resilience_measures,omitempty" json:"resilience_measures,omitempty"`

	Interface string     `yaml:"interface,omitempty" json:"interface,omitempty" eg:"http"`
	Listens   []Socket   `yaml:"listens,omitempty" json:"listens,omitempty"`
	Contacts  []Endpoint `yaml:"contacts,omitempty" json:"contacts,omitempty"`
}

// InpVal is a row of table 29: input validation methods.
type InpVal struct {
	ID          string   `yaml:"id" json:"id"`
	Description string   `yaml:"description" json:"description"`
	Source      []string `yaml:"source,omitempty" json:"source,omitempty" rows:"27-UserIntf|28-LogIntf"`
}
