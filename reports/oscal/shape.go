package oscal

// The shapes of OSCAL assessment-results 1.2 that are written, by the names of its schema. Objects there are
// closed: what is ours goes into props.
type (
	document struct {
		Results assessment `json:"assessment-results"`
	}
	assessment struct {
		UUID     string      `json:"uuid"`
		Metadata metadata    `json:"metadata"`
		ImportAP href        `json:"import-ap"`
		Results  []result    `json:"results"`
		Back     *backMatter `json:"back-matter,omitempty"`
	}
	metadata struct {
		Title    string  `json:"title"`
		Modified string  `json:"last-modified"`
		Version  string  `json:"version"`
		OSCAL    string  `json:"oscal-version"`
		Props    []prop  `json:"props,omitempty"`
		Parties  []party `json:"parties,omitempty"`
		Remarks  string  `json:"remarks,omitempty"`
	}
	prop struct {
		Name  string `json:"name"`
		NS    string `json:"ns"`
		Value string `json:"value"`
	}
	party struct {
		UUID string `json:"uuid"`
		Type string `json:"type"`
		Name string `json:"name"`
	}
	href struct {
		Href string `json:"href"`
	}
	result struct {
		UUID         string        `json:"uuid"`
		Title        string        `json:"title"`
		Description  string        `json:"description"`
		Start        string        `json:"start"`
		End          string        `json:"end,omitempty"`
		Props        []prop        `json:"props"`
		Local        *local        `json:"local-definitions"`
		Reviewed     reviewed      `json:"reviewed-controls"`
		Observations []observation `json:"observations,omitempty"`
		Findings     []finding     `json:"findings,omitempty"`
		Remarks      string        `json:"remarks,omitempty"`
	}
	local struct {
		Items  []item `json:"inventory-items"`
		Assets assets `json:"assessment-assets"`
	}
	item struct {
		UUID        string `json:"uuid"`
		Description string `json:"description"`
		Props       []prop `json:"props,omitempty"`
	}
	assets struct {
		Components []component `json:"components"`
		Platforms  []platform  `json:"assessment-platforms"`
	}
	component struct {
		UUID        string `json:"uuid"`
		Type        string `json:"type"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Status      state  `json:"status"`
	}
	platform struct {
		UUID  string          `json:"uuid"`
		Title string          `json:"title"`
		Uses  []usedComponent `json:"uses-components"`
	}
	usedComponent struct {
		UUID string `json:"component-uuid"`
	}
	state struct {
		State  string `json:"state"`
		Reason string `json:"reason,omitempty"`
	}
	reviewed struct {
		Selections []selection `json:"control-selections"`
	}
	selection struct {
		Description string    `json:"description"`
		All         *struct{} `json:"include-all,omitempty"`
		Include     []control `json:"include-controls,omitempty"`
		Exclude     []control `json:"exclude-controls,omitempty"`
		Remarks     string    `json:"remarks,omitempty"`
	}
	control struct {
		ID string `json:"control-id"`
	}
	observation struct {
		UUID        string     `json:"uuid"`
		Title       string     `json:"title"`
		Description string     `json:"description"`
		Props       []prop     `json:"props"`
		Methods     []string   `json:"methods"`
		Types       []string   `json:"types"`
		Origins     []origin   `json:"origins"`
		Subjects    []subject  `json:"subjects,omitempty"`
		Evidence    []evidence `json:"relevant-evidence,omitempty"`
		Collected   string     `json:"collected"`
		Expires     string     `json:"expires,omitempty"`
		Remarks     string     `json:"remarks,omitempty"`
	}
	origin struct {
		Actors []actor `json:"actors"`
	}
	actor struct {
		Type string `json:"type"`
		UUID string `json:"actor-uuid"`
	}
	subject struct {
		UUID string `json:"subject-uuid"`
		Type string `json:"type"`
	}
	evidence struct {
		Href        string `json:"href"`
		Description string `json:"description"`
	}
	finding struct {
		UUID         string    `json:"uuid"`
		Title        string    `json:"title"`
		Description  string    `json:"description"`
		Props        []prop    `json:"props"`
		Target       target    `json:"target"`
		Observations []related `json:"related-observations,omitempty"`
		Remarks      string    `json:"remarks,omitempty"`
	}
	target struct {
		Type   string `json:"type"`
		ID     string `json:"target-id"`
		Status state  `json:"status"`
	}
	related struct {
		UUID string `json:"observation-uuid"`
	}
	backMatter struct {
		Resources []resource `json:"resources"`
	}
	resource struct {
		UUID        string  `json:"uuid"`
		Title       string  `json:"title"`
		Description string  `json:"description,omitempty"`
		Links       []rlink `json:"rlinks,omitempty"`
	}
	rlink struct {
		Href   string `json:"href"`
		Type   string `json:"media-type,omitempty"`
		Hashes []hash `json:"hashes,omitempty"`
	}
	hash struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"value"`
	}
)
