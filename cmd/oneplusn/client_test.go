package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"oneplusn/fanout"
)

// patience bounds every wait for something that has to happen.
const patience = 30 * time.Second

// startBroker runs a broker in this process until the test ends, and returns its address.
func startBroker(t *testing.T) string {
	t.Helper()
	config := fanout.DefaultConfig()
	config.Listen, config.DataDir = "127.0.0.1:0", t.TempDir()
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	broker, err := fanout.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- broker.Run() }()
	t.Cleanup(func() {
		broker.Stop()
		if err := <-ended; err != nil {
			t.Errorf("the broker ended with %v", err)
		}
	})
	<-broker.Ready()
	return broker.Address()
}

// startKfake runs somebody else's server: the commands are for any Kafka.
func startKfake(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

var kinds = []struct {
	name  string
	start func(*testing.T) string
}{{"oneplusn", startBroker}, {"kfake", startKfake}}

// onEachServer runs a test against a server of each kind.
func onEachServer(t *testing.T, test func(t *testing.T, address string)) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.start(t)) })
	}
}

// output collects what a command prints; it is safe to read while the command runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// command runs a command line to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, complaints output
	code = run(ctx, append([]string{"oneplusn"}, args...), &out, &complaints)
	return code, out.String(), complaints.String()
}

// succeed runs a command line that has to succeed, and returns what it printed.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := command(t, args...)
	if code != exitOK {
		t.Fatalf("oneplusn %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// publish publishes text with `oneplusn pub`.
func publish(t *testing.T, address, topic, text string, flags ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	succeed(t, append([]string{"pub", topic, "--server", address, "--file", file}, flags...)...)
}

// numbered is n numbered lines.
func numbered(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	return text.String()
}

func TestSubGivesBackWhatPubPublished(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
			text := "first\n\n" + numbered(5000) + "carriage\r\nno newline at the end"
			publish(t, address, codec, text, "--compression", codec)
			if got := succeed(t, "sub", codec, "--server", address, "--until-end"); got != text+"\n" {
				t.Errorf("with --compression %s %d bytes came back, published were %d", codec, len(got), len(text)+1)
			}
		}
	})
}

func TestPubAcknowledgesAsAsked(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		for _, acks := range []string{"all", "1"} {
			publish(t, address, "acks"+acks, "one\ntwo\n", "--acks", acks)
			if got := succeed(t, "sub", "acks"+acks, "--server", address, "--until-end"); got != "one\ntwo\n" {
				t.Errorf("with --acks %s %q came back", acks, got)
			}
		}
		publish(t, address, "acks0", "one\n", "--acks", "0")
		if got := succeed(t, "sub", "acks0", "--server", address, "--from", "beginning", "--count", "1"); got != "one\n" {
			t.Errorf("with --acks 0 %q came back", got)
		}
	})
}

func TestSubBeginsWhereItIsTold(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		publish(t, address, "ten", numbered(10))
		whole := numbered(10)
		last := func(n int) string { return strings.Join(strings.SplitAfter(whole, "\n")[10-n:], "") }
		for from, want := range map[string]string{
			"beginning": whole, "end": "", "0": whole, "7": last(3), "10": "", "-2": last(2), "-100": whole,
			"-1h": whole, "2020-01-01": whole, "2100-01-01T00:00:00Z": "",
		} {
			if got := succeed(t, "sub", "ten", "--server", address, "--until-end", "--from", from); got != want {
				t.Errorf("--from %s gave %q, want %q", from, got, want)
			}
		}
		code, _, stderr := command(t, "sub", "ten", "--server", address, "--from", "11")
		if code != exitError || !strings.Contains(stderr, "partition 0 has offsets 0 to 10") {
			t.Errorf("an offset behind the end: exit code %d, %q", code, stderr)
		}
	})
}

