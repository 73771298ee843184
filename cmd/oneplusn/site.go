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

// onSite runs a scenario until it ends or a signal comes. what names the clients that open the connections.
func onSite[T any](
	c *cli.Context, connections int, what string, place bench.Place, scenario func(context.Context, *bench.Site) (T, error),
) (result T, err error) {
	if files := host.RaiseOpenFiles(); files < uint64(connections)+64 {
		return result, fmt.Errorf("%s: %d %s need as many open files, the limit is %d: raise it with ulimit -n",
			c.Command.Name, connections, what, files)
	}
	ctx, stop := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer stop()
	site, err := bench.NewSite(place, report.NewProgress(c.App.ErrWriter))
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	if result, err = scenario(ctx, site); ctx.Err() != nil && err != nil {
		return result, errors.New("interrupted") // the cause of err
	}
	return result, err
}

// writeFiles writes what --json and --plot ask for.
func writeFiles[T any](c *cli.Context, runs []T, plot func(path string, runs []T) error) error {
	if path := c.String("json"); path != "" {
		if err := report.WriteJSON(path, runs); err != nil {
			return err
		}
	}
	if path := c.String("plot"); path != "" {
		return plot(path, runs)
	}
	return nil
}
