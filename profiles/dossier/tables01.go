package dossier

// Tables 1 to 10 of TS 103 701 V2.1.1. What stands below the blank line of a row is beside the
// standard's own fields, for machines; meanings.yaml says what each field is for.

// AuthMech is a row of table 1: authentication mechanisms of users to the device and machine to machine.
type AuthMech struct {
	ID                          string `yaml:"id" json:"id"`
	Description                 string `yaml:"description" json:"description"`
	AuthenticationFactor        string `yaml:"authentication_factor,omitempty" json:"authentication_factor,omitempty"`
	PasswordGenerationMechanism string `yaml:"password_generation_mechanism,omitempty" json:"password_generation_mechanism,omitempty"`
	SecurityGuarantees          string `yaml:"security_guarantees,omitempty" json:"security_guarantees,omitempty"`
	CryptographicDetails        string `yaml:"cryptographic_details,omitempty" json:"cryptographic_details,omitempty"`
	BruteForcePrevention        string `yaml:"brute_force_prevention,omitempty" json:"brute_force_prevention,omitempty"`

	Interface        string   `yaml:"interface,omitempty" json:"interface,omitempty" eg:"http"`
	Factors          []string `yaml:"factors,omitempty" json:"factors,omitempty" enum:"password|pin|key|certificate|token|biometric|possession"`
	Preinstalled     *bool    `yaml:"preinstalled,omitempty" json:"preinstalled,omitempty"`
	UserDefined      *bool    `yaml:"user_defined,omitempty" json:"user_defined,omitempty"`
	MachineToMachine *bool    `yaml:"machine_to_machine,omitempty" json:"machine_to_machine,omitempty"`
	PasswordLength   int      `yaml:"password_length,omitempty" json:"password_length,omitempty" range:"0-1024" eg:"12"`
	LockoutAfter     int      `yaml:"lockout_after,omitempty" json:"lockout_after,omitempty" range:"0-1000000" eg:"5"`
	LockoutSeconds   int      `yaml:"lockout_seconds,omitempty" json:"lockout_seconds,omitempty" range:"0-31536000" eg:"300"`
}

// UserInfo is the record of table 2: user documents and publications.
type UserInfo struct {
	DocumentationOfChangeMechanisms            string `yaml:"documentation_of_change_mechanisms,omitempty" json:"documentation_of_change_mechanisms,omitempty"`
	DocumentationOfSensors                     string `yaml:"documentation_of_sensors,omitempty" json:"documentation_of_sensors,omitempty"`
	DocumentationOfSecureSetup                 string `yaml:"documentation_of_secure_setup,omitempty" json:"documentation_of_secure_setup,omitempty"`
	DocumentationOfSetupCheck                  string `yaml:"documentation_of_setup_check,omitempty" json:"documentation_of_setup_check,omitempty"`
	DocumentationOfMaintenanceCheck            string `yaml:"documentation_of_maintenance_check,omitempty" json:"documentation_of_maintenance_check,omitempty"`
	DocumentationOfPersonalData                string `yaml:"documentation_of_personal_data,omitempty" json:"documentation_of_personal_data,omitempty"`
	DocumentationOfTelemetryData               string `yaml:"documentation_of_telemetry_data,omitempty" json:"documentation_of_telemetry_data,omitempty"`
	DocumentationOfDeletion                    string `yaml:"documentation_of_deletion,omitempty" json:"documentation_of_deletion,omitempty"`
	DocumentationOfReplacement                 string `yaml:"documentation_of_replacement,omitempty" json:"documentation_of_replacement,omitempty"`
	ModelDesignation                           string `yaml:"model_designation,omitempty" json:"model_designation,omitempty"`
	SupportPeriod                              string `yaml:"support_period,omitempty" json:"support_period,omitempty"`
	PublicationOfSupportPeriod                 string `yaml:"publication_of_support_period,omitempty" json:"publication_of_support_period,omitempty"`
	PublicationOfVulnerabilityDisclosurePolicy string `yaml:"publication_of_vulnerability_disclosure_policy,omitempty" json:"publication_of_vulnerability_disclosure_policy,omitempty"`
	PublicationOfNonUpdatable                  string `yaml:"publication_of_non_updatable,omitempty" json:"publication_of_non_updatable,omitempty"`

	SupportEnds string   `yaml:"support_ends,omitempty" json:"support_ends,omitempty" form:"date"`
	Documents   []string `yaml:"documents,omitempty" json:"documents,omitempty" rows:"documents" eg:"manual"`
}

// VulnTypes is a row of table 3: types of vulnerability and reaction.
type VulnTypes struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
	Action      string `yaml:"action,omitempty" json:"action,omitempty"`
	TimeFrame   string `yaml:"time_frame,omitempty" json:"time_frame,omitempty"`
}

