package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os/signal"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/report"
)

const subDescription = `Prints the value of each new record as a line, until SIGINT.

   oneplusn sub words --from beginning --until-end
   oneplusn sub scores --from -10 --format '%p %o %k=%v\n'
   oneplusn sub scores --from -15m --format json
   oneplusn sub jobs --group workers

--from is one of
   beginning, end     of every partition
   N, -N              offset N of every partition, or N records before its end
   -15m               the first record of the last 15 minutes
   TIME               2026-11-24T18:30:00Z, or 2026-11-24 18:30, or 2026-11-24 (local time)

--format is text (the value and a newline), json (one object per line; bytes that are not UTF-8 as base64), hex,
or a template: %t topic, %p partition, %o offset, %d timestamp in milliseconds, %k key, %v value, %h number of
headers, \n newline.

With --group the members of the group share the partitions. The group continues from its committed offsets;
--from applies only to partitions without one. Printed records are committed once a second and at the end.`

func subCommand() *cli.Command {
	return &cli.Command{
		Name:        "sub",
		Usage:       "print the records of a topic",
		ArgsUsage:   "TOPIC",
		Description: subDescription,
		Flags: clientFlags("sub-",
			&cli.StringFlag{Name: "from", Usage: "begin at `WHERE`: beginning, end, an offset or a time (default: end, with --until-end beginning)"},
			&cli.StringFlag{Name: "group", Usage: "join consumer group `NAME` and share the partitions with its members"},
			&cli.Int64Flag{Name: "count", Usage: "end after `N` records; 0 for no end"},
			&cli.BoolFlag{Name: "until-end", Usage: "end at the topic's end as it is when the command starts"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT` of a record: text, json, hex, or a template with %"},
			within(0, math.MaxInt32, &cli.IntFlag{Name: "partition", Value: -1, Usage: "read partition `N` only (default: all)"}),
			&cli.BoolFlag{Name: "quiet", Usage: "print only errors on standard error"},
		),
		Action: sub,
	}
}

// subscription is one run of sub.
type subscription struct {
	server   *remote
	topic    string
	group    string
	from     position
	untilEnd bool
	count    int64 // 0 for no end
	render   renderer
	out      *bufio.Writer
	notes    io.Writer
	progress *report.Progress

	bounds   offsets
	next     map[int32]int64 // each partition's next offset; nil in a group
	received int64
}

func sub(c *cli.Context) error {
	s := &subscription{topic: c.Args().First(), group: c.String("group"), untilEnd: c.Bool("until-end"),
		count: c.Int64("count"), out: bufio.NewWriterSize(c.App.Writer, 64<<10), notes: c.App.ErrWriter}
	if c.Bool("quiet") {
		s.notes = io.Discard
	}
	s.progress = report.NewProgress(s.notes)
	if err := s.parse(c); err != nil {
		return err
	}
	ctx, restore := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer restore()
	if err := s.open(ctx, c); err != nil {
		return err
	}
	defer s.server.client.Close()
	context.AfterFunc(ctx, restore) // a second signal ends the process
	err := s.run(ctx)
	s.progress.Clear()
	err = cmp.Or(err, s.out.Flush())
	if s.group != "" {
		err = errors.Join(err, s.leave())
	}
	if s.received > 0 || err == nil {
		fmt.Fprintf(s.notes, "received %s from %s\n", counted(s.received, "record"), s.topic)
	}
	if err != nil {
		return fmt.Errorf("sub: %w", s.server.explain(err))
	}
	return nil
}

// parse reads the flags.
func (s *subscription) parse(c *cli.Context) (err error) {
	byDefault := "end"
	if s.untilEnd {
		byDefault = "beginning"
	}
	if s.from, err = parsePosition(cmp.Or(c.String("from"), byDefault), time.Now()); err != nil {
		return usageErrorf("--from %w", err)
	}
	if s.render, err = newRenderer(c.String("format")); err != nil {
		return usageErrorf("--format %w", err)
	}
	if s.count < 0 {
		return usageErrorf("--count is %d, it must be at least 0", s.count)
	}
	if s.group != "" && c.Int("partition") >= 0 {
		return usageErrorf("--partition does not go with --group: a group shares all partitions")
	}
	return nil
}

// open connects and decides where to begin.
func (s *subscription) open(ctx context.Context, c *cli.Context) error {
	looker, err := connect(c)
	if err != nil {
		return err
	}
	defer looker.client.Close()
	if s.bounds, err = looker.offsets(ctx, s.topic); err != nil {
		return err
	}
	var opts []kgo.Opt
	if s.group != "" {
		opts = []kgo.Opt{kgo.ConsumeTopics(s.topic), kgo.ConsumerGroup(s.group), kgo.AutoCommitMarks(),
			kgo.AutoCommitInterval(time.Second), kgo.ConsumeResetOffset(s.from.offset()), kgo.BlockRebalanceOnPoll()}
	} else {
		if only := int32(c.Int("partition")); only >= 0 {
			if _, ok := s.bounds.end[only]; !ok {
				return usageErrorf("--partition %d: topic %q has partitions 0 to %d", only, s.topic, len(s.bounds.end)-1)
			}
			keep := func(partition int32, _ int64) bool { return partition != only }
			maps.DeleteFunc(s.bounds.start, keep)
			maps.DeleteFunc(s.bounds.end, keep)
		}
		if s.next, err = s.from.resolve(ctx, looker, s.topic, s.bounds); err != nil {
			return err
		}
		starts := map[int32]kgo.Offset{}
		for partition, offset := range s.next {
			starts[partition] = kgo.NewOffset().At(offset)
		}
		opts = []kgo.Opt{kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: starts})}
	}
	// Control records are not printed, but a topic may end with one.
	s.server, err = connect(c, append(opts, kgo.KeepControlRecords())...)
	return err
}

// run prints records until --until-end or --count is reached, or ctx ends.
func (s *subscription) run(ctx context.Context) error {
	s.progress.Begin()
	hint := time.AfterFunc(2*time.Second, s.sayWaiting)
	defer hint.Stop()
	for {
		done, err := s.atEnd(ctx)
		if ctx.Err() != nil {
			return nil // err, if any, is the request that this cut short
		}
		if done || err != nil {
			return err
		}
		fetches, err := s.poll(ctx)
		if err != nil {
			return err
		}
		if fetches.NumRecords() > 0 {
			hint.Stop()
		}
		full, err := s.print(fetches)
		s.server.client.AllowRebalance()
		err = cmp.Or(err, s.out.Flush())
		if full || err != nil {
			return err
		}
		if s.untilEnd {
			s.progress.Show("received %s", counted(s.received, "record"))
		}
	}
}

// idlePoll is the longest wait for records. A member that reads to the end then checks the progress of the whole group.
const idlePoll = 500 * time.Millisecond

func (s *subscription) poll(ctx context.Context) (kgo.Fetches, error) {
	polling, cancel := context.WithTimeout(ctx, idlePoll)
	defer cancel()
	fetches := s.server.client.PollFetches(polling)
	for _, e := range fetches.Errors() {
		if polling.Err() == nil && !errors.Is(e.Err, context.Canceled) && !errors.Is(e.Err, context.DeadlineExceeded) {
			return fetches, fmt.Errorf("partition %d of %s: %w", e.Partition, e.Topic, e.Err)
		}
	}
	return fetches, nil
}

// print writes records and reports whether --count is reached.
func (s *subscription) print(fetches kgo.Fetches) (full bool, err error) {
	for records := fetches.RecordIter(); !records.Done(); {
		r := records.Next()
		if s.next != nil {
			s.next[r.Partition] = r.Offset + 1
		}
		if !r.Attrs.IsControl() {
			if err := s.render(s.out, r); err != nil {
				return false, err
			}
			s.received++
		}
		if s.group != "" {
			s.server.client.MarkCommitRecords(r)
		}
		if s.count > 0 && s.received == s.count {
			return true, nil
		}
	}
	return false, nil
}

// atEnd reports whether --until-end is reached. In a group the committed offsets of all members decide.
func (s *subscription) atEnd(ctx context.Context) (bool, error) {
	if !s.untilEnd {
		return false, nil
	}
	next := s.next
	if s.group != "" {
		if err := s.server.client.CommitMarkedOffsets(ctx); err != nil {
			return false, err
		}
		committed, err := s.server.admin.FetchOffsetsForTopics(ctx, s.group, s.topic)
		if err != nil {
			return false, err
		}
		next = map[int32]int64{}
		for partition := range s.bounds.end {
			if at, ok := committed.Lookup(s.topic, partition); ok && at.Err == nil && at.At >= 0 {
				next[partition] = at.At
			} else if s.from.kind != fromEnd {
				next[partition] = s.bounds.start[partition]
			}
		}
	}
	for partition, end := range s.bounds.end {
		if at, ok := next[partition]; ok && at < end {
			return false, nil
		}
	}
	return true, nil
}

// leave commits the printed records. The other members take over at once.
func (s *subscription) leave() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.server.timeout)
	defer cancel()
	if err := s.server.client.CommitMarkedOffsets(ctx); err != nil {
		return fmt.Errorf("committing the offsets of group %q: %w", s.group, err)
	}
	if err := s.server.client.LeaveGroupContext(ctx); err != nil {
		return fmt.Errorf("leaving group %q: %w", s.group, err)
	}
	return nil
}

// sayWaiting explains why nothing is printed yet.
func (s *subscription) sayWaiting() {
	text := fmt.Sprintf("waiting for records of topic %s", s.topic)
	if s.group == "" && s.from.kind == fromEnd {
		text += fmt.Sprintf(" published from now on; --from beginning prints %s", counted(s.bounds.records(), "existing record"))
	}
	fmt.Fprintln(s.notes, text)
}
