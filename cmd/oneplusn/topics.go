package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

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

SIZE is the space on disk, "-" if the server does not report it.`

func topicsCommand() *cli.Command {
	return &cli.Command{
		Name:        "topics",
		Usage:       "list, describe, create and delete topics",
		Description: topicsDescription,
		Flags:       clientFlags(""),
		Action:      listTopics,
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the topics with their partitions, records and size", Flags: clientFlags(""), Action: listTopics},
			{Name: "describe", Usage: "show each partition's leader, offsets and size", ArgsUsage: "TOPIC...",
				Flags: clientFlags(""), Action: describeTopics},
			{Name: "create", Usage: "create topics", ArgsUsage: "TOPIC...",
				Flags: clientFlags("topics-",
					within(1, 1<<30, &cli.IntFlag{Name: "partitions", Value: -1, Usage: "create topics of `N` partitions (default: the server's)"}),
					within(1, math.MaxInt16, &cli.IntFlag{Name: "replication", Value: -1, Usage: "keep `N` replicas of each partition (default: the server's)"}),
					&cli.StringSliceFlag{Name: "config", Usage: "give the topics setting `KEY=VALUE`, as in retention.ms=3600000; may be repeated"},
					&cli.BoolFlag{Name: "if-not-exists", Usage: "succeed if the topic exists"},
				), Action: createTopics},
			{Name: "delete", Usage: "delete topics and their records; there is no undo", ArgsUsage: "TOPIC...",
				Flags: clientFlags(""), Action: deleteTopics},
		},
	}
}

// topicSizes are the bytes on disk by topic and partition. It is empty if the server does not report them.
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

// of formats the total size of partitions of a topic, empty if the server reports none.
func (s topicSizes) of(topic string, partitions ...kadm.PartitionDetail) (text string) {
	var total int64
	for _, p := range partitions {
		if bytes, ok := s[topic][p.Partition]; ok {
			total += bytes
			text = flags.RoundSize(total)
		}
	}
	return text
}

func listTopics(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		topics, err := server.describe(ctx)
		if err != nil {
			return err
		}
		if len(topics) == 0 {
			fmt.Fprintln(c.App.ErrWriter, "no topics; oneplusn topics create TOPIC adds one")
			return nil
		}
		sizes := server.sizes(ctx)
		table := newTable(c.App.Writer, "TOPIC", "PARTITIONS", "RECORDS", "SIZE")
		for _, name := range slices.Sorted(maps.Keys(topics)) {
			t := topics[name]
			table.row(name, len(t.Partitions), t.records(), sizes.of(name, t.Partitions.Sorted()...))
		}
		return table.Flush()
	})
}

func describeTopics(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		topics, err := server.describe(ctx, c.Args().Slice()...)
		if err != nil {
			return err
		}
		sizes := server.sizes(ctx)
		table := newTable(c.App.Writer, "TOPIC", "PARTITION", "LEADER", "REPLICAS", "START", "END", "RECORDS", "SIZE")
		err = server.each(slices.Sorted(maps.Keys(topics)), func(name string) error {
			t := topics[name]
			for _, p := range t.Partitions.Sorted() {
				start, end := t.start[p.Partition], t.end[p.Partition]
				table.row(name, p.Partition, p.Leader, joinIDs(p.Replicas), start, end, end-start, sizes.of(name, p))
			}
			return t.Err
		})
		return errors.Join(table.Flush(), err)
	})
}

func joinIDs(ids []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}

func createTopics(c *cli.Context) error {
	configs := map[string]*string{}
	for _, pair := range c.StringSlice("config") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return usageErrorf("--config %q is not KEY=VALUE, as in retention.ms=3600000", pair)
		}
		configs[key] = &value
	}
	return withServer(c, func(ctx context.Context, server *remote) error {
		created, err := server.admin.CreateTopics(ctx, int32(c.Int("partitions")), int16(c.Int("replication")), configs, c.Args().Slice()...)
		if err != nil {
			return err
		}
		return server.each(c.Args().Slice(), func(name string) error {
			t := created[name]
			switch {
			case t.Err == nil:
				fmt.Fprintf(c.App.Writer, "created %s\n", name)
			case errors.Is(t.Err, kerr.TopicAlreadyExists) && c.Bool("if-not-exists"):
				fmt.Fprintf(c.App.Writer, "%s exists\n", name)
			default:
				return withMessage(t.Err, t.ErrMessage)
			}
			return nil
		})
	})
}

// withMessage adds the server's own words to its error code.
func withMessage(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, message)
}

func deleteTopics(c *cli.Context) error {
	return withServer(c, func(ctx context.Context, server *remote) error {
		deleted, err := server.admin.DeleteTopics(ctx, c.Args().Slice()...)
		if err != nil {
			return err
		}
		return server.each(c.Args().Slice(), func(name string) error {
			t := deleted[name]
			if t.Err == nil {
				fmt.Fprintf(c.App.Writer, "deleted %s\n", name)
			}
			return withMessage(t.Err, t.ErrMessage)
		})
	})
}
