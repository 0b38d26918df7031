package profiles

import (
	"io/fs"
	"regexp"

	"assay/profiles/strict"
)

// A Feature is one thing that a product may have or lack and that conditions ask
// about. Every feature is worded so that having it means more questions: what a dossier
// does not mention counts as present and is asked.
type Feature struct {
	Name    string `yaml:"name" json:"name"`
	ETSI    string `yaml:"etsi,omitempty" json:"etsi,omitempty"` // letter or number of ETSI EN 303 645 V3.1.3, e.g. "feature a"
	Meaning string `yaml:"meaning" json:"meaning"`
}

type vocabulary struct {
	Assay    string    `yaml:"assay"`
	Features []Feature `yaml:"features"`
}

const featuresFile = "features.yaml"

// Features lists the features that conditions and dossiers may name.
func Features() ([]Feature, error) {
	b, err := fs.ReadFile(embedded, featuresFile)
	if err != nil {
		return nil, err
	}
	return parseFeatures(featuresFile, b)
}

var featureName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func parseFeatures(name string, b []byte) ([]Feature, error) {
	doc, err := strict.Parse(name, b)
	if err != nil {
		return nil, err
	}
	var v vocabulary
	if err := doc.Decode(&v); err != nil {
		return nil, err
	}
	line(doc, v.Assay, "features/v1")
	seen := map[string]bool{}
	for i, f := range v.Features {
		key := at("features", i)
		switch {
		case !featureName.MatchString(f.Name):
			doc.Complain(key+".name", "%q is not a feature's name: use lower case, digits and _", f.Name)
		case seen[f.Name]:
			doc.Complain(key+".name", "there is another feature %q", f.Name)
		}
		if f.Meaning == "" {
			doc.Complain(key, "has no meaning: say in a sentence what having it means")
		}
		seen[f.Name] = true
	}
	return v.Features, doc.Err()
}
