// Command oneplusn is a pub/sub fan-out server that speaks the Kafka wire protocol, its load generator, and the checks
// of the host it runs on. One file per command; this one has what all of them share.
//
// # Invariants
//
//   - The exit code is 0 for success, 1 for a failed check or an error while running, 2 for a mistake in the
//     command line.
//   - An error is one line on standard error that starts with "oneplusn: ". Standard output has results only.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, flagsFirst(app.Commands, args))
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "oneplusn: %s\n", oneLine(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:    "oneplusn",
		Usage:   "one copy into the page cache, N copies out: a pub/sub fan-out server that speaks the Kafka protocol",
		Version: versionText(),
		Commands: []*cli.Command{
			serveCommand(),
			pubCommand(),
			subCommand(),
			topicsCommand(),
			groupsCommand(),
			benchCommand(),
			copiesCommand(),
			doctorCommand(),
			checkCommand(),
			repairCommand(),
		},
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		Action:          withoutCommand,
		OnUsageError:    asUsageError,
		// The library would print and exit by itself; run does both.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, command := range app.Commands {
		command.HideHelpCommand = true
		command.OnUsageError = asUsageError
		if command.Before == nil {
			command.Before = refuseArguments
		}
	}
	return app
}

func withoutCommand(c *cli.Context) error {
	if c.Args().Present() {
		return usageErrorf("there is no command %q (oneplusn --help lists the commands)", c.Args().First())
	}
	return cli.ShowAppHelp(c)
}

func refuseArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usageErrorf("%s takes no arguments, %q was given", c.Command.Name, c.Args().First())
	}
	return nil
}

// oneLine joins the lines of an error that wraps several, so that one failure is one line in a log.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
