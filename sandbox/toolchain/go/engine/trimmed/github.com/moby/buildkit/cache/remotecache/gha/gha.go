// Package gha has no cache in GitHub Actions: it alone would bring the clients of Sigstore's transparency log.
package gha

import (
	"context"
	"errors"

	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/cache/remotecache/gha/ghatypes"
	"github.com/moby/buildkit/session"
	verifier "github.com/moby/policy-helpers"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

var errTrimmed = errors.New("this buildkitd was built for the sandbox, without caches in GitHub Actions")

// VerifierProvider returns the verifier of a cache's signatures.
type VerifierProvider func() (*verifier.Verifier, error)

// ResolveCacheExporterFunc returns a function that fails.
func ResolveCacheExporterFunc(*ghatypes.CacheConfig, VerifierProvider) remotecache.ResolveCacheExporterFunc {
	return func(context.Context, session.Group, map[string]string) (remotecache.Exporter, error) {
		return nil, errTrimmed
	}
}

// ResolveCacheImporterFunc returns a function that fails.
func ResolveCacheImporterFunc(*ghatypes.CacheConfig, VerifierProvider) remotecache.ResolveCacheImporterFunc {
	return func(context.Context, session.Group, map[string]string) (remotecache.Importer, ocispecs.Descriptor, error) {
		return nil, ocispecs.Descriptor{}, errTrimmed
	}
}
