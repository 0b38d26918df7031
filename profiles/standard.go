package profiles

// A Standard is requirements with the standard's own ids; titles and questions are our words.
type Standard struct {
	Assay        string        `yaml:"assay" json:"assay"` // "standard/v2"
	ID           string        `yaml:"id" json:"id"`
	Title        string        `yaml:"title" json:"title"`
	Edition      string        `yaml:"edition" json:"edition"`
	Published    string        `yaml:"published,omitempty" json:"published,omitempty"`
	Tests        string        `yaml:"tests,omitempty" json:"tests,omitempty"` // the test specification that its cases are of
	Note         string        `yaml:"note,omitempty" json:"note,omitempty"`
	ICS          bool          `yaml:"ics,omitempty" json:"ics,omitempty"`             // the dossier's ICS claims its requirements, one by one
	Reference    bool          `yaml:"reference,omitempty" json:"reference,omitempty"` // ids to refer to: no profile may run it
	Sources      []Source      `yaml:"sources,omitempty" json:"sources,omitempty"`
	Parts        []Part        `yaml:"parts,omitempty" json:"parts,omitempty"`
	Restrictions []Restriction `yaml:"restrictions,omitempty" json:"restrictions,omitempty"`
	Requirements []Requirement `yaml:"requirements" json:"requirements"`
}

// A Source is where our knowledge of a standard is from.
type Source struct {
	Key   string `yaml:"key" json:"key"`
	What  string `yaml:"what" json:"what"`
	Trust string `yaml:"trust,omitempty" json:"trust,omitempty"`
}

// A Part is what a profile may choose from a standard: a clause, a volume, a level.
type Part struct {
	ID    string `yaml:"id" json:"id"`
	Title string `yaml:"title" json:"title"`
}

// A Restriction limits what a verdict may be used for. It is printed beside the verdicts it
// touches; one that no requirement names touches the whole standard.
type Restriction struct {
	ID          string `yaml:"id" json:"id"`
	Effect      string `yaml:"effect" json:"effect"`
	Consequence string `yaml:"consequence,omitempty" json:"consequence,omitempty"`
	Certainty   string `yaml:"certainty" json:"certainty"`
}

// A Requirement is one provision and the test cases that ask for it.
type Requirement struct {
	ID           string   `yaml:"id" json:"id"`
	Title        string   `yaml:"title" json:"title"`
	Level        string   `yaml:"level" json:"level"`                             // mandatory or recommended
	Status       string   `yaml:"status,omitempty" json:"status,omitempty"`       // the standard's own code, e.g. "M F (a)"
	Parts        []string `yaml:"parts,omitempty" json:"parts,omitempty"`         // of the standard
	Condition    string   `yaml:"condition,omitempty" json:"condition,omitempty"` // in words
	Applies      string   `yaml:"applies,omitempty" json:"applies,omitempty"`     // CEL over features, e.g. features.passwords
	Certainty    string   `yaml:"certainty" json:"certainty"`                     // verified or recalled
	Source       []string `yaml:"source,omitempty" json:"source,omitempty"`
	Restrictions []string `yaml:"restrictions,omitempty" json:"restrictions,omitempty"`
	Information  []string `yaml:"information,omitempty" json:"information,omitempty"` // what the standard wants told, by its ids
	Note         string   `yaml:"note,omitempty" json:"note,omitempty"`
	Cases        []Case   `yaml:"cases,omitempty" json:"cases,omitempty"`
}

// Checks lists the checks that answer units of the requirement, each once, in their order.
func (r Requirement) Checks() []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range r.Cases {
		for _, u := range c.Units {
			for _, id := range u.Checks {
				if !seen[id] {
					seen[id] = true
					out = append(out, id)
				}
			}
		}
	}
	return out
}

// The kinds of a test case. The last two are EN 18031's: is nothing left undocumented, and does
// what is documented really work.
const (
	Conceptual   = "conceptual"
	Functional   = "functional"
	Completeness = "completeness"
	Sufficiency  = "sufficiency"
)

// A Case is one test case or assessment of a requirement.
type Case struct {
	ID        string   `yaml:"id" json:"id"`
	Kind      string   `yaml:"kind" json:"kind"`
	IXIT      []string `yaml:"ixit,omitempty" json:"ixit,omitempty"`   // tables it compares, e.g. 7-UpdMech
	Needs     string   `yaml:"needs,omitempty" json:"needs,omitempty"` // in words: units, state
	Certainty string   `yaml:"certainty,omitempty" json:"certainty,omitempty"`
	Verdicts  string   `yaml:"verdicts,omitempty" json:"verdicts,omitempty"` // how the tree's outcomes are summed up: A or B
	Tree      []Node   `yaml:"tree,omitempty" json:"tree,omitempty"`
	Units     []Unit   `yaml:"units" json:"units"`
}

// A Unit is the smallest question of a test case. Checks answer it, a review does, both do, or
// nothing does yet.
type Unit struct {
	ID       string   `yaml:"id" json:"id"`
	Asks     string   `yaml:"asks" json:"asks"`
	Category string   `yaml:"category,omitempty" json:"category,omitempty"` // the implementation category that it is about
	Checks   []string `yaml:"checks,omitempty" json:"checks,omitempty"`
	Review   Class    `yaml:"review,omitempty" json:"review,omitempty"` // what a named person's answer rests on
}

// A Node is one question of a decision tree. Yes and No lead to another node's id or to an outcome.
type Node struct {
	ID   string `yaml:"id" json:"id"`
	Asks string `yaml:"asks" json:"asks"`
	Yes  string `yaml:"yes" json:"yes"`
	No   string `yaml:"no" json:"no"`
}

// The outcomes of a decision tree.
const (
	OutcomePass          = "PASS"
	OutcomeFail          = "FAIL"
	OutcomeNotApplicable = "NA"
)
