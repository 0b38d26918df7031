package dossier_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"assay/profiles/dossier"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every field of the standard has its key; what each table has beyond them is for machines.
func TestTablesHaveTheStandardsFields(t *testing.T) {
	b, err := os.ReadFile("testdata/ixit-fields.txt")
	require.NoError(t, err)
	schema, err := dossier.Schema()
	require.NoError(t, err)
	var tables []string
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		tables = append(tables, words[0])
		_, name, _ := strings.Cut(words[0], "-")
		properties := lookUp(t, schema, "$defs", name, "properties")
		for _, field := range words[1:] {
			assert.Contains(t, properties, field, words[0])
		}
	}
	assert.Len(t, tables, 29)
	assert.Equal(t, tables, dossier.Tables())
}

func TestProvisions(t *testing.T) {
	ids := dossier.Provisions()
	assert.Len(t, ids, 78)
	assert.Equal(t, "5.0-1", ids[0])
	assert.Equal(t, "6-8", ids[77])
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 78, "each once")
}

func TestSupport(t *testing.T) {
	d, err := parse(t, "declared.yaml")
	require.NoError(t, err)
	for id, want := range map[string]struct {
		support   string
		said      bool
		justified bool
	}{
		"5.1-1":  {dossier.Supported, true, true},
		"5.1-2":  {dossier.NotSupported, true, true},
		"5.1-2A": {dossier.NotSupported, true, false},
		"5.1-3":  {dossier.NotApplicable, true, false}, // its detail is still to fill in
		"5.1-4":  {"", false, false},                   // so is its support
		"5.1-5":  {"", false, false},
	} {
		c, ok := d.Support(id)
		assert.Equal(t, want.said, ok, id)
		assert.Equal(t, want.support, c.Support, id)
		assert.Equal(t, want.justified, ok && c.Justified(), id)
	}
	_, ok := (&dossier.Dossier{}).Support("5.1-1")
	assert.False(t, ok)
	assert.False(t, d.Spared("telemetry"), "a placeholder is no reason")
}

func TestRow(t *testing.T) {
	b, err := dossier.Template()
	require.NoError(t, err)
	d, err := dossier.Parse("d.yaml", b, t.TempDir())
	require.NoError(t, err)
	for _, table := range dossier.Tables() {
		_, name, _ := strings.Cut(table, "-")
		address, want := table+"/"+name+"-1", name+"-1"
		if slices.Contains([]string{"2-UserInfo", "4-Conf", "9-ReplSup"}, table) {
			address, want = table, ""
		}
		gotTable, id, ok := d.Row(address)
		assert.True(t, ok, address)
		assert.Equal(t, table, gotTable)
		assert.Equal(t, want, id)
	}
	for _, address := range []string{"", "7-UpdMech", "7-UpdMech/", "7-UpdMech/UpdMech-2", "UpdMech-1", "2-UserInfo/UserInfo-1", "30-None/None-1"} {
		_, _, ok := d.Row(address)
		assert.False(t, ok, address)
	}
}

func TestDeclaredForMachines(t *testing.T) {
	d, err := parse(t, "declared.yaml")
	require.NoError(t, err)
	var ports []string
	for _, l := range d.Listens() {
		word := "in use"
		if !l.InUse() {
			word = "in setup"
		}
		ports = append(ports, strings.Join([]string{l.Row, l.Status, l.Protocol, word}, " "))
	}
	assert.Equal(t, []string{
		"11-SecComMech/SecComMech-1  tcp in use", "13-SoftServ/SoftServ-1 enabled tcp in use",
		"13-SoftServ/SoftServ-1 enabled tcp in setup", "13-SoftServ/SoftServ-2 disabled tcp in use",
	}, ports)
	var hosts []string
	for _, c := range d.Contacts() {
		hosts = append(hosts, c.Row+" "+c.Host)
	}
	assert.Equal(t, []string{"7-UpdMech/UpdMech-1 updates.example", "28-LogIntf/LogIntf-1 cloud.example"}, hosts)

	over := map[string]string{"interface": "http"}
	assert.Equal(t, []string{"13-SoftServ/SoftServ-1"}, d.Rows("13-SoftServ", over))
	assert.Equal(t, []string{"11-SecComMech/SecComMech-1"}, d.Rows("11-SecComMech", over), "by the logical interface that it runs over")
	assert.Empty(t, d.Rows("11-SecComMech", map[string]string{"interface": "mqtt"}))
	assert.Empty(t, d.Rows("28-LogIntf", map[string]string{"interface": ""}), "nothing is no parameter")
}

