// Package nodejs has no generator of Node.js SDKs: the docker-build provider uses one struct of it, for its schema.
package nodejs

// NodePackageInfo has the field that the provider sets.
type NodePackageInfo struct {
	RespectSchemaVersion bool `json:"respectSchemaVersion,omitempty"`
}
