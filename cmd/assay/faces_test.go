package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
)

// Every form is written of whatever record there is; its own package holds it to its schema.
func TestEveryFormatHasAFace(t *testing.T) {
	names := formats()
	assert.Equal(t, len(names), len(slices.Compact(slices.Sorted(slices.Values(names)))))
	r := &reports.Report{Run: "run-1", Started: time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)}
	for _, name := range names {
		var b bytes.Buffer
		require.NoError(t, face(&b, r, name), name)
		require.NotEmpty(t, b.Bytes(), name)
		switch name {
		case "json", "sarif", "oscal", "cyclonedx", "intoto", "ics-json":
			assert.True(t, json.Valid(b.Bytes()), name)
		case "junit":
			assert.NoError(t, xml.Unmarshal(b.Bytes(), new(struct{})), name)
		case "pdf":
			assert.True(t, bytes.HasPrefix(b.Bytes(), []byte("%PDF-")), name)
		}
	}
}
