// Command cert-manager is four of cert-manager's commands in one binary; the fifth is beside it.
//
// Their own main packages are in modules of their own that the Go module proxy doesn't have; all that they run is in the
// module that it has. The flags here are those that the Helm chart passes, any other is refused. Leader election is left
// out, since the sandbox runs one of each. The module's path lies below cert-manager's for its internal packages.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util/cmapichecker"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"
)

var commands = map[string]func(context.Context, *pflag.FlagSet, []string) error{
	"controller":      runController,
	"webhook":         runWebhook,
	"cainjector":      runInjector,
	"startupapicheck": runCheck,
}

func main() {
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Verbosity(2)))
	klog.SetLogger(logger)
	logs.Log = logger
	ctrl.SetLogger(logger)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		log.Fatal("expected controller, webhook, cainjector or startupapicheck")
	}
	flags := pflag.NewFlagSet(os.Args[1], pflag.ContinueOnError)
	flags.IntP("v", "v", 2, "how much to log")
	flags.Lookup("v").NoOptDefVal = "2"
	if err := commands[os.Args[1]](logs.NewContext(ctx, logger), flags, os.Args[2:]); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

// electionFlags are the chart's for several replicas of one command.
func electionFlags(flags *pflag.FlagSet) {
	flags.String("leader-election-namespace", "", "where the leader's lease would be")
}

// runCheck waits until cert-manager's API answers, which takes the webhook and the authority that is put into it.
func runCheck(ctx context.Context, flags *pflag.FlagSet, arguments []string) error {
	wait := flags.Duration("wait", 0, "how long to try")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	checker, err := cmapichecker.New(config, os.Getenv("POD_NAMESPACE"))
	if err != nil {
		return err
	}
	for end := time.Now().Add(*wait); ; time.Sleep(time.Second) {
		if err = checker.Check(ctx); err == nil || time.Now().After(end) {
			return err
		}
		fmt.Println("not ready:", err)
	}
}
