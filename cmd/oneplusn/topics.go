package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/urfave/cli/v2"

	"oneplusn/fanout/flags"
)

const topicsDescription = `Without a subcommand it lists the topics.

   oneplusn topics
   oneplusn topics create prices --partitions 8
   oneplusn topics describe prices
   oneplusn topics delete prices

SIZE is what the partition takes on disk; a server that does not tell has "-" there.`

func topicsCommand() *cli.Command {
	return &cli.Command{
		Name:        "topics",
		Usage:       "list, describe, create and delete topics",
		Description: topicsDescription,
		Flags:       clientFlags(""),
		Action:      listTopics,
		Before:      refuseUnknownSubcommand,
		Subcommands: []*cli.Command{
			commandOf(&cli.Command{Name: "list", Usage: "list the topics with their partitions, records and size", Flags: clientFlags(""),
				Before: refuseArguments, Action: listTopics}),
			commandOf(&cli.Command{Name: "describe", Usage: "show each partition's leader, offsets and size", ArgsUsage: "TOPIC...",
				Flags: clientFlags(""), Before: someNames("TOPIC"), Action: describeTopics}),
			commandOf(&cli.Command{Name: "create", Usage: "create topics", ArgsUsage: "TOPIC...", Before: someNames("TOPIC"),
				Flags: clientFlags("topics-",
					&cli.IntFlag{Name: "partitions", Value: -1, Usage: "`N` partitions (default: the server's)"},
					&cli.IntFlag{Name: "replication", Value: -1, Usage: "`N` replicas (default: the server's)"},
					&cli.StringSliceFlag{Name: "config", Usage: "`KEY=VALUE` of a topic setting; may be repeated"},
					&cli.BoolFlag{Name: "if-not-exists", Usage: "a topic that exists is no failure"},
				), Action: createTopics}),
			commandOf(&cli.Command{Name: "delete", Usage: "delete topics and their records for good", ArgsUsage: "TOPIC...",
				Flags: clientFlags(""), Before: someNames("TOPIC"), Action: deleteTopics}),
		},
	}
}

// refuseUnknownSubcommand is the Before of a command that does something without a subcommand too.
func refuseUnknownSubcommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" && c.Command.Command(name) == nil {
		return usageErrorf("%s has no subcommand %q (oneplusn %s --help lists them)", c.Command.Name, name, c.Command.Name)
	}
	return nil
}

// someNames is the Before of a command with one argument or more.
func someNames(what string) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if c.NArg() == 0 {
			return usageErrorf("%s needs at least one %s", c.Command.Name, what)
		}
		return nil
	}
}

// topicSizes are the bytes on disk by topic and partition. It is empty where the server does not tell.
type topicSizes map[string]map[int32]int64

func (r *remote) sizes(ctx context.Context) topicSizes {
	sizes := topicSizes{}
	dirs, err := r.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return sizes
	}
	dirs.Each(func(dir kadm.DescribedLogDir) {
		dir.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if sizes[p.Topic] == nil {
				sizes[p.Topic] = map[int32]int64{}
			}
			sizes[p.Topic][p.Partition] = max(sizes[p.Topic][p.Partition], p.Size)
		})
	})
	return sizes
}

func (s topicSizes) total(topic string) string {
	if s[topic] == nil {
		return "-"
	}
	var total int64
	for _, bytes := range s[topic] {
		total += bytes
	}
	return flags.RoundSize(total)
}

func (s topicSizes) of(topic string, partition int32) string {
	if bytes, ok := s[topic][partition]; ok {
		return flags.RoundSize(bytes)
	}
	return "-"
}

// describedTopics are topics with the offsets of their partitions.
type describedTopics struct {
	details    kadm.TopicDetails
	start, end kadm.ListedOffsets
}

func (d describedTopics) records(topic string, partition int32) (start, end int64) {
	first, _ := d.start.Lookup(topic, partition)
	last, _ := d.end.Lookup(topic, partition)
	return first.Offset, last.Offset
}

// describe asks for some topics, or for all.
func (r *remote) describe(ctx context.Context, topics ...string) (d describedTopics, err error) {
	if d.details, err = r.admin.ListTopics(ctx, topics...); err != nil {
		return d, r.explain(err)
	}
	names := d.details.Names()
	if len(names) == 0 {
		return d, nil
	}
	if d.start, err = r.admin.ListStartOffsets(ctx, names...); err != nil {
		return d, r.explain(err)
	}
	d.end, err = r.admin.ListEndOffsets(ctx, names...)
	return d, r.explain(err)
}

