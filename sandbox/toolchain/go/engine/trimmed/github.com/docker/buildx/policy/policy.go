// Package policy evaluates no source policy: none of the project's Dockerfiles has one (a .rego file beside it), and the
// evaluator, Open Policy Agent, takes as long to compile as all of buildx. A build that has one fails.
package policy

import (
	"context"
	"errors"
	"io/fs"

	"github.com/docker/buildx/util/confutil"
	"github.com/docker/buildx/util/sourcemeta"
	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/sourcepolicy/policysession"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

// Names that buildx's own packages use.
const (
	CapExecProxy          = "exec.proxy"
	DefaultPolicyFilename = "buildx_default_policy.rego"
)

var errTrimmed = errors.New("this docker-build provider was built for the sandbox, without source policies")

type (
	// Caps is what a policy would grant.
	Caps map[string]bool
	// Env is what a policy would know of a build.
	Env struct {
		Args             map[string]*string
		Labels           map[string]string
		Filename, Target string
	}
	// File is a policy's file.
	File struct {
		Filename string
		Data     []byte
	}
	// PolicyVerifierProvider would verify signatures.
	PolicyVerifierProvider func()
	// Opt is what a policy would be evaluated with.
	Opt struct {
		Files            []File
		Env              Env
		Log              func(logrus.Level, string)
		FS               func() (fs.StatFS, func() error, error)
		VerifierProvider PolicyVerifierProvider
		DefaultPlatform  *ocispecs.Platform
		SourceResolver   *sourcemeta.Resolver
	}
	// Policy fails wherever it is asked.
	Policy struct{}
)

// NewPolicy returns a policy that fails.
func NewPolicy(Opt) *Policy { return &Policy{} }

// CheckCaps returns an error.
func (*Policy) CheckCaps(context.Context) (Caps, error) { return nil, errTrimmed }

// CheckPolicy returns an error.
func (*Policy) CheckPolicy(
	context.Context, *policysession.CheckPolicyRequest,
) (*policysession.DecisionResponse, *gateway.ResolveSourceMetaRequest, error) {
	return nil, nil, errTrimmed
}

// IsPolicyError recognises what CheckPolicy returns.
func (*Policy) IsPolicyError(err error) bool { return errors.Is(err, errTrimmed) }

// DefaultPolicyData returns no policy.
func DefaultPolicyData() []byte { return nil }

// MultiPolicyCallback returns a callback that fails.
func MultiPolicyCallback(...policysession.PolicyCallback) policysession.PolicyCallback {
	return (&Policy{}).CheckPolicy
}

// SignatureVerifier returns nothing.
func SignatureVerifier(*confutil.Config) PolicyVerifierProvider { return nil }
