package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/urfave/cli/v2"
)

const groupsDescription = `Without a subcommand it lists the consumer groups.

   oneplusn groups
   oneplusn groups describe workers
   oneplusn groups reset workers --to-earliest               # only shows the changes
   oneplusn groups reset workers --topic jobs --to-time -2h --yes
   oneplusn groups delete workers

LAG is the number of records that the group has not committed yet. A group with members can be neither reset
nor deleted: its members would continue from their own positions and commit those.`

func groupsCommand() *cli.Command {
	return &cli.Command{
		Name:        "groups",
		Usage:       "list, describe, reset and delete consumer groups",
		Description: groupsDescription,
		Flags:       clientFlags(""),
		Action:      listGroups,
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the groups with their state and number of members", Flags: clientFlags(""), Action: listGroups},
			{Name: "describe", Usage: "show each partition's committed offset, lag and member", ArgsUsage: "GROUP...",
				Flags: clientFlags(""), Action: describeGroups},
			{Name: "reset", Usage: "move a group's committed offsets; without --yes only show the changes", ArgsUsage: "GROUP",
				Flags: clientFlags("groups-",
					&cli.StringSliceFlag{Name: "topic", Usage: "`TOPIC` to reset; may be repeated (default: all topics with committed offsets)"},
					&cli.BoolFlag{Name: "to-earliest", Usage: "move to the start of each partition"},
					&cli.BoolFlag{Name: "to-latest", Usage: "move to the end of each partition"},
					&cli.Int64Flag{Name: "to-offset", Value: -1, Usage: "move to offset `N`, or to the nearest offset of each partition (default: none)"},
					&cli.StringFlag{Name: "to-time", Usage: "move to the first record at or after `TIME`: 2026-11-24T18:30:00Z, 2026-11-24 18:30 (local time), or -2h for two hours ago"},
					&cli.BoolFlag{Name: "yes", Usage: "commit the new offsets"},
				), Action: resetGroup},
			{Name: "delete", Usage: "delete groups and their committed offsets", ArgsUsage: "GROUP...",
				Flags: clientFlags(""), Action: deleteGroups},
		},
	}
}

func listGroups(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		listed, err := server.admin.ListGroups(ctx)
		if err != nil {
			return err
		}
		if len(listed) == 0 {
			fmt.Fprintln(c.App.ErrWriter, "no groups; oneplusn sub TOPIC --group NAME starts one")
			return nil
		}
		described, err := server.admin.DescribeGroups(ctx, listed.Groups()...)
		if err != nil {
			return err
		}
		table := newTable(c.App.Writer, "GROUP", "STATE", "MEMBERS", "PROTOCOL")
		for _, g := range described.Sorted() {
			table.row(g.Group, g.State, len(g.Members), g.Protocol)
		}
		return table.Flush()
	})
}

func describeGroups(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		lags, err := server.admin.Lag(ctx, c.Args().Slice()...)
		if err != nil {
			return err
		}
		gap := ""
		return server.each(slices.Sorted(maps.Keys(lags)), func(name string) error {
			g := lags[name]
			if err := g.Error(); err != nil {
				return err
			}
			if g.State == "Dead" {
				return kerr.GroupIDNotFound
			}
			fmt.Fprint(c.App.Writer, gap)
			gap = "\n"
			return writeLag(c.App.Writer, g)
		})
	})
}

