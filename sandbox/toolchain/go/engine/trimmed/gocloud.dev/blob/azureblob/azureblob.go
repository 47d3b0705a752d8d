// Package azureblob opens no bucket: the sandbox keeps its state in files or S3, and Azure's SDK takes long to compile.
package azureblob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

func init() { blob.DefaultURLMux().RegisterBucket("azblob", opener{}) }

type opener struct{}

// OpenBucketURL returns an error.
func (opener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this pulumi was built for the sandbox, without state in Azure")
}
