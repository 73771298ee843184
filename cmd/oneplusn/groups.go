package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/urfave/cli/v2"
)

const groupsDescription = `Without a subcommand it lists the consumer groups.

   oneplusn groups
   oneplusn groups describe workers
   oneplusn groups reset workers --to-earliest               # shows what would change
   oneplusn groups reset workers --topic jobs --to-time -2h --yes
   oneplusn groups delete workers

LAG is how many records the group has not committed yet. Offsets of a group with members can't be reset, and such
a group can't be deleted: its members would go on from where they are.`

func groupsCommand() *cli.Command {
	return &cli.Command{
		Name:        "groups",
		Usage:       "list, describe, reset and delete consumer groups",
		Description: groupsDescription,
		Flags:       clientFlags(""),
		Action:      listGroups,
		Before:      refuseUnknownSubcommand,
		Subcommands: []*cli.Command{
			commandOf(&cli.Command{Name: "list", Usage: "list the groups with their state and members", Flags: clientFlags(""),
				Before: refuseArguments, Action: listGroups}),
			commandOf(&cli.Command{Name: "describe", Usage: "show what each member has, and how far it is", ArgsUsage: "GROUP...",
				Flags: clientFlags(""), Before: someNames("GROUP"), Action: describeGroups}),
			commandOf(&cli.Command{Name: "reset", Usage: "move a group's committed offsets; a dry run without --yes", ArgsUsage: "GROUP",
				Flags: clientFlags("groups-",
					&cli.StringSliceFlag{Name: "topic", Usage: "`TOPIC` to reset; may be repeated (default: all that the group has committed)"},
					&cli.BoolFlag{Name: "to-earliest", Usage: "to the start of each partition"},
					&cli.BoolFlag{Name: "to-latest", Usage: "to the end of each partition"},
					&cli.Int64Flag{Name: "to-offset", Value: -1, Usage: "to offset `N` of each partition, or the nearest there is (default: none)"},
					&cli.StringFlag{Name: "to-time", Usage: "to the first record at or after `TIME`: 2026-11-24T18:30:00Z, 2026-11-24 18:30, or -2h for two hours ago"},
					&cli.BoolFlag{Name: "yes", Usage: "do it"},
				), Before: oneGroup, Action: resetGroup}),
			commandOf(&cli.Command{Name: "delete", Usage: "delete groups and their committed offsets", ArgsUsage: "GROUP...",
				Flags: clientFlags(""), Before: someNames("GROUP"), Action: deleteGroups}),
		},
	}
}

func oneGroup(c *cli.Context) error {
	if c.NArg() != 1 {
		return usageErrorf("%s needs the name of one group, %d arguments were given", c.Command.Name, c.NArg())
	}
	return nil
}

func listGroups(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		listed, err := server.admin.ListGroups(ctx)
		if err != nil {
			return fmt.Errorf("groups: %w", server.explain(err))
		}
		if len(listed) == 0 {
			_, _ = fmt.Fprintln(c.App.ErrWriter, "there are no groups; oneplusn sub TOPIC --group NAME makes one")
			return nil
		}
		described, err := server.admin.DescribeGroups(ctx, listed.Groups()...)
		if err != nil {
			return fmt.Errorf("groups: %w", server.explain(err))
		}
		table := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "GROUP\tSTATE\tMEMBERS\tPROTOCOL")
		for _, g := range described.Sorted() {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", g.Group, orDash(g.State), len(g.Members), orDash(g.Protocol))
		}
		return table.Flush()
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func describeGroups(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		lags, err := server.admin.Lag(ctx, c.Args().Slice()...)
		if err != nil {
			return fmt.Errorf("groups describe: %w", server.explain(err))
		}
		var failed error
		for i, g := range lags.Sorted() {
			if err := g.Error(); err != nil {
				failed = errors.Join(failed, fmt.Errorf("groups describe %s: %w", g.Group, server.explain(err)))
				continue
			}
			if g.State == "Dead" {
				failed = errors.Join(failed, fmt.Errorf("groups describe %s: there is no such group (oneplusn groups lists them)", g.Group))
				continue
			}
			if i > 0 {
				_, _ = fmt.Fprintln(c.App.Writer)
			}
			if err := writeLag(c.App.Writer, g); err != nil {
				return err
			}
		}
		return failed
	})
}

// writeLag prints one group: a line about the whole, and a table of its partitions.
func writeLag(w io.Writer, g kadm.DescribedGroupLag) error {
	_, _ = fmt.Fprintf(w, "group %s: %s, %s, protocol %s, lag %d\n", g.Group, g.State, counted(int64(len(g.Members)), "member"),
		orDash(g.Protocol), g.Lag.Total())
	partitions := g.Lag.Sorted()
	if len(partitions) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "TOPIC\tPARTITION\tCOMMITTED\tEND\tLAG\tMEMBER\tCLIENT\tHOST")
	for _, p := range partitions {
		committed, lag, member, client, host := "-", "-", "-", "-", "-"
		if p.Commit.At >= 0 {
			committed = fmt.Sprint(p.Commit.At)
		}
		if p.Lag >= 0 {
			lag = fmt.Sprint(p.Lag)
		}
		if m := p.Member; m != nil {
			member, client, host = m.MemberID, m.ClientID, m.ClientHost
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%s\t%s\t%s\t%s\n", p.Topic, p.Partition, committed,
			p.End.Offset, lag, member, client, host)
	}
	return table.Flush()
}

