//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The promises of the table, by their column's title.
const (
	promisePublish = "publish"
	promiseConsume = "consume from the beginning"
	promiseGroup   = "group of three, one killed"
	promiseResume  = "commit, resume after a restart"
	promiseTopics  = "create, describe, delete topics"
	promiseGroups  = "list, describe groups"
)

var promises = []struct {
	name  string
	check func(t *testing.T, c client, d driver, address string)
}{
	{promisePublish, checkPublish},
	{promiseConsume, checkConsume},
	{promiseTopics, checkTopics},
	{promiseResume, checkResume},
	{promiseGroups, checkGroups},
	{promiseGroup, checkGroup},
}

const (
	installPatience = 5 * time.Minute
	// rebalancePatience covers the longest session timeout that a client has by default, a minute, and a busy machine.
	rebalancePatience = 150 * time.Second
	sampleLines       = 20_000
)

// TestEveryClientKeepsEveryPromise runs the clients side by side: what takes long is waiting for session timeouts.
func TestEveryClientKeepsEveryPromise(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", "interop"))
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, t.TempDir())
	outcome := newOutcomes()
	t.Run("clients", func(t *testing.T) {
		var installing sync.Mutex // what is installed is shared between clients
		for _, c := range clients {
			t.Run(strings.ReplaceAll(c.name, "/", "-"), func(t *testing.T) {
				t.Parallel()
				d := func() driver {
					installing.Lock()
					defer installing.Unlock()
					return c.prepare(t, dir)
				}()
				outcome.version(c.name, strings.TrimSpace(d.output(t, nil, "version")))
				keepPromises(t, c, d, s.address, outcome)
			})
		}
	})
	outcome.report(t)
}

func keepPromises(t *testing.T, c client, d driver, address string, outcome *outcomes) {
	for _, p := range promises {
		if why, ok := c.lacks[p.name]; ok {
			outcome.set(c.name, p.name, why)
			continue
		}
		result := "FAILED"
		if t.Run(p.name, func(t *testing.T) { p.check(t, c, d, address) }) {
			result = kept(c, p.name)
		}
		outcome.set(c.name, p.name, result)
	}
}

// kept is the table's cell for a kept promise.
func kept(c client, promise string) string {
	if promise == promisePublish {
		return strings.Join(c.codecs, ", ")
	}
	return "yes"
}

// slug makes a topic or group name of a client's.
func slug(c client, what string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, c.name) + "." + what
}

// sample is the first lines of the corpus.
func sample(t *testing.T) []byte {
	t.Helper()
	var text bytes.Buffer
	n := 0
	err := readCorpus(t).each(func(line []byte) {
		if n++; n <= sampleLines {
			text.Write(line)
			text.WriteByte('\n')
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func checkPublish(t *testing.T, c client, d driver, address string) {
	text := sample(t)
	for _, codec := range c.codecs {
		topic := slug(c, codec)
		createTopic(t, address, topic, 1)
		d.output(t, bytes.NewReader(text), "publish", address, topic, codec)
		wantCodec(t, address, topic, codec, sampleLines)
	}
}

func checkConsume(t *testing.T, c client, d driver, address string) {
	text := sample(t)
	for _, codec := range c.codecs {
		got := d.output(t, nil, "consume", address, slug(c, codec), fmt.Sprint(sampleLines))
		if got != string(text) {
			t.Errorf("%s batches came back as %d bytes, published were %d", codec, len(got), len(text))
		}
	}
}

func checkTopics(t *testing.T, c client, d driver, address string) {
	topic := slug(c, "short-lived")
	if got := d.output(t, nil, "topics", address, topic); got != "partitions 3\ndeleted\n" {
		t.Errorf("it printed %q", got)
	}
	if _, _, err := rawFetch(within(t), newFranz(t, address), topic, 0); err == nil {
		t.Errorf("%s is still there", topic)
	}
}

// numberedLines are count distinct lines.
func numberedLines(first, count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "job %d\n", first+i)
	}
	return text.String()
}

// plain batches can be read by every client: franz-go would use snappy.
var plain = kgo.ProducerBatchCompression(kgo.NoCompression())

// publishLines publishes lines to partition 0, as one batch if they fit.
func publishLines(t *testing.T, address, topic, lines string) {
	t.Helper()
	var records []*kgo.Record
	for line := range strings.Lines(lines) {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(strings.TrimSuffix(line, "\n"))})
	}
	if err := newFranz(t, address, plain).ProduceSync(within(t), records...).FirstErr(); err != nil {
		t.Fatalf("publishing to %s: %v", topic, err)
	}
}