// writeLag prints one group: a line about the whole, and a table of its partitions.
func writeLag(w io.Writer, g kadm.DescribedGroupLag) error {
	fmt.Fprintf(w, "group %s: %s, %s, protocol %s, lag %d\n", g.Group, g.State, counted(int64(len(g.Members)), "member"),
		cmp.Or(g.Protocol, "-"), g.Lag.Total())
	partitions := g.Lag.Sorted()
	if len(partitions) == 0 {
		return nil
	}
	table := newTable(w, "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "CLIENT", "HOST")
	for _, p := range partitions {
		m := cmp.Or(p.Member, &kadm.DescribedGroupMember{})
		table.row(p.Topic, p.Partition, orNone(p.Commit.At), p.End.Offset, orNone(p.Lag), m.MemberID, m.ClientID, m.ClientHost)
	}
	return table.Flush()
}

// orNone formats an offset or a lag, empty for -1, the protocol's "none".
func orNone(n int64) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// resetTarget reads the one --to flag that must be there.
func resetTarget(c *cli.Context) (position, error) {
	given := slices.DeleteFunc([]string{"to-earliest", "to-latest", "to-offset", "to-time"}, func(flag string) bool {
		return !c.IsSet(flag) || c.Value(flag) == false
	})
	if len(given) != 1 {
		return position{}, usageErrorf("groups reset needs exactly one of --to-earliest, --to-latest, --to-offset N, --to-time TIME; %d were given", len(given))
	}
	switch given[0] {
	case "to-earliest":
		return position{kind: fromBeginning}, nil
	case "to-latest":
		return position{kind: fromEnd}, nil
	case "to-offset":
		n := c.Int64("to-offset")
		if n < 0 {
			return position{}, usageErrorf("--to-offset is %d, it must be at least 0", n)
		}
		return position{kind: fromOffset, n: n}, nil
	}
	at, err := parseTime(c.String("to-time"), time.Now())
	if err != nil {
		return position{}, usageErrorf("--to-time %w", err)
	}
	return position{kind: fromTime, n: at.UnixMilli()}, nil
}

func resetGroup(c *cli.Context) error {
	target, err := resetTarget(c)
	if err != nil {
		return err
	}
	group := c.Args().First()
	return withServer(c, func(ctx context.Context, server *remote) error {
		if err := server.refuseMembers(ctx, group); err != nil {
			return err
		}
		committed, err := server.admin.FetchOffsets(ctx, group)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // an unknown group has committed nothing
			return err
		}
		topics := c.StringSlice("topic")
		if len(topics) == 0 {
			topics = slices.Collect(maps.Keys(committed))
		}
		if len(topics) == 0 {
			return fmt.Errorf("group %q has committed nothing: name the topics with --topic TOPIC", group)
		}
		plan, err := server.planReset(ctx, c.App.Writer, committed, slices.Sorted(slices.Values(topics)), target)
		if err != nil {
			return err
		}
		if !c.Bool("yes") {
			fmt.Fprintln(c.App.ErrWriter, "dry run, nothing has changed; add --yes to reset the offsets")
			return nil
		}
		return server.admin.CommitAllOffsets(ctx, group, plan)
	})
}

// refuseMembers refuses a group whose members would overwrite the new offsets.
func (r *remote) refuseMembers(ctx context.Context, group string) error {
	described, err := r.admin.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	g := described[group]
	if len(g.Members) > 0 {
		return fmt.Errorf("group %q has %s (%s): stop them first", group, counted(int64(len(g.Members)), "member"), g.State)
	}
	if !errors.Is(g.Err, kerr.GroupIDNotFound) {
		return g.Err
	}
	return nil
}

// planReset prints the changes, and returns the offsets to commit.
func (r *remote) planReset(
	ctx context.Context, w io.Writer, committed kadm.OffsetResponses, topics []string, target position,
) (kadm.Offsets, error) {
	plan := kadm.Offsets{}
	table := newTable(w, "TOPIC", "PARTITION", "COMMITTED", "TO", "LAG THEN")
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
			from := ""
			if at, ok := committed.Lookup(topic, partition); ok {
				from = orNone(at.At)
			}
			table.row(topic, partition, from, to[partition], bounds.end[partition]-to[partition])
			plan.Add(kadm.Offset{Topic: topic, Partition: partition, At: to[partition], LeaderEpoch: -1})
		}
	}
	return plan, table.Flush()
}

func deleteGroups(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		deleted, err := server.admin.DeleteGroups(ctx, c.Args().Slice()...)
		if err != nil {
			return err
		}
		return server.each(c.Args().Slice(), func(name string) error {
			err := deleted[name].Err
			if err == nil {
				fmt.Fprintf(c.App.Writer, "deleted %s\n", name)
			}
			return err
		})
	})
}
