package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/urfave/cli/v2"
)

// dialTimeout bounds the first connection and the first answer, so that a wrong address is reported soon.
const dialTimeout = 5 * time.Second

// clientFlags are what pub, sub, topics and groups have in common.
func clientFlags(prefix string, more ...cli.Flag) []cli.Flag {
	return append(named("",
		&cli.StringFlag{Name: "server", Value: "127.0.0.1:9092", Usage: "`HOST:PORT` of the server, any that speaks the Kafka protocol; several with commas between them"},
		&cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "`DURATION` to wait for an answer or an acknowledgement at most"},
	), named(prefix, more...)...)
}

// commandOf fills in what every command of a group of commands needs, as newApp does for those of the first level.
func commandOf(c *cli.Command) *cli.Command {
	c.HideHelpCommand = true
	c.OnUsageError = asUsageError
	return c
}

// oneTopic is the Before of a command with one argument, the topic.
func oneTopic(c *cli.Context) error {
	switch {
	case c.NArg() == 0:
		return usageErrorf("%s needs the name of a topic: oneplusn %s TOPIC (oneplusn %s --help)", c.Command.Name, c.Command.Name, c.Command.Name)
	case c.NArg() > 1:
		return usageErrorf("%s takes one topic, %q was given as well", c.Command.Name, c.Args().Get(1))
	}
	return nil
}

// remote is a server that a command talks to.
type remote struct {
	addresses string
	timeout   time.Duration
	client    *kgo.Client
	admin     *kadm.Client
}

// connect makes sure that a server answers at --server, and returns clients for it. The caller closes them.
func connect(c *cli.Context, opts ...kgo.Opt) (*remote, error) {
	r := &remote{addresses: c.String("server"), timeout: c.Duration("timeout")}
	if r.timeout <= 0 {
		return nil, usageErrorf("--timeout is %v, it must be more than 0", r.timeout)
	}
	seeds := strings.Split(r.addresses, ",")
	for _, seed := range seeds {
		if _, port, err := net.SplitHostPort(seed); err != nil || port == "" {
			return nil, usageErrorf("--server %q: %q is not HOST:PORT, as in 127.0.0.1:9092", r.addresses, seed)
		}
	}
	if err := r.reach(c.Context, seeds); err != nil {
		return nil, err
	}
	var err error
	notices := &connectionNotices{out: c.App.ErrWriter}
	common := []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.ClientID("oneplusn"), kgo.WithHooks(notices), kgo.DialTimeout(dialTimeout)}
	if r.client, err = kgo.NewClient(append(common, opts...)...); err != nil {
		return nil, &usageError{err}
	}
	r.admin = kadm.NewClient(r.client)
	r.admin.SetTimeoutMillis(int32(min(r.timeout.Milliseconds(), 1<<30)))
	ctx, cancel := context.WithTimeout(c.Context, dialTimeout)
	defer cancel()
	if err := r.client.Ping(ctx); err != nil {
		r.client.Close()
		return nil, fmt.Errorf("%s accepts connections but does not answer as a Kafka server: %w", r.addresses, err)
	}
	return r, nil
}

// reach tries a plain connection first: a client would go on trying in silence.
func (r *remote) reach(ctx context.Context, seeds []string) error {
	var first error
	for _, seed := range seeds {
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", seed)
		if err == nil {
			return conn.Close()
		}
		if first == nil {
			first = err
		}
	}
	if errors.Is(first, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing listens on %s: start a server with `oneplusn serve`, or name another one with --server HOST:PORT", r.addresses)
	}
	return fmt.Errorf("no connection to %s: %w: name another server with --server HOST:PORT", r.addresses, first)
}

// explain turns the errors that people meet into words and a remedy.
func (r *remote) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrRecordTimeout):
		return fmt.Errorf("%s did not answer within %v (--timeout): %w", r.addresses, r.timeout, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%s has no such topic or partition (oneplusn topics lists them, oneplusn topics create makes one): %w", r.addresses, err)
	case errors.Is(err, kerr.GroupIDNotFound):
		return fmt.Errorf("there is no such group (oneplusn groups lists them): %w", err)
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("a record is too large: %w: shorten it, or raise --batch-size here and --max-message-bytes of the server", err)
	}
	return err
}

// offsets are the first offset and the one behind the last of each partition of a topic.
type offsets struct{ start, end map[int32]int64 }

// offsets asks for a topic's bounds, which must exist.
func (r *remote) offsets(ctx context.Context, topic string) (offsets, error) {
	o := offsets{map[int32]int64{}, map[int32]int64{}}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	details, err := r.admin.ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return o, r.explain(err)
	}
	if err := details[topic].Err; err != nil {
		return o, fmt.Errorf("topic %q: %w", topic, r.explain(err))
	}
	starts, err := r.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return o, r.explain(err)
	}
	ends, err := r.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return o, r.explain(err)
	}
	if err := errors.Join(starts.Error(), ends.Error()); err != nil {
		return o, r.explain(err)
	}
	starts.Each(func(l kadm.ListedOffset) { o.start[l.Partition] = l.Offset })
	ends.Each(func(l kadm.ListedOffset) { o.end[l.Partition] = l.Offset })
	return o, nil
}

// connectionNotices reports that a server went away: the client library retries in silence.
type connectionNotices struct {
	mu   sync.Mutex
	out  io.Writer
	last time.Time
}

// noticeEvery limits the notices about a server that stays away.
const noticeEvery = 5 * time.Second

var _ kgo.HookBrokerConnect = (*connectionNotices)(nil)

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (n *connectionNotices) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.last) < noticeEvery {
		return
	}
	n.last = time.Now()
	_, _ = fmt.Fprintf(n.out, "oneplusn: no connection to %s:%d: %s; trying again\n", meta.Host, meta.Port, oneLine(err.Error()))
}
