package firmware_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware"
)

func fitVectors() adapter {
	return adapter{trust: fitTrust}
}

type fitContext struct {
	Trust      string `yaml:"trust,omitempty"`
	Boots      string `yaml:"boots,omitempty"`
	BootConfig string `yaml:"boot_config,omitempty"`
}

// fitTrust goes by the control device tree where the row has one, else by the bare key.
func fitTrust(t *testing.T, c vectorCase) firmware.Trust {
	var x fitContext
	c.context(t, &x)
	file := c.Key
	if c.ControlDTB != "" {
		file = c.ControlDTB
	}
	trust, err := firmware.ParseTrust(firmware.Anchor{From: file, Bytes: c.bytes(t, file)})
	require.NoError(t, err)
	trust.Configuration = x.BootConfig
	return trust
}
