//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

const installKcat = "apt-get install kcat"

// modes are the ways to move records to subscribers.
var modes = []string{"splice", "send", "sendfile", "copy", "auto"}

// tiny are settings under which everything the loop queues, cuts and refills happens all the time.
var tiny = []string{"--ring-size", "4", "--pipe-size", "64KiB", "--chunk-size", "100001"}

// kcat runs kcat to its end. Its standard output goes to w, its complaints are returned.
func kcat(ctx context.Context, address string, w io.Writer, args ...string) (stderr string, err error) {
	var complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", address}, args...)...)
	cmd.Stdout, cmd.Stderr = w, &complaints
	err = cmd.Run()
	return strings.TrimSpace(complaints.String()), err
}

// tenKcats subscribes ten times at once, and fails the test unless each gets exactly the corpus.
func tenKcats(t *testing.T, address, topic string, want corpus) {
	t.Helper()
	ctx := within(t)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			hash := sha256.New()
			stderr, err := kcat(ctx, address, hash, "-C", "-t", topic, "-o", "beginning", "-e", "-q")
			if sum := hex.EncodeToString(hash.Sum(nil)); err != nil || stderr != "" || sum != want.sum {
				t.Errorf("subscriber %d of %s: %v, SHA-256 %s, want %s; it said %q", i, topic, err, sum, want.sum, stderr)
			}
		})
	}
	all.Wait()
}

// TestKcatGetsFilesBackInEveryTransferMode publishes a file with each codec, and reads each back with ten subscribers at
// once, from servers that differ in how they move the bytes.
func TestKcatGetsFilesBackInEveryTransferMode(t *testing.T) {
	need(t, "kcat", installKcat)
	file, data := readCorpus(t), t.TempDir()
	t.Run("publish", func(t *testing.T) {
		s := startServer(t, data)
		for _, codec := range codecs {
			stderr, err := kcat(within(t), s.address, io.Discard, "-P", "-t", "file-"+codec, "-z", codec, "-l", file.path)
			if err != nil || stderr != "" {
				t.Errorf("publishing with -z %s: %v: %s", codec, err, stderr)
			}
			wantCodec(t, s.address, "file-"+codec, codec, file.lines)
		}
	})
	if t.Failed() {
		return
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			s := startServer(t, data, "--transfer", mode)
			for _, codec := range codecs {
				tenKcats(t, s.address, "file-"+codec, file)
			}
		})
		t.Run(mode+" tiny", func(t *testing.T) {
			s := startServer(t, data, append([]string{"--transfer", mode}, tiny...)...)
			tenKcats(t, s.address, "file-none", file)
			tenKcats(t, s.address, "file-zstd", file)
		})
	}
}

// wantSaid fails the test unless a client ended as expected and said what it should.
func wantSaid(t *testing.T, what, stderr string, err error, fails bool, phrase string) {
	t.Helper()
	if (err != nil) != fails || !strings.Contains(stderr, phrase) {
		t.Errorf("%s: %v, said %q; wanted a failure: %v, and %q", what, err, stderr, fails, phrase)
	}
}

// TestKcatExplainsErrors: the server's errors become messages that a person can act on.
func TestKcatExplainsErrors(t *testing.T) {
	need(t, "kcat", installKcat)
	s := startServer(t, t.TempDir(), "--auto-create-topics=false")
	createTopic(t, s.address, "there", 1)
	ctx := within(t)
	var out bytes.Buffer

	stderr, err := kcat(ctx, s.address, &out, "-C", "-t", "missing", "-e", "-o", "beginning")
	wantSaid(t, "subscribe to an unknown topic", stderr, err, true, "Unknown topic or partition")

	large := exec.CommandContext(ctx, "kcat", "-b", s.address, "-P", "-t", "there", "-X", "message.max.bytes=8000000")
	large.Stdin = strings.NewReader(strings.Repeat("x", 3<<20))
	text, err := large.CombinedOutput()
	wantSaid(t, "publish 3 MiB in one record", string(text), err, true, "Message size too large")

	few := exec.CommandContext(ctx, "kcat", "-b", s.address, "-P", "-t", "there")
	few.Stdin = strings.NewReader("one\ntwo\n")
	if text, err := few.CombinedOutput(); err != nil {
		t.Fatalf("publishing two lines: %v: %s", err, text)
	}
	out.Reset()
	stderr, err = kcat(ctx, s.address, &out, "-C", "-t", "there", "-e", "-q", "-o", "7000", "-X", "auto.offset.reset=earliest")
	wantSaid(t, "start behind the end, reset to the start", stderr, err, false, "")
	if out.String() != "one\ntwo\n" {
		t.Errorf("after an offset reset to the earliest kcat got %q", out.String())
	}
	stderr, err = kcat(ctx, s.address, &out, "-C", "-t", "there", "-e", "-o", "7000", "-X", "auto.offset.reset=error")
	wantSaid(t, "start behind the end, no reset", stderr, err, true, "Offset out of range")
}

// TestKcatAsksForOffsetsByTime: kcat -Q looks up the first record at or after a time.
func TestKcatAsksForOffsetsByTime(t *testing.T) {
	need(t, "kcat", installKcat)
	s := startServer(t, t.TempDir())
	publishTimed(t, s.address, "timed", 1_000, 2_000, 3_000)
	for at, want := range map[int]string{1: "offset 0", 1_500: "offset 1", 3_000: "offset 2", 3_001: "offset -1"} {
		var out bytes.Buffer
		stderr, err := kcat(within(t), s.address, &out, "-Q", "-t", fmt.Sprintf("timed:0:%d", at))
		if err != nil || strings.TrimSpace(out.String()) != "timed [0] "+want {
			t.Errorf("the offset at time %d: %v, kcat printed %q %q, want %q", at, err, out.String(), stderr, want)
		}
	}
}
