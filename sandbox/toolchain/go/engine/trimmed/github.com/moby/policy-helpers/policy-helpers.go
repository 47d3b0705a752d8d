// Package verifier verifies no signature: buildkitd offers it to the cache in GitHub Actions alone, which isn't built either.
package verifier

import (
	"errors"
	"time"
)

// Config is what buildkitd configures a verifier with.
type Config struct {
	UpdateInterval time.Duration
	RequireOnline  bool
	StateDir       string
}

// Verifier is never made.
type Verifier struct{}

// NewVerifier returns an error.
func NewVerifier(Config) (*Verifier, error) {
	return nil, errors.New("this buildkitd was built for the sandbox, without signatures of caches")
}
