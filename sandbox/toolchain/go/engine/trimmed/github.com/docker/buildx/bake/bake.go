// Package bake reads no file: it is here for the completion of `buildx bake`, which `commands` leaves out.
package bake

import "errors"

var errTrimmed = errors.New("this buildx was built for the sandbox, without bake")

// ReadLocalFiles returns an error.
func ReadLocalFiles([]string, any, any) (any, error) { return nil, errTrimmed }

// ListTargets returns an error.
func ListTargets(any) ([]string, error) { return nil, errTrimmed }
