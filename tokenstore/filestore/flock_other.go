//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package filestore

import (
	"errors"
	"os"
)

const flockSupported = false

func tryFlock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func unflock(*os.File) {}
