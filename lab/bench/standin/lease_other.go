//go:build !linux

package standin

import (
	"context"
	"errors"
	"runtime"
)

// lease needs raw sockets and netlink, which are used on Linux only.
func (d *device) lease(context.Context, Request) (Answer, error) {
	return Answer{}, errors.New("leasing an address works on linux only, this is " + runtime.GOOS)
}
