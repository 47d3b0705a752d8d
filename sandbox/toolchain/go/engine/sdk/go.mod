// The parts of the Kubernetes provider's Go SDK that the provider needs: copied from that module when the tool is built,
// but for kinds.go.
module github.com/pulumi/pulumi-kubernetes/sdk/v4

go 1.24.7

require (
	github.com/blang/semver v3.5.1+incompatible
	github.com/pulumi/pulumi/sdk/v3 v3.215.0
)
