// Package krusty builds no kustomization: neither the program nor the sandbox has one.
package krusty

import (
	"errors"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// ReorderOption is ignored.
type ReorderOption string

// Options are ignored.
type Options struct {
	Reorder           ReorderOption
	AddManagedbyLabel bool
	LoadRestrictions  types.LoadRestrictions
	PluginConfig      *types.PluginConfig
}

// The orders of a build's results.
const (
	ReorderOptionLegacy      = ReorderOption("legacy")
	ReorderOptionNone        = ReorderOption("none")
	ReorderOptionUnspecified = ReorderOption("unspecified")
)

// MakeDefaultOptions returns options.
func MakeDefaultOptions() *Options { return &Options{PluginConfig: types.DisabledPluginConfig()} }

// Kustomizer builds nothing.
type Kustomizer struct{}

// MakeKustomizer returns a kustomizer.
func MakeKustomizer(*Options) *Kustomizer { return &Kustomizer{} }

// Run returns an error.
func (*Kustomizer) Run(filesys.FileSystem, string) (resmap.ResMap, error) {
	return nil, errors.New("this program was built for the sandbox, without Kustomize")
}
