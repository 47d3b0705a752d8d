// Package gcsblob opens no bucket: the sandbox keeps its state in files or S3, and Google's storage client brings Envoy's
// whole API with it.
package gcsblob

// Scheme is the URL scheme that Pulumi compares a backend's URL with.
const Scheme = "gs"
