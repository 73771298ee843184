// Command sarama is the driver of sarama. See README.md two directories up for the command line.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/IBM/sarama"
)

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
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
	address := []string{args[1]}
	switch args[0] {
	case "version":
		return version("github.com/IBM/sarama")
	case "publish":
		return publish(address, args[2], args[3])
	case "consume":
		return consume(address, args[2], count)
	case "member":
		return member(ctx, address, args[2], args[3], memberCount)
	case "topics":
		return topics(address, args[2])
	case "groups":
		return groups(address, args[2])
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

func publish(address []string, topic, codec string) error {
	config := sarama.NewConfig()
	config.Producer.Compression = codecs[codec]
	producer, err := sarama.NewAsyncProducer(address, config)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		select {
		case producer.Input() <- &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(lines.Text())}:
		case err := <-producer.Errors():
			return err
		}
	}
	return producer.Close()
}

func consume(address []string, topic string, count int) error {
	consumer, err := sarama.NewConsumer(address, sarama.NewConfig())
	if err != nil {
		return err
	}
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for range count {
		m := <-partition.Messages()
		_, _ = out.Write(append(m.Value, '\n'))
	}
	return errors.Join(out.Flush(), partition.Close(), consumer.Close())
}

// handler prints count records, or all for ever. It is given one claim at a time where count matters.
type handler struct {
	left int
	stop context.CancelFunc
}

// Setup implements [sarama.ConsumerGroupHandler].
func (h *handler) Setup(sarama.ConsumerGroupSession) error { return nil }

// Cleanup implements [sarama.ConsumerGroupHandler].
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim implements [sarama.ConsumerGroupHandler].
func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			_, _ = os.Stdout.Write(append(m.Value, '\n'))
			session.MarkMessage(m, "")
			if h.left--; h.left == 0 {
				h.stop()
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func member(ctx context.Context, address []string, topic, group string, count int) error {
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	consumer, err := sarama.NewConsumerGroup(address, group, config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	h := &handler{left: count, stop: stop}
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, h); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return consumer.Close()
}

func topics(address []string, topic string) error {
	admin, err := sarama.NewClusterAdmin(address, sarama.NewConfig())
	if err != nil {
		return err
	}
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false); err != nil {
		return err
	}
	described, err := admin.DescribeTopics([]string{topic})
	if err != nil {
		return err
	}
	fmt.Println("partitions", len(described[0].Partitions))
	if err := admin.DeleteTopic(topic); err != nil {
		return err
	}
	fmt.Println("deleted")
	return admin.Close()
}

func groups(address []string, group string) error {
	admin, err := sarama.NewClusterAdmin(address, sarama.NewConfig())
	if err != nil {
		return err
	}
	listed, err := admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	if _, ok := listed[group]; ok {
		fmt.Println("listed")
	}
	described, err := admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return err
	}
	fmt.Println(described[0].State, len(described[0].Members))
	return admin.Close()
}
