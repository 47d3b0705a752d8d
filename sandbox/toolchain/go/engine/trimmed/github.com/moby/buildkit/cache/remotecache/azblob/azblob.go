// Package azblob has no cache in Azure: the sandbox's builds keep theirs on this machine.
package azblob

import (
	"context"
	"errors"

	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/session"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

var errTrimmed = errors.New("this buildkitd was built for the sandbox, without caches in Azure")

// ResolveCacheExporterFunc returns a function that fails.
func ResolveCacheExporterFunc() remotecache.ResolveCacheExporterFunc {
	return func(context.Context, session.Group, map[string]string) (remotecache.Exporter, error) {
		return nil, errTrimmed
	}
}

// ResolveCacheImporterFunc returns a function that fails.
func ResolveCacheImporterFunc() remotecache.ResolveCacheImporterFunc {
	return func(context.Context, session.Group, map[string]string) (remotecache.Importer, ocispecs.Descriptor, error) {
		return nil, ocispecs.Descriptor{}, errTrimmed
	}
}