func TestKeysChooseThePartition(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		succeed(t, "topics", "create", "keyed", "--server", address, "--partitions", "4")
		publish(t, address, "keyed", "alice:1\nbob:2\nalice:3\nbob:4\nnobody\n", "--key-separator", ":")
		got := succeed(t, "sub", "keyed", "--server", address, "--until-end", "--format", `%p %k %v\n`)
		partitions := map[string]map[string]bool{"alice": {}, "bob": {}}
		for line := range strings.Lines(got) {
			if fields := strings.Fields(line); len(fields) == 3 {
				partitions[fields[1]][fields[0]] = true
			}
		}
		if len(partitions["alice"]) != 1 || len(partitions["bob"]) != 1 || !strings.Contains(got, "  nobody\n") {
			t.Errorf("keyed records came back as %q", got)
		}
		publish(t, address, "keyed", "x\n", "--partition", "3")
		got = succeed(t, "sub", "keyed", "--server", address, "--until-end", "--partition", "3", "--from", "-1")
		if got != "x\n" {
			t.Errorf("the last record of partition 3 is %q", got)
		}
	})
}

func TestSubFormats(t *testing.T) {
	address := startBroker(t)
	publish(t, address, "formats", "k=v\n=\xff\xfe\n", "--key-separator", "=")
	got := succeed(t, "sub", "formats", "--server", address, "--until-end", "--format", "json")
	got = regexp.MustCompile(`"timestamp":"[^"]*"`).ReplaceAllString(got, `"timestamp":"T"`)
	want := `{"topic":"formats","partition":0,"offset":0,"timestamp":"T","key":"k","value":"v"}
{"topic":"formats","partition":0,"offset":1,"timestamp":"T","key":"","value":null,"value_base64":"//4="}
`
	if got != want {
		t.Errorf("--format json printed\n%swant\n%s", got, want)
	}
	got = succeed(t, "sub", "formats", "--server", address, "--until-end", "--format", "hex", "--count", "1")
	if want := "formats-0@0 key 6b value 1 bytes\n00000000  76  "; !strings.HasPrefix(got, want) {
		t.Errorf("--format hex printed %q, want %q first", got, want)
	}
}

// TestSubPrintsWhatComesAndEndsCleanly: someone watches a topic, and then interrupts the command.
func TestSubPrintsWhatComesAndEndsCleanly(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		publish(t, address, "live", "before\n")
		ctx, interrupt := context.WithCancel(context.Background())
		defer interrupt()
		var stdout, stderr output
		ended := make(chan int, 1)
		go func() { ended <- run(ctx, []string{"oneplusn", "sub", "live", "--server", address}, &stdout, &stderr) }()
		// It is known to wait once it says so; before that, a record might count as one that was there.
		await(t, func() bool { return strings.Contains(stderr.String(), "prints 1 existing record") })
		publish(t, address, "live", "after\n")
		await(t, func() bool { return stdout.String() == "after\n" })
		interrupt()
		if code := <-ended; code != exitOK || !strings.Contains(stderr.String(), "received 1 record from live") {
			t.Errorf("exit code %d, said %q", code, stderr.String())
		}
	})
}

// await polls until something has happened.
func await(t *testing.T, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !happened(); {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen within %v", patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTopicsAreCreatedDescribedAndDeleted(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		at := []string{"--server", address}
		if got := succeed(t, append([]string{"topics", "create", "one", "two", "--partitions", "3"}, at...)...); got != "created one\ncreated two\n" {
			t.Errorf("create printed %q", got)
		}
		if got := succeed(t, append([]string{"topics", "create", "one", "--if-not-exists"}, at...)...); got != "one exists\n" {
			t.Errorf("create of what exists printed %q", got)
		}
		publish(t, address, "one", "x\ny\n", "--partition", "2")
		listed := succeed(t, append([]string{"topics"}, at...)...)
		if !regexp.MustCompile(`(?m)^TOPIC +PARTITIONS +RECORDS +SIZE\none +3 +2 .*\ntwo +3 +0 .*\n$`).MatchString(listed) {
			t.Errorf("the list is\n%s", listed)
		}
		described := succeed(t, append([]string{"topics", "describe", "one"}, at...)...)
		if !regexp.MustCompile(`(?m)^one +2 +\d+ +\d+ +0 +2 +2 .*$`).MatchString(described) || strings.Count(described, "\n") != 4 {
			t.Errorf("the description is\n%s", described)
		}
		if got := succeed(t, append([]string{"topics", "delete", "one", "two"}, at...)...); got != "deleted one\ndeleted two\n" {
			t.Errorf("delete printed %q", got)
		}
		if got := succeed(t, append([]string{"topics"}, at...)...); got != "" {
			t.Errorf("after the deletion the list is\n%s", got)
		}
	})
}

