package pdf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/profiles/dossier"
	"assay/reports"
	"assay/reports/verdict"
)

// unrecorded is said of what a report must name and the record does not hold.
const unrecorded = "not recorded in the evidence"

// title is the first page: what was tested, what came of it, and what ISO/IEC 17025 asks to be named.
func (d *document) title() {
	d.SetY(top)
	d.font("", 9, dim)
	d.CellFormat(width, 5, "TEST REPORT", "", 2, "L", false, 0, "")
	d.font("B", 22, ink)
	d.SetX(left)
	for _, l := range d.lines(d.encode(reports.Clip(strings.TrimSpace(d.r.Device.Manufacturer+" "+d.r.Device.Model), 120)), width) {
		d.CellFormat(width, 10, l, "", 2, "L", false, 0, "")
	}
	d.font("", 12, dim)
	d.CellFormat(width, 6, d.encode(reports.Clip("firmware "+d.r.Device.Firmware, 80)), "", 2, "L", false, 0, "")
	d.Ln(4)
	for _, p := range d.r.Profiles {
		d.statement(p)
	}
	for _, w := range d.r.Warnings() {
		d.warning(w)
	}
	for _, block := range d.blocks() {
		d.subheading(block.name)
		for _, f := range block.fields {
			d.named(left, 42, f.Name, f.Value, f.Name == "SHA-256" || f.Name == "Journal head")
		}
	}
}

// statement is one profile's conformity in its colour.
func (d *document) statement(p verdict.Result) {
	s := styleOf(string(p.Conformity))
	d.font("", 9, ink)
	w := width - 10
	reason := d.lines(d.encode(reports.Clip(sentence(p.Reason), 420)), w)
	what := d.lines(d.encode(fmt.Sprintf("by %s (profile %s, version %s), judged as of %s: %s", p.Title, p.ID, p.Version, cmp.Or(p.Judged, "the run's day"), reports.Count(p))), w)
	var part []string
	if omitted := p.Omitted.String(); omitted != "" {
		part = d.lines(d.encode(reports.Clip(sentence(omitted)+" "+sentence(reports.PartOnly), 500)), w)
	}
	h := 13 + 4.6*float64(len(reason)+len(what)+len(part))
	d.need(h + 3)
	y := d.GetY()
	d.fill(s.ground)
	d.RoundedRect(left, y, width, h, 1.5, "1234", "F")
	d.fill(s.strong)
	d.Rect(left, y, 1.6, h, "F")
	d.SetXY(left+6, y+2)
	d.font("B", 16, s.text)
	d.CellFormat(w, 8, cmp.Or(string(p.Conformity), "no statement"), "", 2, "L", false, 0, "")
	d.font("", 9, ink)
	for _, l := range slices.Concat(what, reason, part) {
		d.SetX(left + 6)
		d.CellFormat(w, 4.6, l, "", 2, "L", false, 0, "")
	}
	d.SetY(y + h + 3)
}

func (d *document) warning(words string) {
	s := styleOf("")
	d.font("", 8.5, s.text)
	lines := d.lines(d.encode(reports.Clip(words, textMost)), width-8)
	h := 3 + 4.2*float64(len(lines))
	d.need(h + 2)
	y := d.GetY()
	d.fill(s.ground)
	d.RoundedRect(left, y, width, h, 1, "1234", "F")
	d.SetY(y + 1.5)
	for _, l := range lines {
		d.SetX(left + 4)
		d.CellFormat(width-8, 4.2, l, "", 2, "L", false, 0, "")
	}
	d.SetY(y + h + 2)
}

type block struct {
	name   string
	fields []reports.Field
}

