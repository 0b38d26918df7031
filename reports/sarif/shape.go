package sarif

// The shapes of SARIF 2.1.0 that are written, by the names of its schema.
type (
	log struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}
	run struct {
		Tool        tool           `json:"tool"`
		Automation  automation     `json:"automationDetails"`
		Invocations []invocation   `json:"invocations"`
		Artifacts   []artifact     `json:"artifacts,omitempty"`
		Results     []result       `json:"results"`
		Properties  map[string]any `json:"properties"`
	}
	tool struct {
		Driver driver `json:"driver"`
	}
	driver struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
		Rules   []rule `json:"rules"`
	}
	rule struct {
		ID            string         `json:"id"`
		Name          string         `json:"name"`
		Short         message        `json:"shortDescription"`
		Full          message        `json:"fullDescription"`
		Help          message        `json:"help"`
		Configuration configuration  `json:"defaultConfiguration"`
		Properties    map[string]any `json:"properties"`
	}
	configuration struct {
		Level string `json:"level"`
	}
	message struct {
		Text string `json:"text"`
	}
	automation struct {
		ID   string `json:"id"`
		GUID string `json:"guid"`
	}
	invocation struct {
		Successful bool           `json:"executionSuccessful"`
		Start      string         `json:"startTimeUtc"`
		End        string         `json:"endTimeUtc,omitempty"`
		Notes      []notification `json:"toolExecutionNotifications,omitempty"`
	}
	notification struct {
		Level   string  `json:"level"`
		Message message `json:"message"`
	}
	artifact struct {
		Location artifactLocation  `json:"location"`
		Length   int64             `json:"length"`
		Type     string            `json:"mimeType,omitempty"`
		Hashes   map[string]string `json:"hashes"`
	}
	artifactLocation struct {
		URI   string `json:"uri"`
		Index *int   `json:"index,omitempty"`
	}
	result struct {
		Rule         string            `json:"ruleId"`
		Index        int               `json:"ruleIndex"`
		Kind         string            `json:"kind"`
		Level        string            `json:"level"` // none unless kind is fail: SARIF 3.27.10
		Message      message           `json:"message"`
		Locations    []location        `json:"locations"`
		Prints       map[string]string `json:"partialFingerprints"`
		Suppressions []suppression     `json:"suppressions,omitempty"`
		Properties   map[string]any    `json:"properties"`
	}
	location struct {
		Physical *physicalLocation `json:"physicalLocation,omitempty"`
		Logical  []logical         `json:"logicalLocations,omitempty"`
		Message  *message          `json:"message,omitempty"`
	}
	physicalLocation struct {
		Artifact artifactLocation `json:"artifactLocation"`
	}
	logical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	suppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)
