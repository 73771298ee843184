// Command oneplusn is a pub/sub fan-out server that speaks the Kafka wire protocol, its load generator, and the checks
// of the host it runs on. One file per command; this one has their common parts.
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
		Usage:   "a pub/sub fan-out server that speaks the Kafka protocol: one copy into the page cache, N copies out",
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
	prepare(app.Commands)
	return app
}

// prepare fills in what all commands have in common.
func prepare(commands []*cli.Command) {
	for _, command := range commands {
		command.HideHelpCommand = true
		command.OnUsageError = asUsageError
		command.Before = checkArguments
		prepare(command.Subcommands)
	}
}

func withoutCommand(c *cli.Context) error {
	if c.Args().Present() {
		return usageErrorf("unknown command %q (oneplusn --help lists the commands)", c.Args().First())
	}
	return cli.ShowAppHelp(c)
}

// checkArguments compares the arguments with what the command's ArgsUsage announces: none, one NAME, or NAME... for at least one.
func checkArguments(c *cli.Context) error {
	path, first := pathOf(c.Command), c.Args().First()
	name, several := strings.CutSuffix(c.Command.ArgsUsage, "...")
	switch {
	case len(c.Command.Subcommands) > 0:
		if first != "" && c.Command.Command(first) == nil {
			return usageErrorf("unknown command %q (oneplusn %s --help lists the commands)", path+" "+first, path)
		}
	case name == "" && c.NArg() > 0:
		return usageErrorf("%s takes no arguments, %q was given", path, first)
	case name != "" && c.NArg() == 0:
		return usageErrorf("%s needs a %s: oneplusn %s %s (oneplusn %s --help)", path, strings.ToLower(name), path, c.Command.ArgsUsage, path)
	case name != "" && c.NArg() > 1 && !several:
		return usageErrorf("%s takes one %s, %q was given as well", path, strings.ToLower(name), c.Args().Get(1))
	}
	return nil
}

// pathOf is how a command is typed behind "oneplusn ".
func pathOf(c *cli.Command) string {
	return strings.TrimPrefix(c.HelpName, "oneplusn ")
}