func TestNotes(t *testing.T) {
	d, err := parse(t, "declared.yaml")
	require.NoError(t, err)
	var notes []string
	for _, n := range d.Notes() {
		notes = append(notes, n.Error())
	}
	assert.Equal(t, []string{
		"d.yaml:16:40: features.telemetry.because: is still to fill in",
		"d.yaml:19:3: ics.provisions: says nothing about 5.0-1, 5.1-5, 5.2-1, 5.2-2, 5.2-3, 5.3-1, 5.3-2, 5.3-3 and 65 more",
		"d.yaml:22:5: ics.provisions.5.1-2A: claims N without a justification, so it will fail: write detail",
		"d.yaml:23:35: ics.provisions.5.1-3.detail: is still to fill in",
		"d.yaml:24:22: ics.provisions.5.1-4.support: is still to fill in",
		"d.yaml:68:6: documents[2]: has neither a file nor a url, so nobody can read it",
	}, notes)

	d, err = parse(t, "valid.yaml")
	require.NoError(t, err)
	require.Len(t, d.Notes(), 1)
	assert.Equal(t, "d.yaml:23:3: features.telemetry: is denied without a reason, so what depends on it will fail: write because", d.Notes()[0].Error())
}

func TestDocuments(t *testing.T) {
	d, err := parse(t, "declared.yaml")
	require.NoError(t, err)
	const sum = "b873cce066eb02edb88d8bbb06a2b53fe97b14d93b7af43f88f5c57072a61904" // of "image one"
	assert.Equal(t, sum, d.Documents[0].SHA256, "hashed on load")
	assert.Empty(t, d.Documents[1].SHA256)
	again, err := dossier.ParseRecorded("d", d.Redacted())
	require.NoError(t, err)
	assert.Equal(t, sum, again.Documents[0].SHA256, "evidence keeps the digest")
}

// What machines match by survives redaction, even where a secret has the same letters;
// what people wrote does not keep a secret.
func TestRedactedDeclaration(t *testing.T) {
	d, err := parse(t, "declared.yaml")
	require.NoError(t, err)
	out := d.Redacted()
	assert.NotContains(t, string(out), "secret-of-label")
	again, err := dossier.ParseRecorded("d", out)
	require.NoError(t, err)
	assert.Equal(t, d.Listens(), again.Listens())
	assert.Equal(t, d.Contacts(), again.Contacts())
	assert.Equal(t, d.IXIT.UserInfo, again.IXIT.UserInfo)
	assert.Equal(t, d.IXIT.Conf, again.IXIT.Conf)
	assert.Equal(t, d.IXIT.SoftComp, again.IXIT.SoftComp)
	assert.Equal(t, d.IXIT.SecComMech, again.IXIT.SecComMech)
	c, ok := again.Support("5.1-1")
	assert.True(t, ok && c.Support == dossier.Supported, "although a password is Y")
	c, _ = again.Support("5.1-2")
	assert.Equal(t, "it is withheld on every unit", c.Detail)
	assert.Equal(t, "board B, like withheld", again.Product.Hardware)
	assert.Equal(t, "User manual, with withheld", again.Documents[0].Title)
	assert.Equal(t, "it is secret-of-label on every unit", d.ICS.Provisions["5.1-2"].Detail, "the dossier itself is left alone")
	assert.Equal(t, "User manual, with secret-of-label", d.Documents[0].Title)
	assert.Equal(t, string(out), string(again.Redacted()))
	assert.Empty(t, again.Notes(), "what is recorded is not nagged about")
}

// A row that was drafted from watching declares nothing until somebody has described it.
func TestUndescribedRowsDeclareNothing(t *testing.T) {
	for description, declared := range map[string]int{"the web page": 1, dossier.Placeholder: 0, "": 1} {
		d := &dossier.Dossier{IXIT: dossier.IXIT{LogIntf: []dossier.LogIntf{{
			ID: "LogIntf-1", Description: description, Listens: []dossier.Socket{{Protocol: "tcp", Port: 80}}, Contacts: []dossier.Endpoint{{Host: "cloud.example"}},
		}}}}
		assert.Len(t, d.Listens(), declared, "%q", description)
		assert.Len(t, d.Contacts(), declared, "%q", description)
	}
}
