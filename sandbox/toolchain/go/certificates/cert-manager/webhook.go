package main

import (
	"context"

	config "github.com/cert-manager/cert-manager/internal/apis/config/webhook"
	"github.com/cert-manager/cert-manager/internal/apis/config/webhook/scheme"
	"github.com/cert-manager/cert-manager/internal/webhook"
	versioned "github.com/cert-manager/cert-manager/pkg/apis/config/webhook/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/spf13/pflag"
)

func runWebhook(ctx context.Context, flags *pflag.FlagSet, arguments []string) error {
	scheme, _, err := scheme.NewSchemeAndCodecs()
	if err != nil {
		return err
	}
	given, settings := &versioned.WebhookConfiguration{}, config.WebhookConfiguration{}
	scheme.Default(given)
	if err := scheme.Convert(given, &settings, nil); err != nil {
		return err
	}
	serving := &settings.TLSConfig.Dynamic
	flags.Int32Var(&settings.SecurePort, "secure-port", settings.SecurePort, "where to answer the API server")
	flags.StringVar(&serving.SecretNamespace, "dynamic-serving-ca-secret-namespace", "", "of the webhook's authority")
	flags.StringVar(&serving.SecretName, "dynamic-serving-ca-secret-name", "", "of the webhook's authority")
	flags.StringSliceVar(&serving.DNSNames, "dynamic-serving-dns-names", nil, "the webhook's names")
	flags.StringVar(&settings.MetricsListenAddress, "metrics-listen-address", settings.MetricsListenAddress, "0: nowhere")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	server, err := webhook.NewCertManagerWebhookServer(logs.Log, settings)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}
