package dossier

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// IXIT holds the tables of TS 103 701 V2.1.1 by their own names. Tables 2, 4 and 9 are one
// record each, all others have rows with an id. Text is what people read; the fields beside it
// are what machines compare with what they see.
type IXIT struct {
	AuthMech   []AuthMech   `yaml:"1-AuthMech,omitempty" json:"1-AuthMech,omitempty"`
	UserInfo   *UserInfo    `yaml:"2-UserInfo,omitempty" json:"2-UserInfo,omitempty"`
	VulnTypes  []VulnTypes  `yaml:"3-VulnTypes,omitempty" json:"3-VulnTypes,omitempty"`
	Conf       *Conf        `yaml:"4-Conf,omitempty" json:"4-Conf,omitempty"`
	VulnMon    []VulnMon    `yaml:"5-VulnMon,omitempty" json:"5-VulnMon,omitempty"`
	SoftComp   []SoftComp   `yaml:"6-SoftComp,omitempty" json:"6-SoftComp,omitempty"`
	UpdMech    []UpdMech    `yaml:"7-UpdMech,omitempty" json:"7-UpdMech,omitempty"`
	UpdProc    []UpdProc    `yaml:"8-UpdProc,omitempty" json:"8-UpdProc,omitempty"`
	ReplSup    *ReplSup     `yaml:"9-ReplSup,omitempty" json:"9-ReplSup,omitempty"`
	SecParam   []SecParam   `yaml:"10-SecParam,omitempty" json:"10-SecParam,omitempty"`
	SecComMech []SecComMech `yaml:"11-SecComMech,omitempty" json:"11-SecComMech,omitempty"`
	NetSecImpl []NetSecImpl `yaml:"12-NetSecImpl,omitempty" json:"12-NetSecImpl,omitempty"`
	SoftServ   []SoftServ   `yaml:"13-SoftServ,omitempty" json:"13-SoftServ,omitempty"`
	SecMgmt    []SecMgmt    `yaml:"14-SecMgmt,omitempty" json:"14-SecMgmt,omitempty"`
	PhyIntf    []PhyIntf    `yaml:"15-PhyIntf,omitempty" json:"15-PhyIntf,omitempty"`
	CodeMin    []CodeMin    `yaml:"16-CodeMin,omitempty" json:"16-CodeMin,omitempty"`
	PrivlCtrl  []PrivlCtrl  `yaml:"17-PrivlCtrl,omitempty" json:"17-PrivlCtrl,omitempty"`
	AccCtrl    []AccCtrl    `yaml:"18-AccCtrl,omitempty" json:"18-AccCtrl,omitempty"`
	SecDev     []SecDev     `yaml:"19-SecDev,omitempty" json:"19-SecDev,omitempty"`
	SecBoot    []SecBoot    `yaml:"20-SecBoot,omitempty" json:"20-SecBoot,omitempty"`
	PersData   []PersData   `yaml:"21-PersData,omitempty" json:"21-PersData,omitempty"`
	ExtSens    []ExtSens    `yaml:"22-ExtSens,omitempty" json:"22-ExtSens,omitempty"`
	ResMech    []ResMech    `yaml:"23-ResMech,omitempty" json:"23-ResMech,omitempty"`
	TelData    []TelData    `yaml:"24-TelData,omitempty" json:"24-TelData,omitempty"`
	DelFunc    []DelFunc    `yaml:"25-DelFunc,omitempty" json:"25-DelFunc,omitempty"`
	UserDec    []UserDec    `yaml:"26-UserDec,omitempty" json:"26-UserDec,omitempty"`
	UserIntf   []UserIntf   `yaml:"27-UserIntf,omitempty" json:"27-UserIntf,omitempty"`
	LogIntf    []LogIntf    `yaml:"28-LogIntf,omitempty" json:"28-LogIntf,omitempty"`
	InpVal     []InpVal     `yaml:"29-InpVal,omitempty" json:"29-InpVal,omitempty"`
}

