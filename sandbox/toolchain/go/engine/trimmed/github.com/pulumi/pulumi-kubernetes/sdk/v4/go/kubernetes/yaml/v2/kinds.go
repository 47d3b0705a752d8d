// Package v2 takes the place of one file of the Kubernetes provider's own Go SDK: that file names a
// Go type for every Kubernetes kind only to register resources by their token, and so pulls in packages that are 40 % of
// all that there is to compile. Registering any kind as an untyped resource gives the engine the same requests.
package v2

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// IsListKind says whether the kind is a list of other objects.
func IsListKind(_, kind string) bool { return strings.HasSuffix(kind, "List") }

type untyped struct{ pulumi.CustomResourceState }

// RegisterResource registers an object of any kind.
func RegisterResource(
	ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input, opts ...pulumi.ResourceOption,
) (pulumi.CustomResource, error) {
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "core/" + apiVersion
	}
	var resource untyped
	err := ctx.RegisterResource("kubernetes:"+apiVersion+":"+kind, name, props, &resource, opts...)
	return &resource, err
}
