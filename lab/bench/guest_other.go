//go:build !linux

package bench

import (
	"context"
	"errors"
	"net"
	"runtime"

	"assay/lab/bench/segment"
	"assay/lab/bench/standin"
)

// A guest cannot come here.
type guest struct{ name string }

func invite(func(net.HardwareAddr) (*segment.Guest, error), net.HardwareAddr) (*guest, error) {
	return nil, forbidden("a network namespace for a known-good device", errors.New("this is "+runtime.GOOS))
}

func (g *guest) do(context.Context, standin.Request) (standin.Answer, error) {
	return standin.Answer{}, errors.New("this is " + runtime.GOOS)
}

func (g *guest) leave() error { return nil }

// CanProve says that a bench cannot test itself so here.
func CanProve(mode string) error {
	if err := noProof(mode); err != nil {
		return err
	}
	_, err := invite(nil, nil)
	return cannotProve(err)
}
