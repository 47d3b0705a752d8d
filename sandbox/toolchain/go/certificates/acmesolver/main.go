// Command acmesolver answers one ACME challenge. Apart from cert-manager's other commands, whose code would take more
// memory than its pod may have.
package main

import (
	"log"
	"os"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

func main() {
	var answer solver.HTTP01Solver
	flags := pflag.NewFlagSet("acmesolver", pflag.ExitOnError)
	flags.IntVar(&answer.ListenPort, "listen-port", 8089, "where to answer")
	flags.StringVar(&answer.Domain, "domain", "", "what is asked for")
	flags.StringVar(&answer.Token, "token", "", "which challenge")
	flags.StringVar(&answer.Key, "key", "", "the answer")
	flags.Parse(os.Args[1:])
	log.Fatal(answer.Listen(klog.Background()))
}
