// Package python has no generator of Python SDKs: the docker-build provider uses one struct of it, for its schema.
package python

// PackageInfo has the fields that the provider sets.
type PackageInfo struct {
	RespectSchemaVersion bool `json:"respectSchemaVersion,omitempty"`
	PyProject            struct {
		Enabled bool `json:"enabled,omitempty"`
	} `json:"pyproject,omitempty"`
}