func TestClientCommandsSayTheRemedy(t *testing.T) {
	address := startBroker(t)
	publish(t, address, "there", "x\n")
	free := unusedAddress(t)
	for _, c := range []struct {
		line string
		code int
		says string
	}{
		{"topics --server " + free, exitError, "start a server with `oneplusn serve`"},
		{"sub there --server " + free, exitError, "nothing listens on " + free},
		{"sub missing --server " + address, exitError, "oneplusn topics create adds one"},
		{"topics describe missing --server " + address, exitError, "UNKNOWN_TOPIC_OR_PARTITION"},
		{"topics create there --server " + address, exitError, "TOPIC_ALREADY_EXISTS"},
		{"topics create a/b --server " + address, exitError, "INVALID_TOPIC"},
		{"pub there --file /nonexistent --server " + address, exitError, "/nonexistent"},
		{"pub", exitUsage, "pub needs a topic: oneplusn pub TOPIC"},
		{"pub a b", exitUsage, "takes one topic"},
		{"pub a --compression brotli", exitUsage, "none, gzip, snappy, lz4, zstd"},
		{"pub a --acks 2", exitUsage, "all, 1, 0"},
		{"pub a --partition -2", exitUsage, "--partition is -2, allowed are 0 to"},
		{"sub a --partition -1", exitUsage, "--partition is -1, allowed are 0 to"},
		{"sub a --server nowhere", exitUsage, "HOST:PORT"},
		{"sub a --from yesterday", exitUsage, "how long ago (-15m)"},
		{"sub a --format xml", exitUsage, "text, json, hex"},
		{"sub a --count -1", exitUsage, "at least 0"},
		{"sub a --group g --partition 1", exitUsage, "shares all partitions"},
		{"sub there --partition 1 --server " + address, exitUsage, "partitions 0 to 0"},
		{"topics lost", exitUsage, `unknown command "topics lost"`},
		{"topics create", exitUsage, "needs a topic: oneplusn topics create TOPIC..."},
		{"topics create a --config x", exitUsage, "KEY=VALUE"},
		{"topics create a --partitions 0", exitUsage, "--partitions is 0, allowed are 1 to"},
		{"groups reset g", exitUsage, "one of --to-earliest"},
		{"groups reset g --to-earliest=false", exitUsage, "one of --to-earliest"},
		{"groups reset g --to-earliest --to-latest", exitUsage, "exactly one of --to-earliest, --to-latest, --to-offset N, --to-time TIME; 2 were given"},
		{"groups reset g --to-time soon", exitUsage, "not a time"},
		{"groups reset", exitUsage, "groups reset needs a group"},
	} {
		code, _, stderr := command(t, strings.Fields(c.line)...)
		if code != c.code || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "oneplusn: ") {
			t.Errorf("oneplusn %s: exit code %d, said %q; want %d and one line with %q", c.line, code, stderr, c.code, c.says)
		}
	}
}

// unusedAddress is one on which nothing listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestSomethingElseOnThePortIsTold: a server that is not Kafka's must not hang the command.
func TestSomethingElseOnThePortIsTold(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-x\r\n"))
			_ = conn.Close()
		}
	}()
	code, _, stderr := command(t, "topics", "--server", listener.Addr().String())
	if code != exitError || !strings.Contains(stderr, "does not answer as a Kafka server") {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
}