// checkResume kills the server, which is the hardest way to restart it: what was committed must be there.
func checkResume(t *testing.T, c client, d driver, _ string) {
	s := startServer(t, t.TempDir())
	createTopic(t, s.address, "jobs", 1)
	publishLines(t, s.address, "jobs", numberedLines(0, 100))
	first := d.output(t, nil, "member", s.address, "jobs", "workers", "40")
	s.kill()
	s.start()
	rest := d.output(t, nil, "member", s.address, "jobs", "workers", "60")
	if first != numberedLines(0, 40) || rest != numberedLines(40, 60) {
		t.Errorf("the group got %q before the restart and %q after it", first, rest)
	}
}

func checkGroups(t *testing.T, c client, d driver, address string) {
	topic, group := slug(c, "watched"), slug(c, "watchers")
	createTopic(t, address, topic, 1)
	publishLines(t, address, topic, numberedLines(0, 1))
	m := d.startMember(t, address, topic, group)
	await(t, patience, func() bool { return len(m.got()) > 0 }, m)
	if got := strings.ToLower(d.output(t, nil, "groups", address, group)); got != "listed\nstable 1\n" {
		t.Errorf("it printed %q, want listed and Stable 1", got)
	}
}

const groupPartitions = 6

// checkGroup kills a member of a group that works. The others get its partitions once its session has timed out, and
// every record reaches the group.
func checkGroup(t *testing.T, c client, d driver, address string) {
	topic, group := slug(c, "shared"), slug(c, "workers")
	createTopic(t, address, topic, groupPartitions)
	stream := startStream(t, address, topic)
	var members []*member
	for range 3 {
		members = append(members, d.startMember(t, address, topic, group))
	}
	await(t, rebalancePatience, func() bool {
		return len(members[0].got()) > 0 && len(members[1].got()) > 0 && len(members[2].got()) > 0
	}, members...)
	members[1].kill()
	// Values from after the kill are in every partition, so also in those that the killed member had.
	want := stream.published() + 2*groupPartitions
	await(t, patience, func() bool { return stream.published() >= want }, members...)
	defer func() {
		if t.Failed() {
			t.Logf("no member has the values %v of %d", missing(want, members), want)
		}
	}()
	await(t, rebalancePatience, func() bool { return len(missing(want, members)) == 0 }, members...)
}

// missing are the first n values of the stream that none of the members has, by number.
func missing(n int, members []*member) []int {
	got := make(map[string]bool)
	for _, m := range members {
		for _, value := range m.got() {
			got[value] = true
		}
	}
	var numbers []int
	for i := range n {
		if !got[streamValue(i)] {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// await polls until something has happened, and shows what the members said if it does not.
func await(t *testing.T, within time.Duration, happened func() bool, members ...*member) {
	t.Helper()
	isLost := func(m *member) bool { return m.lost() }
	for deadline := time.Now().Add(within); !happened(); time.Sleep(50 * time.Millisecond) {
		if lost := slices.ContainsFunc(members, isLost); lost || time.Now().After(deadline) {
			for i, m := range members {
				t.Logf("member %d has %d values, and said %q", i, len(m.got()), tailOf(m.complaints.String()))
			}
			t.Fatalf("it did not happen within %v, or a member ended: %v", within, lost)
		}
	}
}

// stream publishes values to the partitions in turn until the test ends.
type stream struct {
	acknowledged chan int // holds the number of values acknowledged
}

const streamInterval = 20 * time.Millisecond

func streamValue(i int) string { return fmt.Sprintf("value %d", i) }

func startStream(t *testing.T, address, topic string) *stream {
	t.Helper()
	client := newFranz(t, address, plain, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic))
	ctx, cancel := context.WithCancel(context.Background())
	s, ended := &stream{acknowledged: make(chan int, 1)}, make(chan struct{})
	s.acknowledged <- 0
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			record := &kgo.Record{Partition: int32(i % groupPartitions), Value: []byte(streamValue(i))}
			if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
				if ctx.Err() == nil {
					t.Errorf("publishing value %d: %v", i, err)
				}
				return
			}
			s.acknowledged <- <-s.acknowledged + 1
			select {
			case <-ctx.Done():
			case <-time.After(streamInterval):
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

// published is how many values are acknowledged.
func (s *stream) published() int {
	n := <-s.acknowledged
	s.acknowledged <- n
	return n
}
