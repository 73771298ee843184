package main

import (
	"cmp"
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

// clientFlags are common to pub, sub, topics and groups.
func clientFlags(prefix string, more ...cli.Flag) []cli.Flag {
	return append(named("",
		&cli.StringFlag{Name: "server", Value: "127.0.0.1:9092", Usage: "`HOST:PORT` of any server that speaks the Kafka protocol; several separated by commas"},
		&cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "wait at most `DURATION` for an answer or an acknowledgement"},
	), named(prefix, more...)...)
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

// withServer runs an action of a command against --server, bounded by --timeout.
func withServer(c *cli.Context, action func(ctx context.Context, server *remote) error) error {
	server, err := connect(c)
	if err != nil {
		return err
	}
	defer server.client.Close()
	ctx, cancel := context.WithTimeout(c.Context, server.timeout)
	defer cancel()
	if err := action(ctx, server); err != nil {
		return fmt.Errorf("%s: %w", pathOf(c.Command), server.explain(err))
	}
	return nil
}

// each calls do for each name, also after a failure, and returns all failures.
func (r *remote) each(names []string, do func(name string) error) error {
	var failed []error
	for _, name := range names {
		if err := do(name); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, r.explain(err)))
		}
	}
	return errors.Join(failed...)
}

// reach tries a plain connection first, because a client retries in silence.
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
		return fmt.Errorf("nothing listens on %s: start a server with `oneplusn serve`, or name another with --server HOST:PORT", r.addresses)
	}
	return fmt.Errorf("no connection to %s: %w: name another server with --server HOST:PORT", r.addresses, first)
}

// explain adds a remedy to common errors. It keeps only their text, so that explaining one again changes nothing.
func (r *remote) explain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrRecordTimeout):
		return fmt.Errorf("%s did not answer within %v (--timeout): %v", r.addresses, r.timeout, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%s has no such topic or partition (oneplusn topics lists them, oneplusn topics create adds one): %v", r.addresses, err)
	case errors.Is(err, kerr.GroupIDNotFound):
		return fmt.Errorf("there is no such group (oneplusn groups lists them): %v", err)
	case errors.Is(err, kerr.NonEmptyGroup):
		return fmt.Errorf("the group has members, stop them first: %v", err)
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("a record is too large: %v: shorten it, or raise --batch-size here and --max-message-bytes of the server", err)
	}
	return err
}

// topic is a topic and what its partitions hold.
type topic struct {
	kadm.TopicDetail
	offsets
}

// offsets are the first offset of each partition of a topic and the one after its last, or the error in place of some.
type offsets struct {
	start, end map[int32]int64
	err        error
}

// records counts offsets. Compaction and transactions leave gaps, so there may be fewer records.
func (o offsets) records() (n int64) {
	for partition, end := range o.end {
		n += end - o.start[partition]
	}
	return n
}

// describe asks for some topics, or for all but the internal ones.
func (r *remote) describe(ctx context.Context, names ...string) (map[string]topic, error) {
	details, err := r.admin.ListTopics(ctx, names...)
	if err != nil || len(details) == 0 {
		return nil, err
	}
	starts, err := r.admin.ListStartOffsets(ctx, details.Names()...)
	if err != nil {
		return nil, err
	}
	ends, err := r.admin.ListEndOffsets(ctx, details.Names()...)
	if err != nil {
		return nil, err
	}
	topics := map[string]topic{}
	for name, detail := range details {
		t := topic{detail, offsets{start: map[int32]int64{}, end: map[int32]int64{}, err: detail.Err}}
		for partition, l := range starts[name] {
			t.start[partition], t.err = l.Offset, cmp.Or(t.err, l.Err)
		}
		for partition, l := range ends[name] {
			t.end[partition], t.err = l.Offset, cmp.Or(t.err, l.Err)
		}
		topics[name] = t
	}
	return topics, nil
}

// offsets asks for the bounds of a topic that must exist.
func (r *remote) offsets(ctx context.Context, name string) (offsets, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	topics, err := r.describe(ctx, name)
	if err != nil {
		return offsets{}, r.explain(err)
	}
	if err := topics[name].err; err != nil {
		return offsets{}, fmt.Errorf("topic %q: %w", name, r.explain(err))
	}
	return topics[name].offsets, nil
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
	fmt.Fprintf(n.out, "oneplusn: no connection to %s:%d: %s; trying again\n", meta.Host, meta.Port, oneLine(err.Error()))
}
