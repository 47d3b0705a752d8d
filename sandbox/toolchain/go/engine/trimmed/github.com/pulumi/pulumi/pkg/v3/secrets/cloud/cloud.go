// Package cloud has no secrets provider of a cloud: the sandbox encrypts with a passphrase, and the key services of AWS,
// Azure, Google and Vault each bring an SDK with them.
package cloud

import (
	"encoding/json"
	"errors"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// Type is the name of this kind of provider in a state file.
const Type = "cloud"

var errTrimmed = errors.New("this pulumi was built for the sandbox, without a cloud's secrets providers; use a passphrase")

// NewCloudSecretsManager returns an error.
func NewCloudSecretsManager(*workspace.ProjectStack, string, bool) (secrets.Manager, error) {
	return nil, errTrimmed
}

// NewCloudSecretsManagerFromState returns an error.
func NewCloudSecretsManagerFromState(json.RawMessage) (secrets.Manager, error) {
	return nil, errTrimmed
}

// EditProjectStack returns an error.
func EditProjectStack(*workspace.ProjectStack, json.RawMessage) error { return errTrimmed }
