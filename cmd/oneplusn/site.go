package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/report"
)

// onSite runs a scenario until it ends or a signal comes. The scenario opens so many connections, of clients that are
// called what.
func onSite(c *cli.Context, connections int, what string, place bench.Place,
	scenario func(context.Context, *bench.Site) error) (err error) {
	if files := host.RaiseOpenFiles(); files < uint64(connections)+64 {
		return fmt.Errorf("%s: %d %s need as many open files, the limit is %d: raise it with ulimit -n",
			c.Command.Name, connections, what, files)
	}
	ctx, stop := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer stop()
	site, err := bench.NewSite(place, report.NewProgress(c.App.ErrWriter))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	if err := scenario(ctx, site); err != nil {
		return interrupted(ctx, err)
	}
	return nil
}
