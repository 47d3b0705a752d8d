package main

import (
	"context"
	"net"
	"slices"
	"time"

	config "github.com/cert-manager/cert-manager/internal/apis/config/controller"
	"github.com/cert-manager/cert-manager/internal/apis/config/controller/scheme"
	"github.com/cert-manager/cert-manager/internal/apis/config/controller/v1alpha1"
	versioned "github.com/cert-manager/cert-manager/pkg/apis/config/controller/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
)

// runController runs what ACME certificates need: no Vault, no Venafi, no Gateway API.
func runController(ctx context.Context, flags *pflag.FlagSet, arguments []string) error {
	settings, err := defaults()
	if err != nil {
		return err
	}
	electionFlags(flags)
	flags.StringVar(&settings.ClusterResourceNamespace, "cluster-resource-namespace", "", "of ClusterIssuers' secrets")
	flags.StringVar(&settings.ACMEHTTP01Config.SolverImage, "acme-http01-solver-image", "", "what answers challenges")
	flags.IntVar(&settings.MaxConcurrentChallenges, "max-concurrent-challenges", settings.MaxConcurrentChallenges, "")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	factory, err := controller.NewContextFactory(ctx, options(settings))
	if err != nil {
		return err
	}
	base, err := factory.Build()
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	health, err := net.Listen("tcp", settings.HealthzListenAddress)
	if err != nil {
		return err
	}
	group.Go(func() error {
		return healthz.NewServer(settings.LeaderElectionConfig.HealthzTimeout).Start(ctx, health)
	})
	metrics, err := net.Listen("tcp", settings.MetricsListenAddress)
	if err != nil {
		return err
	}
	server := base.Metrics.NewServer(metrics)
	context.AfterFunc(ctx, func() { server.Close() })
	group.Go(func() error { return server.Serve(metrics) })
	for name, construct := range controller.Known() {
		if !slices.Contains(v1alpha1.DefaultEnabledControllers, name) {
			continue
		}
		loop, err := construct(factory)
		if err != nil {
			return err
		}
		group.Go(func() error { return loop.Run(settings.NumberOfConcurrentWorkers, ctx) })
	}
	base.SharedInformerFactory.Start(ctx.Done())
	base.KubeSharedInformerFactory.Start(ctx.Done())
	base.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return group.Wait()
}

func defaults() (*config.ControllerConfiguration, error) {
	scheme, _, err := scheme.NewSchemeAndCodecs()
	if err != nil {
		return nil, err
	}
	given := &versioned.ControllerConfiguration{}
	scheme.Default(given)
	settings := &config.ControllerConfiguration{}
	return settings, scheme.Convert(given, settings, nil)
}

func options(settings *config.ControllerConfiguration) controller.ContextOptions {
	http01 := settings.ACMEHTTP01Config
	return controller.ContextOptions{
		KubernetesAPIQPS:   settings.KubernetesAPIQPS,
		KubernetesAPIBurst: settings.KubernetesAPIBurst,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: settings.ClusterResourceNamespace},
		ACMEOptions: controller.ACMEOptions{
			HTTP01SolverImage:                 http01.SolverImage,
			HTTP01SolverResourceRequestCPU:    resource.MustParse(http01.SolverResourceRequestCPU),
			HTTP01SolverResourceRequestMemory: resource.MustParse(http01.SolverResourceRequestMemory),
			HTTP01SolverResourceLimitsCPU:     resource.MustParse(http01.SolverResourceLimitsCPU),
			HTTP01SolverResourceLimitsMemory:  resource.MustParse(http01.SolverResourceLimitsMemory),
			ACMEHTTP01SolverRunAsNonRoot:      http01.SolverRunAsNonRoot,
			DNS01CheckRetryPeriod:             10 * time.Second,
		},
		IngressShimOptions: controller.IngressShimOptions{
			DefaultIssuerKind:  settings.IngressShimConfig.DefaultIssuerKind,
			DefaultIssuerGroup: settings.IngressShimConfig.DefaultIssuerGroup,
		},
		CertificateOptions: controller.CertificateOptions{CopiedAnnotationPrefixes: settings.CopiedAnnotationPrefixes},
		SchedulerOptions:   controller.SchedulerOptions{MaxConcurrentChallenges: settings.MaxConcurrentChallenges},
	}
}
