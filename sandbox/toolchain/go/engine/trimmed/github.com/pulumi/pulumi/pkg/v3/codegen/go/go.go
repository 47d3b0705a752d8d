// Package gen has no generator of Go SDKs: the docker-build provider uses one struct of it, for its schema.
package gen

// GenericsSettingSideBySide asks for an SDK with and without generics.
const GenericsSettingSideBySide = "side-by-side"

// GoPackageInfo has the fields that the provider sets.
type GoPackageInfo struct {
	ImportBasePath       string            `json:"importBasePath,omitempty"`
	PackageImportAliases map[string]string `json:"packageImportAliases,omitempty"`
	RespectSchemaVersion bool              `json:"respectSchemaVersion,omitempty"`
	Generics             string            `json:"generics,omitempty"`
}
