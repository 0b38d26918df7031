// Package catalog lists every probe there is, one line each. It is for the commands
// that plan and run; it never runs a probe itself, and lab never imports it.
package catalog

import (
	"assay/probes"
	"assay/probes/credentials/bruteforce"
	"assay/probes/credentials/defaults"
	"assay/probes/exposure/services"
	"assay/probes/firmware/contents"
	"assay/probes/firmware/installed"
	"assay/probes/firmware/signature"
	"assay/probes/resilience/powercut"
	"assay/probes/tls/client"
	"assay/probes/tls/impostor"
	"assay/probes/update/genuine"
	"assay/probes/update/refusal"
	"assay/probes/wipe/residue"
)

// All returns every kind of probe, in the order of their names.
func All() []probes.Kind {
	return []probes.Kind{
		bruteforce.Kind(),
		defaults.Kind(),
		services.Kind(),
		contents.Kind(),
		installed.Kind(),
		signature.Kind(),
		powercut.Kind(),
		client.Kind(),
		impostor.Kind(),
		genuine.Kind(),
		refusal.Kind(),
		residue.Kind(),
	}
}
