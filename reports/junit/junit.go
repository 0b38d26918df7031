// Package junit writes a report as JUnit XML, which every CI reads: a suite for every standard, a case for
// every requirement, and one for the statement. A fail is a failure, an inconclusive an error, so that a
// build that could not be judged is as red as one that failed; only what does not apply is skipped.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"assay/profiles"
	"assay/reports"
	"assay/reports/verdict"
)

type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Suites   []suite  `xml:"testsuite"`
	}
	suite struct {
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`
		Timestamp  string     `xml:"timestamp,attr"`
		Properties []property `xml:"properties>property,omitempty"`
		Cases      []testcase `xml:"testcase"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Time    string   `xml:"time,attr"`
		Failure *outcome `xml:"failure,omitempty"`
		Error   *outcome `xml:"error,omitempty"`
		Skipped *outcome `xml:"skipped,omitempty"`
		Out     string   `xml:"system-out,omitempty"`
	}
	outcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

const most = 1000 // characters of one message

// Write renders the report.
func Write(w io.Writer, r *reports.Report) error {
	out := suites{Name: plain("assay " + r.Run)}
	for _, p := range r.Profiles {
		for _, g := range reports.ByStandard(p) {
			s := suite{Name: plain(strings.TrimSpace(g.ID + " " + g.Edition)), Properties: properties(r, p)}
			for _, q := range g.Requirements {
				s.add(caseOf(r, q))
			}
			out.add(r, s)
		}
		s := suite{Name: plain("profile " + p.ID), Properties: properties(r, p)}
		s.add(statement(p))
		out.add(r, s)
	}
	if len(r.Profiles) == 0 { // no case at all would be green
		s := suite{Name: "profile"}
		s.add(testcase{Class: "profile", Name: "conformity", Error: &outcome{Message: "no profile was judged", Type: string(verdict.Inconclusive)}})
		out.add(r, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write report %s as JUnit XML: %w", r.Run, err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write report %s as JUnit XML: %w", r.Run, err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("write report %s as JUnit XML: %w", r.Run, err)
	}
	return nil
}

func (s *suite) add(c testcase) {
	if c.Time == "" {
		c.Time = "0"
	}
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func (o *suites) add(r *reports.Report, s suite) {
	s.Time, s.Timestamp = "0", r.Started.UTC().Format("2006-01-02T15:04:05")
	o.Tests, o.Failures, o.Errors, o.Skipped = o.Tests+s.Tests, o.Failures+s.Failures, o.Errors+s.Errors, o.Skipped+s.Skipped
	o.Suites = append(o.Suites, s)
}

// statement is the profile's conformity as a case of its own: what no requirement tells, as that one was left
// out, still shows.
func statement(p verdict.Result) testcase {
	c := testcase{Class: plain("profile." + p.ID), Name: plain("conformity to " + p.ID + " version " + p.Version), Out: plain(p.Reason)}
	switch p.Conformity {
	case verdict.Conformant, verdict.ConformantWithWaivers:
		c.Out = plain(string(p.Conformity) + ": " + p.Reason)
	case verdict.NonConformant:
		c.Failure = &outcome{Message: plain(p.Reason), Type: string(p.Conformity)}
	default:
		c.Error = &outcome{Message: plain(p.Reason), Type: plain(string(verdict.Incomplete))}
	}
	if left := p.Omitted.String(); left != "" {
		c.Out += plain("; " + left + "; " + reports.PartOnly)
	}
	return c
}

func caseOf(r *reports.Report, q verdict.Requirement) testcase {
	c := testcase{Class: plain(q.Standard), Name: plain(q.ID + " " + q.Title), Time: seconds(r, q)}
	o := &outcome{Message: plain(q.Reason), Type: string(reports.Closed(q.Verdict)), Text: multiline(detail(r, q))}
	if q.Level == profiles.Recommended {
		o.Type += ", recommended"
	}
	if q.Waived {
		o.Type += ", waived"
	}
	switch reports.Closed(q.Verdict) {
	case verdict.Pass:
		c.Out = multiline(detail(r, q))
	case verdict.Fail:
		c.Failure = o
	case verdict.NotApplicable:
		c.Skipped = &outcome{Message: plain("not applicable: " + q.Reason)}
	default:
		c.Error = o
	}
	return c
}

// seconds is how long the device was asked for a requirement.
func seconds(r *reports.Report, q verdict.Requirement) string {
	sum := 0.0
	seen := map[string]bool{}
	for _, c := range q.Checks {
		for _, o := range r.Observations {
			if o.ID == c.Observation && !seen[o.ID] {
				seen[o.ID] = true
				sum += o.End.Sub(o.Start).Seconds()
			}
		}
	}
	return fmt.Sprintf("%.3f", sum)
}

// detail is a line for each check and each open unit.
func detail(r *reports.Report, q verdict.Requirement) []string {
	var out []string
	for _, c := range q.Checks {
		l := fmt.Sprintf("%s %s: %s", reports.Closed(c.Verdict), c.ID, c.Reason)
		if frames := r.Frame(c.Observation); frames != "" {
			l += " (" + c.Observation + ", " + frames + ")"
		}
		if reports.Closed(c.Verdict) == verdict.Fail && c.Remedy != "" {
			l += " To mend: " + c.Remedy
		}
		out = append(out, l)
	}
	for _, u := range reports.NoReview(q) {
		out = append(out, "no review is on record of "+u)
	}
	for _, u := range reports.NoAnswer(q) {
		out = append(out, "nothing answers "+u+" yet")
	}
	return out
}

func properties(r *reports.Report, p verdict.Result) []property {
	return []property{{"run", plain(r.Run)}, {"device", plain(r.Device.Item())}, {"profile", plain(p.ID + " version " + p.Version)}, {"conformity", plain(string(p.Conformity))}, {"tool", plain(r.Tested())}, {"bench", plain(r.Proven())}, {"amended-through", plain(r.Through.String())}}
}

func plain(s string) string { return reports.Clip(s, most) }

func multiline(lines []string) string {
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}
