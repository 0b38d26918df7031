package probes

// The operations that probes ask for by name. A dossier tells how each is done.
const (
	LoginPrefix   = "login-"  // login-http: username, password; neither: try without any credential
	UpdatePrefix  = "update-" // update-https: url
	StorePrefix   = "store-"  // store-name: value
	ReadPrefix    = "read-"   // read-name
	ResetPrefix   = "factory-reset-"
	ReadVersion   = "read-version" // captures version
	Health        = "health"
	AddAccount    = "add-account" // username, password
	Commission    = "commission"  // from factory default to in use
	ConnectPrefix = "connect-"    // connect-mqtts, connect-cloud: url; has the device call its cloud now
	Connect       = "connect-cloud"
	Reboot        = "reboot"  // starts again by itself, with everything it has
	Restore       = "restore" // back to the known state: firmware and data as delivered
	ArgUsername   = "username"
	ArgPassword   = "password"
	ArgURL        = "url"
	ArgSignature  = "signature_url" // of an image that does not carry its own
	ArgValue      = "value"
	ValueVersion  = "version"
)