// withServer runs an action against --server, bounded by --timeout.
func withServer(c *cli.Context, action func(ctx context.Context, server *remote) error) error {
	server, err := connect(c)
	if err != nil {
		return err
	}
	defer server.client.Close()
	ctx, cancel := context.WithTimeout(c.Context, server.timeout)
	defer cancel()
	return action(ctx, server)
}

func listTopics(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		d, err := server.describe(ctx)
		if err != nil {
			return fmt.Errorf("topics: %w", err)
		}
		if len(d.details) == 0 {
			_, _ = fmt.Fprintln(c.App.ErrWriter, "there are no topics; oneplusn topics create TOPIC makes one")
			return nil
		}
		sizes := server.sizes(ctx)
		table := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "TOPIC\tPARTITIONS\tRECORDS\tSIZE")
		for _, t := range d.details.Sorted() {
			var records int64
			for _, p := range t.Partitions.Sorted() {
				start, end := d.records(t.Topic, p.Partition)
				records += end - start
			}
			_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", t.Topic, len(t.Partitions), records, sizes.total(t.Topic))
		}
		return table.Flush()
	})
}

func describeTopics(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		d, err := server.describe(ctx, c.Args().Slice()...)
		if err != nil {
			return fmt.Errorf("topics describe: %w", err)
		}
		sizes := server.sizes(ctx)
		var failed error
		table := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "TOPIC\tPARTITION\tLEADER\tREPLICAS\tSTART\tEND\tRECORDS\tSIZE")
		for _, t := range d.details.Sorted() {
			if t.Err != nil {
				failed = errors.Join(failed, fmt.Errorf("topics describe %s: %w", t.Topic, server.explain(t.Err)))
				continue
			}
			for _, p := range t.Partitions.Sorted() {
				start, end := d.records(t.Topic, p.Partition)
				_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\t%d\t%d\t%s\n", t.Topic, p.Partition, p.Leader, joinIDs(p.Replicas),
					start, end, end-start, sizes.of(t.Topic, p.Partition))
			}
		}
		return errors.Join(table.Flush(), failed)
	})
}

func joinIDs(ids []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}

func createTopics(c *cli.Context) error {
	partitions, replication := c.Int("partitions"), c.Int("replication")
	if partitions < 1 && c.IsSet("partitions") || partitions > 1<<30 {
		return usageErrorf("--partitions is %d, it must be at least 1", partitions)
	}
	if replication < 1 && c.IsSet("replication") || replication > 1<<15-1 {
		return usageErrorf("--replication is %d, allowed are 1 to %d", replication, 1<<15-1)
	}
	configs := map[string]*string{}
	for _, pair := range c.StringSlice("config") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return usageErrorf("--config %q is not KEY=VALUE, as in retention.ms=3600000", pair)
		}
		configs[key] = &value
	}
	return withServer(c, func(ctx context.Context, server *remote) error {
		created, err := server.admin.CreateTopics(ctx, int32(partitions), int16(replication), configs, c.Args().Slice()...)
		if err != nil {
			return fmt.Errorf("topics create: %w", server.explain(err))
		}
		var failed error
		for _, name := range c.Args().Slice() {
			t := created[name]
			switch {
			case t.Err == nil:
				_, _ = fmt.Fprintf(c.App.Writer, "created %s\n", name)
			case errors.Is(t.Err, kerr.TopicAlreadyExists) && c.Bool("if-not-exists"):
				_, _ = fmt.Fprintf(c.App.Writer, "%s exists\n", name)
			default:
				failed = errors.Join(failed, fmt.Errorf("topics create %s: %w", name, withMessage(t.Err, t.ErrMessage)))
			}
		}
		return failed
	})
}

// withMessage adds what the server said besides the code.
func withMessage(err error, message string) error {
	if message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, message)
}

func deleteTopics(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		deleted, err := server.admin.DeleteTopics(ctx, c.Args().Slice()...)
		if err != nil {
			return fmt.Errorf("topics delete: %w", server.explain(err))
		}
		var failed error
		for _, name := range c.Args().Slice() {
			t := deleted[name]
			if t.Err != nil {
				failed = errors.Join(failed, fmt.Errorf("topics delete %s: %w", name, withMessage(server.explain(t.Err), t.ErrMessage)))
				continue
			}
			_, _ = fmt.Fprintf(c.App.Writer, "deleted %s\n", name)
		}
		return failed
	})
}
