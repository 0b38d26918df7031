//go:build !race

package analyze

const racing = false
