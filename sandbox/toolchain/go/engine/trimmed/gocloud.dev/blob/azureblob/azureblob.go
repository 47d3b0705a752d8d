// Package azureblob registers no driver: the sandbox keeps its state in files or S3, and Azure's SDK takes long to compile.
package azureblob