// blocks are the report's fields, in the order in which ISO/IEC 17025 7.8.2 lists them.
func (d *document) blocks() []block {
	r := d.r
	var maker dossier.Product
	if r.Dossier != nil {
		maker = r.Dossier.Product
	}
	report := []reports.Field{
		{Name: "Report number", Value: r.Run},
		{Name: "Date", Value: r.Said().Format("2 January 2006") + ", that of the record's last entry"},
		{Name: "Laboratory", Value: laboratory(r)},
		{Name: "Tested by", Value: cmp.Or(r.Operator, unrecorded)},
		{Name: "Client", Value: cmp.Or(r.Device.Manufacturer, unrecorded)},
	}
	for _, f := range []reports.Field{{Name: "Client's address", Value: maker.Address}, {Name: "Client's contact", Value: join(maker.ContactPerson, maker.Contact)}} {
		if f.Value != "" {
			report = append(report, f)
		}
	}
	item := []reports.Field{{Name: "Item", Value: r.Device.Item()}}
	for _, f := range []reports.Field{{Name: "Description", Value: maker.Description}, {Name: "Intended function", Value: maker.IntendedFunction},
		{Name: "Hardware", Value: maker.Hardware}, {Name: "Operating system", Value: maker.OperatingSystem}} {
		if f.Value != "" {
			item = append(item, f)
		}
	}
	item = append(item, d.units()...)
	item = append(item, reports.Field{Name: "Received", Value: cmp.Or(join(r.Received, r.State), unrecorded)}, reports.Field{Name: "Tested", Value: d.period()})
	var method []reports.Field
	for _, p := range r.Profiles {
		for _, g := range reports.ByStandard(p) {
			method = append(method, reports.Field{Name: "Standard", Value: join(cmp.Or(g.Title, g.ID), g.Edition, prefixed("tested by ", g.Tests))})
		}
		method = append(method, reports.Field{Name: "Profile", Value: fmt.Sprintf("%s, version %s: %s", p.ID, p.Version, p.Title)})
	}
	method = append(method, reports.Field{Name: "Decision rule", Value: "One failed check or review fails its requirement; one that is open leaves it inconclusive; only what was asked and held passes."})
	blocks := []block{{"Report", report}, {"Item", item}, {"Method", method}, {"Environment and equipment", d.environment()}}
	if tests := r.ProvenWhen(); len(tests) > 0 {
		blocks = append(blocks, block{"The bench, tested with a known-good device", tests})
	}
	if since := r.Since(); len(since) > 0 {
		blocks = append(blocks, block{"Since the seal", since})
	}
	return blocks
}

func laboratory(r *reports.Report) string {
	if r.Lab == nil {
		return unrecorded
	}
	return join(r.Lab.Name, r.Lab.Address, prefixed("accreditation ", r.Lab.Accreditation))
}

// units are the tested specimen first, then the others that the dossier names.
func (d *document) units() []reports.Field {
	var out []reports.Field
	at := map[string]int{}
	for _, u := range d.r.Specimens() {
		at[u.ID] = len(out)
		out = append(out, reports.Field{Name: "Unit tested", Value: join(u.ID, prefixed("serial ", u.Serial), prefixed("MAC ", u.MAC))})
	}
	if d.r.Dossier == nil {
		return out
	}
	for i, other := range d.r.Dossier.Units {
		value := join(other.ID, prefixed("serial ", other.Serial), prefixed("MAC ", other.MAC), other.State)
		tested, is := at[other.ID]
		switch {
		case is:
			out[tested].Value = value
		case i < 20:
			out = append(out, reports.Field{Name: "Further unit", Value: value})
		}
	}
	return out
}

func (d *document) period() string {
	from := d.r.Started.UTC().Format("2006-01-02 15:04:05")
	if d.r.Ended == nil {
		return from + " UTC, not ended"
	}
	return fmt.Sprintf("%s to %s UTC (%s)", from, d.r.Ended.UTC().Format("2006-01-02 15:04:05"), d.r.Ended.Sub(d.r.Started).Round(time.Second))
}

// environment is the bench, the tool and what ties this document to the record.
func (d *document) environment() []reports.Field {
	r := d.r
	var out []reports.Field
	of := map[string]string{}
	for _, f := range reports.Fields(r.Bench) {
		if f.Value != "null" {
			of[f.Name] = f.Value
		}
	}
	bench := join(of["mode"], of["system"], prefixed("kernel ", of["kernel"]), prefixed("run by ", of["user"]), prefixed("capture on ", of["capture"]))
	for _, f := range []reports.Field{{Name: "Bench", Value: bench}, {Name: "Device attached", Value: of["device"]},
		{Name: "Software", Value: strings.NewReplacer(`{"`, "", `"}`, "", `":"`, " ", `","`, ", ", "github.com/", "").Replace(of["versions"])}} {
		if f.Value != "" {
			out = append(out, f)
		}
	}
	out = append(out, reports.Field{Name: "Bench proven", Value: r.Proven()}, reports.Field{Name: "Capture", Value: fmt.Sprintf("%d frames, %d lost", r.Frames, r.Dropped)},
		reports.Field{Name: "Tool", Value: join(r.Tested(), r.Tool.Go, r.Tool.OS+"/"+r.Tool.Arch)})
	if r.Tool.SHA256 != "" {
		out = append(out, reports.Field{Name: "SHA-256", Value: r.Tool.SHA256})
	}
	out = append(out, reports.Field{Name: "Evidence", Value: fmt.Sprintf("%s, %s", map[bool]string{true: "sealed", false: "not sealed"}[r.Sealed], r.SignedWith())})
	if r.Head != "" {
		out = append(out, reports.Field{Name: "Journal head", Value: r.Head})
	}
	return out
}

// join puts what is there into one line.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" || s == "/" }), ", ")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// sentence gives a reason a capital and a full stop.
func sentence(s string) string {
	r := []rune(strings.TrimSpace(s))
	if len(r) == 0 {
		return ""
	}
	s = strings.ToUpper(string(r[:1])) + string(r[1:])
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
