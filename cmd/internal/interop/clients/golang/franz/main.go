// Command franz is the driver of franz-go. See README.md two directories up for the command line.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	args = append(args, "", "", "", "", "")
	count, _ := strconv.Atoi(args[3])
	memberCount, _ := strconv.Atoi(args[4])
	switch args[0] {
	case "version":
		return version("github.com/twmb/franz-go")
	case "publish":
		return publish(ctx, args[1], args[2], args[3])
	case "consume":
		return consume(ctx, args[1], count, kgo.ConsumeTopics(args[2]))
	case "member":
		return consume(ctx, args[1], memberCount, kgo.ConsumeTopics(args[2]), kgo.ConsumerGroup(args[3]))
	case "topics":
		return topics(ctx, args[1], args[2])
	case "groups":
		return groups(ctx, args[1], args[2])
	}
	return errors.New("usage: see README.md")
}

func version(module string) error {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == module {
			fmt.Println(m.Version)
		}
	}
	return nil
}

func publish(ctx context.Context, address, topic, codec string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(codecs[codec]))
	if err != nil {
		return err
	}
	defer client.Close()
	var failed error
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		client.Produce(ctx, kgo.StringRecord(lines.Text()), func(_ *kgo.Record, err error) {
			if failed == nil {
				failed = err
			}
		})
	}
	return errors.Join(client.Flush(ctx), failed)
}

// consume prints count records, or all for ever. What a member printed is committed before it leaves.
func consume(ctx context.Context, address string, count int, opts ...kgo.Opt) error {
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(address))...)
	if err != nil {
		return err
	}
	defer client.Close()
	for left := count; count == 0 || left > 0; {
		fetches := client.PollRecords(ctx, left)
		if err := fetches.Err(); err != nil {
			return err
		}
		out := bufio.NewWriter(os.Stdout)
		for _, r := range fetches.Records() {
			_, _ = out.Write(append(r.Value, '\n'))
			left--
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	if group, _ := client.GroupMetadata(); group != "" {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		return client.LeaveGroupContext(ctx)
	}
	return nil
}

func topics(ctx context.Context, address, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 3, 1, nil, topic); err != nil {
		return err
	}
	listed, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	fmt.Println("partitions", len(listed[topic].Partitions))
	if _, err := admin.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	fmt.Println("deleted")
	return nil
}

func groups(ctx context.Context, address, group string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	listed, err := admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	if _, ok := listed[group]; ok {
		fmt.Println("listed")
	}
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	fmt.Println(described[group].State, len(described[group].Members))
	return described.Error()
}
