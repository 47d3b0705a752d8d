// Package postgres opens no database: the sandbox keeps its state in files or S3.
package postgres

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

func init() { blob.DefaultURLMux().RegisterBucket("postgres", opener{}) }

type opener struct{}

// OpenBucketURL returns an error.
func (opener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this pulumi was built for the sandbox, without state in PostgreSQL")
}
