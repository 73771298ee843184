package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/report"
	"oneplusn/fanout/flags"
)

const pubDescription = `Publishes each line of standard input, or of --file, as one record without the newline. Ends when the input has
ended and every record is acknowledged. Counts go to standard error.

   date | oneplusn pub clock
   oneplusn pub words --file /usr/share/dict/words --compression zstd
   printf 'alice:1\nbob:2\n' | oneplusn pub scores --key-separator :

--key-separator splits each line, where it first occurs, into key and value; a line without it has no key.
Records with the same key go to the same partition. A missing topic is created if the server allows it.

The first refused record ends the command with exit code 1. SIGINT stops reading, waits for the acknowledgement
of all that was read, and exits with 0.`

func pubCommand() *cli.Command {
	return &cli.Command{
		Name:        "pub",
		Usage:       "publish lines to a topic",
		ArgsUsage:   "TOPIC",
		Description: pubDescription,
		Flags: clientFlags("pub-",
			&cli.StringFlag{Name: "file", Usage: "read `FILE` instead of standard input"},
			&cli.StringFlag{Name: "key-separator", Usage: "split each line into key and value at the first `TEXT`"},
			&cli.StringFlag{Name: "compression", Value: "none", Usage: "compress batches with `CODEC`: none, gzip, snappy, lz4 or zstd"},
			&cli.StringFlag{Name: "acks", Value: "all", Usage: "`WHO` acknowledges a record: all (the in-sync replicas), 1 (the leader), or 0 (nobody: losses go unnoticed)"},
			sizeFlag("batch-size", "fill batches up to `SIZE`, before compression", 1_000_012, 1<<10, 1<<30),
			&cli.DurationFlag{Name: "linger", Value: 5 * time.Millisecond,
				Usage: "let a record wait `DURATION` for others, to share a batch with them"},
			within(0, math.MaxInt32, &cli.IntFlag{Name: "partition", Value: -1, Usage: "publish to partition `N` (default: by key, or evenly)"}),
		),
		Action: pub,
	}
}

// pubOptions turns the flags into those of the client.
func pubOptions(c *cli.Context) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(c.Args().First()),
		kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchMaxBytes(int32(sizeOf(c, "batch-size"))),
		kgo.ProducerLinger(c.Duration("linger")),
		kgo.RecordDeliveryTimeout(c.Duration("timeout")),
		kgo.MaxBufferedBytes(64 << 20),
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[c.String("compression")]
	if !ok {
		return nil, usageErrorf("--compression %q: choose one of none, gzip, snappy, lz4, zstd", c.String("compression"))
	}
	opts = append(opts, kgo.ProducerBatchCompression(codec))
	// An idempotent producer, whose retries publish nothing twice, needs acks=all.
	switch c.String("acks") {
	case "all", "-1":
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	default:
		return nil, usageErrorf("--acks %q: choose one of all, 1, 0", c.String("acks"))
	}
	if c.IsSet("partition") {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

func pub(c *cli.Context) error {
	opts, err := pubOptions(c)
	if err != nil {
		return err
	}
	input := c.App.Reader
	if name := c.String("file"); name != "" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("pub: %w", err)
		}
		defer func() { _ = file.Close() }()
		input = file
	}
	server, err := connect(c, opts...)
	if err != nil {
		return err
	}
	defer server.client.Close()
	p := &publisher{server: server, separator: []byte(c.String("key-separator")), partition: int32(max(c.Int("partition"), 0)),
		maxLineBytes: int(sizeOf(c, "batch-size")), progress: report.NewProgress(c.App.ErrWriter)}
	started := time.Now()
	err = p.run(c.Context, input)
	p.progress.Clear()
	records, bytes, _ := p.state()
	if records == 0 && err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "published %s, %s, to %s in %.2f s\n", counted(records, "record"), flags.RoundSize(bytes),
		c.Args().First(), time.Since(started).Seconds())
	return err
}

// publisher publishes lines, and counts acknowledged records.
type publisher struct {
	server       *remote
	separator    []byte
	partition    int32
	maxLineBytes int
	progress     *report.Progress

	mu      sync.Mutex
	records int64
	bytes   int64
	failed  error
}

// run publishes until the input ends, a record is refused, or a signal comes.
func (p *publisher) run(ctx context.Context, input io.Reader) error {
	ctx, restore := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer restore()
	// Nothing interrupts a read from a terminal: it has its own goroutine, which ends with the process.
	lines, end := make(chan []byte, 1024), make(chan error, 1)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	go func() {
		end <- readLines(reading, input, p.maxLineBytes, lines)
		close(lines)
	}()
	// Buffered records outlive the signal that stops the reading.
	delivery := context.WithoutCancel(ctx)
	p.progress.Begin()
	for number := int64(1); ; number++ {
		var line []byte
		open := false
		select {
		case line, open = <-lines:
		case <-ctx.Done():
		}
		records, bytes, failed := p.state()
		if !open || failed != nil {
			break
		}
		p.progress.Show("published %s, %s", counted(records, "record"), flags.RoundSize(bytes))
		p.server.client.Produce(delivery, p.record(line), p.promise(number))
	}
	restore() // a second signal ends the wait
	flushed, cancel := context.WithTimeout(delivery, p.server.timeout)
	defer cancel()
	flushErr := p.server.client.Flush(flushed)
	var readErr error
	select {
	case readErr = <-end:
	default:
	}
	if _, _, failed := p.state(); failed != nil {
		return failed
	}
	return errors.Join(readErr, p.server.explain(flushErr))
}

func (p *publisher) record(line []byte) *kgo.Record {
	r := &kgo.Record{Value: line, Partition: p.partition}
	if len(p.separator) > 0 {
		if key, value, ok := bytes.Cut(line, p.separator); ok {
			r.Key, r.Value = key, value
		}
	}
	return r
}

func (p *publisher) promise(number int64) func(*kgo.Record, error) {
	return func(r *kgo.Record, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err == nil:
			p.records++
			p.bytes += int64(len(r.Key) + len(r.Value))
		case p.failed == nil:
			p.failed = fmt.Errorf("pub: line %d (%d bytes): %w", number, len(r.Value), p.server.explain(err))
		}
	}
}

func (p *publisher) state() (records, bytes int64, failed error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records, p.bytes, p.failed
}

// readLines sends each line without its newline, until ctx ends. To bound memory, it refuses a line longer than a batch.
func readLines(ctx context.Context, input io.Reader, maxBytes int, lines chan<- []byte) error {
	scanner := bufio.NewScanner(input)
	scanner.Buffer(make([]byte, 64<<10), max(maxBytes, 64<<10)+2)
	scanner.Split(splitAtNewline)
	number := 0
	for scanner.Scan() {
		number++
		select {
		case lines <- bytes.Clone(scanner.Bytes()):
		case <-ctx.Done():
			return nil
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("pub: line %d is longer than a batch of %s: raise --batch-size, and --max-message-bytes of the server",
			number+1, flags.RoundSize(int64(maxBytes)))
	}
	return scanner.Err()
}

// splitAtNewline is bufio.ScanLines, but keeps carriage returns: a record is the line's bytes.
func splitAtNewline(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
