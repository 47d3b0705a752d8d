package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// networkPolicies is kube-network-policies: it decides, for each new connection that the node's firewall hands over,
// whether the cluster's NetworkPolicies allow it. The module's own command only runs in a pod, so here is another.
func networkPolicies() *cobra.Command {
	command := &cobra.Command{Use: "network-policies", SilenceUsage: true}
	kubeconfig := command.Flags().String("kubeconfig", "", "how to reach the API server")
	node := command.Flags().String("node", "", "whose pods")
	queue := command.Flags().Int("queue", 100, "the netfilter queue that connections come from")
	command.RunE = func(*cobra.Command, []string) error {
		config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
		if err != nil {
			return err
		}
		config.ContentType = "application/vnd.kubernetes.protobuf"
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		factory := informers.NewSharedInformerFactory(client, 0)
		controller, err := networkpolicy.NewController(
			client,
			factory.Networking().V1().NetworkPolicies(),
			factory.Core().V1().Namespaces(),
			factory.Core().V1().Pods(),
			nil, nil, nil, nil,
			networkpolicy.Config{NodeName: *node, QueueID: *queue},
		)
		if err != nil {
			return err
		}
		factory.Start(ctx.Done())
		return controller.Run(ctx)
	}
	return command
}