// resetTarget reads the one --to flag that must be there.
func resetTarget(c *cli.Context) (position, error) {
	var given []string
	var target position
	if c.Bool("to-earliest") {
		given, target = append(given, "--to-earliest"), position{kind: fromBeginning}
	}
	if c.Bool("to-latest") {
		given, target = append(given, "--to-latest"), position{kind: fromEnd}
	}
	if c.IsSet("to-offset") {
		given, target = append(given, "--to-offset"), position{kind: fromOffset, n: c.Int64("to-offset")}
		if target.n < 0 {
			return target, usageErrorf("--to-offset is %d, it must be at least 0", target.n)
		}
	}
	if text := c.String("to-time"); text != "" {
		at, err := parseTime(text, time.Now())
		if err != nil {
			return target, usageErrorf("--to-time %w", err)
		}
		given, target = append(given, "--to-time"), position{kind: fromTime, n: at.UnixMilli()}
	}
	switch len(given) {
	case 0:
		return target, usageErrorf("reset needs one of --to-earliest, --to-latest, --to-offset N, --to-time TIME")
	case 1:
		return target, nil
	}
	return target, usageErrorf("reset takes one target, %s were given", strings.Join(given, " and "))
}

func resetGroup(c *cli.Context) error {
	target, err := resetTarget(c)
	if err != nil {
		return err
	}
	group := c.Args().First()
	return withServer(c, func(ctx context.Context, server *remote) error {
		if err := server.resettable(ctx, group); err != nil {
			return fmt.Errorf("groups reset: %w", err)
		}
		committed, err := server.admin.FetchOffsets(ctx, group)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // a group that is not there yet has committed nothing
			return fmt.Errorf("groups reset: %w", server.explain(err))
		}
		topics := slices.Clone(c.StringSlice("topic"))
		if len(topics) == 0 {
			for topic := range committed {
				topics = append(topics, topic)
			}
			if len(topics) == 0 {
				return fmt.Errorf("groups reset: group %q has committed nothing: name the topics with --topic TOPIC", group)
			}
		}
		slices.Sort(topics)
		plan, err := server.planReset(ctx, c.App.Writer, committed, topics, target)
		if err != nil {
			return fmt.Errorf("groups reset: %w", err)
		}
		if !c.Bool("yes") {
			_, _ = fmt.Fprintln(c.App.ErrWriter, "nothing is changed yet: --yes does it")
			return nil
		}
		if err := server.admin.CommitAllOffsets(ctx, group, plan); err != nil {
			return fmt.Errorf("groups reset: %w", server.explain(err))
		}
		return nil
	})
}

// resettable refuses a group whose members would overwrite what is set.
func (r *remote) resettable(ctx context.Context, group string) error {
	described, err := r.admin.DescribeGroups(ctx, group)
	if err != nil {
		return r.explain(err)
	}
	g := described[group]
	if g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
		return r.explain(g.Err)
	}
	if len(g.Members) > 0 {
		return fmt.Errorf("group %q has %s (%s): stop them first", group, counted(int64(len(g.Members)), "member"), g.State)
	}
	return nil
}

// planReset prints what would change, and returns the offsets to commit.
func (r *remote) planReset(
	ctx context.Context, w io.Writer, committed kadm.OffsetResponses, topics []string, target position,
) (kadm.Offsets, error) {
	plan := kadm.Offsets{}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "TOPIC\tPARTITION\tCOMMITTED\tTO\tLAG THEN")
	for _, topic := range topics {
		bounds, err := r.offsets(ctx, topic)
		if err != nil {
			return nil, err
		}
		to, err := target.nearest(ctx, r, topic, bounds)
		if err != nil {
			return nil, err
		}
		for partition := range int32(len(bounds.end)) {
			from := "-"
			if at, ok := committed.Lookup(topic, partition); ok && at.At >= 0 {
				from = fmt.Sprint(at.At)
			}
			_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\n", topic, partition, from, to[partition], bounds.end[partition]-to[partition])
			plan.Add(kadm.Offset{Topic: topic, Partition: partition, At: to[partition], LeaderEpoch: -1})
		}
	}
	return plan, table.Flush()
}

func deleteGroups(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		deleted, err := server.admin.DeleteGroups(ctx, c.Args().Slice()...)
		if err != nil {
			return fmt.Errorf("groups delete: %w", server.explain(err))
		}
		var failed error
		for _, name := range c.Args().Slice() {
			g := deleted[name]
			switch {
			case errors.Is(g.Err, kerr.NonEmptyGroup):
				failed = errors.Join(failed, fmt.Errorf("groups delete %s: it has members: stop them first", name))
			case g.Err != nil:
				failed = errors.Join(failed, fmt.Errorf("groups delete %s: %w", name, server.explain(g.Err)))
			default:
				_, _ = fmt.Fprintf(c.App.Writer, "deleted %s\n", name)
			}
		}
		return failed
	})
}
