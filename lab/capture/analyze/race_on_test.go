//go:build race

package analyze

const racing = true
