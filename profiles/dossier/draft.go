package dossier

import (
	"fmt"
	"strings"
	"unicode"
)

// A Guess is what somebody saw of a device and nobody has declared.
type Guess struct {
	Value string // as YAML on one line, e.g. "[TLS 1.2]"
	Seen  string // what it rests on, e.g. "seen in frame 12"; it may hold texts of the network
}

// A Row holds the guesses of one row, by key.
type Row map[string]Guess

// Guesses are what a new dossier is filled in with.
type Guesses struct {
	Head     []string          // how the draft was made, line by line
	Hint     string            // what the unit says of itself
	Unit     Row               // mac, host
	Features map[string]string // what suggests that a feature is there. Nothing can suggest that it is not.
	Rows     map[string][]Row  // by table
}

// Draft returns a dossier to fill in like Template, with guesses in it. Each is marked as one by a comment, and the
// descriptions keep the placeholder, so that no row counts as declared before somebody has described it.
func Draft(g Guesses) ([]byte, error) {
	b, err := fill(g)
	if err != nil {
		return nil, err
	}
	if _, err := Parse("draft", b, ""); err != nil {
		return nil, fmt.Errorf("draft a dossier: %w", err)
	}
	return b, nil
}

const maxComment = 400

// oneLine makes a text fit for a comment: what came from the network must not begin a line of its own.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '.'
		}
		return r
	}, text)
	if len(text) > maxComment {
		text = strings.ToValidUTF8(text[:maxComment], "") + "..."
	}
	return text
}

func (g Guess) comment() string { return "guess: " + oneLine(g.Seen) }

func (g Guesses) head() string {
	var b strings.Builder
	for _, line := range g.Head {
		b.WriteString("# " + oneLine(line) + "\n")
	}
	return b.String()
}

func (g Guesses) hint() string {
	if g.Hint == "" {
		return ""
	}
	return " # guess: " + oneLine(g.Hint)
}

// unit writes a key of the unit: as it was seen, or as a comment with an example.
func (g Guesses) unit(key, example, comment string) string {
	if seen, ok := g.Unit[key]; ok {
		return key + ": " + seen.Value + " # " + seen.comment()
	}
	return "# " + key + ": " + example + comment
}

// rows lists a table's rows; one with nothing in it where nothing was seen.
func (g Guesses) rows(table string) []Row {
	if rows := g.Rows[table]; len(rows) > 0 {
		return rows
	}
	return []Row{nil}
}
