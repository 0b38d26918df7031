// Package dossier is what the maker declares about a product, read strictly from
// one YAML file: identity, units, features, the ICS and the 29 IXIT tables of
// TS 103 701, operations, images, trust anchors and documents. It declares; it never
// observes and never judges.
package dossier

import "assay/profiles/strict"

// A Dossier is one product's declaration.
type Dossier struct {
	Assay      string               `yaml:"assay" json:"assay"` // "dossier/v1"
	Product    Product              `yaml:"product" json:"product"`
	Units      []Unit               `yaml:"units" json:"units"`
	Features   map[string]Feature   `yaml:"features,omitempty" json:"features,omitempty"`
	ICS        *ICS                 `yaml:"ics,omitempty" json:"ics,omitempty"`
	IXIT       IXIT                 `yaml:"ixit,omitempty" json:"ixit"`
	Operations map[string]Operation `yaml:"operations,omitempty" json:"operations,omitempty"`
	Images     []Image              `yaml:"images,omitempty" json:"images,omitempty"`
	Advisories *Advisories          `yaml:"advisories,omitempty" json:"advisories,omitempty"`
	Trust      []Anchor             `yaml:"trust,omitempty" json:"trust,omitempty"`
	Documents  []Document           `yaml:"documents,omitempty" json:"documents,omitempty"`
	Cloud      *Cloud               `yaml:"cloud,omitempty" json:"cloud,omitempty"`

	// Withheld marks a copy without its secrets, as evidence carries it: it can be judged, not run.
	Withheld bool `yaml:"withheld,omitempty" json:"withheld,omitempty"`

	// Dir is the folder that relative file names are meant from. Source is the name of the file.
	Dir    string `yaml:"-" json:"-"`
	Source string `yaml:"-" json:"-"`

	notes strict.Errors // what reading left to say
}

// Product identifies what is certified.
type Product struct {
	Manufacturer string `yaml:"manufacturer" json:"manufacturer"`
	Model        string `yaml:"model" json:"model"`
	Firmware     string `yaml:"firmware" json:"firmware"` // the version under test, e.g. 1.0.0
	Description  string `yaml:"description,omitempty" json:"description,omitempty"`

	// The rest of the identification of TS 103 701.
	Hardware         string `yaml:"hardware,omitempty" json:"hardware,omitempty"`
	OperatingSystem  string `yaml:"operating_system,omitempty" json:"operating_system,omitempty"`
	IntendedFunction string `yaml:"intended_function,omitempty" json:"intended_function,omitempty"`
	Address          string `yaml:"address,omitempty" json:"address,omitempty"`
	Contact          string `yaml:"contact,omitempty" json:"contact,omitempty"`
	ContactPerson    string `yaml:"contact_person,omitempty" json:"contact_person,omitempty"`
	Date             string `yaml:"date,omitempty" json:"date,omitempty" form:"date"`
}

// A Unit is one physical specimen.
type Unit struct {
	ID     string           `yaml:"id" json:"id"`
	Serial string           `yaml:"serial,omitempty" json:"serial,omitempty"`
	MAC    string           `yaml:"mac,omitempty" json:"mac,omitempty"`
	State  string           `yaml:"state,omitempty" json:"state,omitempty" enum:"factory-default|commissioned"` // factory-default or commissioned
	Host   string           `yaml:"host,omitempty" json:"host,omitempty"`                                       // address or name; empty where the bench hands out the address
	Logins map[string]Login `yaml:"logins,omitempty" json:"logins,omitempty"`
}

// A Login is what label or papers give the owner for one interface (http, mqtt, coap ...).
type Login struct {
	Username string `yaml:"username,omitempty" json:"username,omitempty"`
	Password Secret `yaml:"password" json:"password"`
}

// A Feature is a yes or no that conditions ask about; a no wants its reason, or the
// judge fails what depends on it.
type Feature struct {
	Present bool   `yaml:"present" json:"present"`
	Because string `yaml:"because,omitempty" json:"because,omitempty"`
}

// An Operation is one thing the device can be made to do. Anonymous is how it is
// tried without any credential; it is taken when the caller gives neither username nor password.
type Operation struct {
	Row       string `yaml:"row,omitempty" json:"row,omitempty"` // address of the declaration row, e.g. 1-AuthMech/AuthMech-1
	Steps     []Step `yaml:"steps" json:"steps"`
	Anonymous []Step `yaml:"anonymous,omitempty" json:"anonymous,omitempty"`
}

// An Image is one firmware image of the maker.
type Image struct {
	File      string `yaml:"file" json:"file"`
	Signature string `yaml:"signature,omitempty" json:"signature,omitempty"` // file of a detached signature; a recipe gives it on as {{signature_url}}
	Version   string `yaml:"version" json:"version"`
	SHA256    string `yaml:"sha256,omitempty" json:"sha256,omitempty"`
}

// Advisories name a snapshot of publicly known vulnerabilities: a folder of OSV entries and CSAF-VEX documents in JSON.
type Advisories struct {
	Folder string `yaml:"folder" json:"folder"`
	Dated  string `yaml:"dated" json:"dated"`                       // the day on which it was taken: 2026-11-20
	SHA256 string `yaml:"sha256,omitempty" json:"sha256,omitempty"` // of all its files, as `assay firmware inspect` and the facts tell it
}

// An Anchor is a public key or certificate and what it is trusted for: firmware (update signatures) or
// device (the device's own TLS certificates). What signs firmware may be an anchor of its format's own.
type Anchor struct {
	For     string `yaml:"for" json:"for" enum:"firmware|device"`
	File    string `yaml:"file" json:"file"`
	Purpose string `yaml:"purpose,omitempty" json:"purpose,omitempty" enum:"code-signing|email-protection|any"` // asked of the certificate that signs firmware
	Signer  string `yaml:"signer,omitempty" json:"signer,omitempty"`                                            // identity in it: a subject alternative name
	Issuer  string `yaml:"issuer,omitempty" json:"issuer,omitempty"`                                            // Sigstore: who must have vouched for it
}

// Cloud tells the bench how to stand in for the device's own services.
type Cloud struct {
	Hosts       []string `yaml:"hosts" json:"hosts"`             // names the device resolves
	Certificate string   `yaml:"certificate" json:"certificate"` // PEM chain for those names, under a root the device trusts
	Key         Secret   `yaml:"key" json:"key"`                 // PEM private key
	Issuer      *Issuer  `yaml:"issuer,omitempty" json:"issuer,omitempty"`
}

// An Issuer is the CA that issued the cloud's certificate, as far as the product under test trusts it: a test
// CA of the maker. With its key the bench issues certificates that are wrong in one way only.
type Issuer struct {
	Certificate string `yaml:"certificate" json:"certificate"` // PEM: the CA first, then those above it
	Key         Secret `yaml:"key" json:"key"`                 // PEM private key
}
