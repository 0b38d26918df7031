package format

// A Finding is a weakness of the signing itself, told whether or not the image verifies.
type Finding struct {
	ID     string `json:"id"`     // weak-key, weak-digest ...
	What   string `json:"what"`   // rsa-1024, sha1
	Says   string `json:"says"`   // one sentence
	Source string `json:"source"` // the rule, its edition and date
}