// A row is one row of any table, or the record of a table that has one, as addresses and checks see it.
type row struct {
	table, id string // a record has no id
	key       string // in the file
	value     reflect.Value
}

// address is what findings and operations point at, e.g. 7-UpdMech/UpdMech-1, or 2-UserInfo.
func (r row) address() string {
	if r.id == "" {
		return r.table
	}
	return r.table + "/" + r.id
}

// all lists every row of every table, in the order of the standard.
func (x IXIT) all() []row {
	var rows []row
	v := reflect.ValueOf(x)
	for _, f := range fieldsOf(v.Type()) {
		table := v.Field(f.index)
		if table.Kind() == reflect.Pointer {
			if !table.IsNil() {
				rows = append(rows, row{f.name, "", "ixit." + f.name, table.Elem()})
			}
			continue
		}
		for i := range table.Len() {
			one := table.Index(i)
			rows = append(rows, row{f.name, one.FieldByName("ID").String(), fmt.Sprintf("ixit.%s[%d]", f.name, i), one})
		}
	}
	return rows
}

// Tables lists the names of the tables, in the order of the standard.
func Tables() []string {
	var names []string
	for _, f := range fieldsOf(reflect.TypeFor[IXIT]()) {
		names = append(names, f.name)
	}
	return names
}

// Row resolves an address, e.g. 7-UpdMech/UpdMech-1, or 2-UserInfo for a table that is one record.
func (d *Dossier) Row(address string) (table, id string, ok bool) {
	for _, r := range d.IXIT.all() {
		if r.address() == address && (r.id != "" || r.single()) {
			return r.table, r.id, true
		}
	}
	return "", "", false
}

// single tells a record from a row whose id was forgotten.
func (r row) single() bool { return !r.value.FieldByName("ID").IsValid() }

// matched are the parameters of probes that rows speak of, by the same names.
var matched = []string{"interface", "via", "by"}

// Rows lists the addresses of a table's rows that speak of a probe's parameters, e.g.
// 7-UpdMech/UpdMech-1 for via=https. Empty means that the maker declared nothing about it.
func (d *Dossier) Rows(table string, parameters map[string]string) []string {
	rows := d.IXIT.all()
	var out []string
	for _, r := range rows {
		if r.table == table && slices.ContainsFunc(matched, func(name string) bool {
			want := parameters[name]
			return want != "" && slices.Contains(r.says(name, rows), want)
		}) {
			out = append(out, r.address())
		}
	}
	return out
}

// says lists what a row has to say under a key. Where that are other rows, what those say counts too: a row of
// table 11 speaks of the interface http if it runs over a logical interface that does.
func (r row) says(name string, rows []row) []string {
	for _, f := range fieldsOf(r.value.Type()) {
		if f.name != name {
			continue
		}
		said := list(r.value.Field(f.index))
		if len(f.rows) == 0 {
			return said
		}
		out := slices.Clone(said)
		for _, id := range said {
			for _, other := range rows {
				if slices.Contains(f.rows, other.table) && (other.id == id || other.address() == id) {
					out = append(out, other.says(name, nil)...)
				}
			}
		}
		return out
	}
	return nil
}

// list reads a text or a list of texts.
func list(v reflect.Value) []string {
	if v.Kind() == reflect.String {
		return []string{v.String()}
	}
	texts, _ := v.Interface().([]string)
	return texts
}

// Lacks tells whether the dossier denies a feature, and why. A denial without a reason is
// no justification.
func (d *Dossier) Lacks(feature string) (because string, denied bool) {
	f, ok := d.Features[feature]
	return f.Because, ok && !f.Present
}

// Spared tells whether the dossier denies a feature with a reason: only then are its
// questions spared.
func (d *Dossier) Spared(feature string) bool {
	because, denied := d.Lacks(feature)
	return denied && Reasoned(because)
}

// Reasoned tells whether somebody wrote a reason.
func Reasoned(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && text != Placeholder
}
