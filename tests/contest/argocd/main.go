// What the contest runs of Argo CD, and the store that it wants, in one program: the rest of Argo CD would take as long again to build.
package main

import (
	"fmt"
	"os"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	repositories "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
)

func main() {
	root := &cobra.Command{Use: "argocd", SilenceUsage: true}
	root.AddCommand(controller.NewCommand(), repositories.NewCommand(), store())
	if root.Execute() != nil {
		os.Exit(1)
	}
}

// store serves what Argo CD keeps in Redis, from memory, until it is ended.
func store() *cobra.Command {
	return &cobra.Command{
		Use:  "store ADDRESS",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, arguments []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(arguments[0]); err != nil {
				return err
			}
			fmt.Println(server.Addr())
			select {}
		},
	}
}