// Conf is the record of table 4: confirmations by the manufacturer.
type Conf struct {
	ConfirmationOfVulnerabilityMonitoring *Answer `yaml:"confirmation_of_vulnerability_monitoring,omitempty" json:"confirmation_of_vulnerability_monitoring,omitempty"`
	ConfirmationOfVulnerabilityActions    *Answer `yaml:"confirmation_of_vulnerability_actions,omitempty" json:"confirmation_of_vulnerability_actions,omitempty"`
	ConfirmationOfUpdateProcedures        *Answer `yaml:"confirmation_of_update_procedures,omitempty" json:"confirmation_of_update_procedures,omitempty"`
	ConfirmationOfSecureManagement        *Answer `yaml:"confirmation_of_secure_management,omitempty" json:"confirmation_of_secure_management,omitempty"`
	ConfirmationOfSecureDevelopment       *Answer `yaml:"confirmation_of_secure_development,omitempty" json:"confirmation_of_secure_development,omitempty"`
}

// VulnMon is a row of table 5: ways of monitoring, identifying, rectifying vulnerabilities.
type VulnMon struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
}

// SoftComp is a row of table 6: software components.
type SoftComp struct {
	ID                 string   `yaml:"id" json:"id"`
	Description        string   `yaml:"description" json:"description"`
	UpdateMechanism    []string `yaml:"update_mechanism,omitempty" json:"update_mechanism,omitempty" rows:"7-UpdMech"`
	CryptographicUsage string   `yaml:"cryptographic_usage,omitempty" json:"cryptographic_usage,omitempty"`

	Name    string `yaml:"name,omitempty" json:"name,omitempty" eg:"mbedtls"`
	Version string `yaml:"version,omitempty" json:"version,omitempty" eg:"3.6.2"`
	PURL    string `yaml:"purl,omitempty" json:"purl,omitempty" form:"purl"`
}

// UpdMech is a row of table 7: update mechanisms.
type UpdMech struct {
	ID                       string `yaml:"id" json:"id"`
	Description              string `yaml:"description" json:"description"`
	SecurityGuarantees       string `yaml:"security_guarantees,omitempty" json:"security_guarantees,omitempty"`
	CryptographicDetails     string `yaml:"cryptographic_details,omitempty" json:"cryptographic_details,omitempty"`
	InitiationAndInteraction string `yaml:"initiation_and_interaction,omitempty" json:"initiation_and_interaction,omitempty"`
	Configuration            string `yaml:"configuration,omitempty" json:"configuration,omitempty"`
	UpdateChecking           string `yaml:"update_checking,omitempty" json:"update_checking,omitempty"`
	UserNotification         string `yaml:"user_notification,omitempty" json:"user_notification,omitempty"`

	Via       []string   `yaml:"via,omitempty" json:"via,omitempty" eg:"https"`
	Automatic *bool      `yaml:"automatic,omitempty" json:"automatic,omitempty"`
	Contacts  []Endpoint `yaml:"contacts,omitempty" json:"contacts,omitempty"`
	Keys      []Key      `yaml:"keys,omitempty" json:"keys,omitempty"`
}

// UpdProc is a row of table 8: procedures for issuing security updates.
type UpdProc struct {
	ID          string `yaml:"id" json:"id"`
	Description string `yaml:"description" json:"description"`
	TimeFrame   string `yaml:"time_frame,omitempty" json:"time_frame,omitempty"`
}

// ReplSup is the record of table 9: isolation and replacement of non-updatable devices.
type ReplSup struct {
	Isolation                    string `yaml:"isolation,omitempty" json:"isolation,omitempty"`
	HardwareReplacement          string `yaml:"hardware_replacement,omitempty" json:"hardware_replacement,omitempty"`
	ConnectivityAndFunctionality string `yaml:"connectivity_and_functionality,omitempty" json:"connectivity_and_functionality,omitempty"`
}

// SecParam is a row of table 10: sensitive security parameters in persistent storage.
type SecParam struct {
	ID                            string   `yaml:"id" json:"id"`
	Description                   string   `yaml:"description" json:"description"`
	Type                          string   `yaml:"type,omitempty" json:"type,omitempty" enum:"public|critical"`
	SecurityGuarantees            string   `yaml:"security_guarantees,omitempty" json:"security_guarantees,omitempty"`
	ProtectionScheme              string   `yaml:"protection_scheme,omitempty" json:"protection_scheme,omitempty"`
	ProvisioningMechanism         string   `yaml:"provisioning_mechanism,omitempty" json:"provisioning_mechanism,omitempty"`
	SecureCommunicationMechanisms []string `yaml:"secure_communication_mechanisms,omitempty" json:"secure_communication_mechanisms,omitempty" rows:"11-SecComMech"`
	GenerationMechanism           string   `yaml:"generation_mechanism,omitempty" json:"generation_mechanism,omitempty"`

	Unique *bool `yaml:"unique,omitempty" json:"unique,omitempty"`
	Keys   []Key `yaml:"keys,omitempty" json:"keys,omitempty"`
}
