//go:build compat

package compat

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Kafka's own tool reads every file of a directory of ours, and finds the indexes as it would have written them.
func TestKafkaDumpsEveryFileOfOurs(t *testing.T) {
	libs := kafkaLibs(t)
	dir := t.TempDir()
	s := serve(t, dir, "--segment-bytes", "16KiB")
	records := make(map[string]int)
	for codec, option := range codecs {
		topic := "franz-" + codec
		createTopic(t, s.Kafka, topic, map[string]string{"flush.messages": "100"})
		produceTo(t, s.Kafka, topic, 3000, kgo.ProducerBatchCompression(option))
		records[topic] = 3000
	}
	createTopic(t, s.Kafka, "mixed", map[string]string{"message.timestamp.type": "LogAppendTime"})
	for _, option := range codecs {
		produceTo(t, s.Kafka, "mixed", 500, kgo.ProducerBatchCompression(option))
	}
	records["mixed"] = 2500
	lines := noiseLines(3000)
	createTopic(t, s.Kafka, "java", nil)
	tool(t, libs, lines, "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", s.Kafka, "--topic", "java",
		"--compression-codec", "zstd", "--batch-size", "2000")
	records["java"] = 3000
	createTopic(t, s.Kafka, "kcat", nil)
	kcat := exec.Command("kcat", "-b", s.Kafka, "-P", "-t", "kcat", "-z", "lz4", "-X", "batch.num.messages=50", "-X", "enable.idempotence=true")
	kcat.Stdin = strings.NewReader(lines)
	if out, err := kcat.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v: %s", err, out)
	}
	records["kcat"] = 3000
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for topic, n := range records {
		checkDump(t, libs, filepath.Join(dir, topic+"-0"), n)
	}
}

// noiseLines are lines that no codec makes much of.
func noiseLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d %s\n", i, noise(i))
	}
	return b.String()
}

// complaint matches what the tool prints about a damaged file.
var complaint = regexp.MustCompile(`(?i)mismatch|not (valid|sane)|isvalid: false|invalid|corrupt|exception|error|does not|could not|out of order|found `)

var recordLine = regexp.MustCompile(`(?m)^\| offset: (\d+)`)

// checkDump lets the tool read the files of one partition.
func checkDump(t *testing.T, libs, partition string, records int) {
	t.Helper()
	glob := func(pattern string) []string {
		names, err := filepath.Glob(filepath.Join(partition, pattern))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	logs := glob("*.log")
	if len(logs) < 3 {
		t.Errorf("%s: %d segments, it did not roll", partition, len(logs))
	}
	dump := func(names []string, flags ...string) string {
		out := tool(t, libs, "", "org.apache.kafka.tools.DumpLogSegments", append(flags, "--files", strings.Join(names, ","))...)
		for line := range strings.Lines(out) {
			if !recordLine.MatchString(line) && complaint.MatchString(line) {
				t.Errorf("%s: %s", partition, line)
			}
		}
		return out
	}
	offsets := recordLine.FindAllStringSubmatch(dump(logs, "--deep-iteration"), -1)
	if len(offsets) != records {
		t.Errorf("%s: the tool finds %d records, want %d", partition, len(offsets), records)
	}
	for i, m := range offsets {
		if m[1] != fmt.Sprint(i) {
			t.Fatalf("%s: record %d has offset %s", partition, i, m[1])
		}
	}
	indexes := append(glob("*.index"), glob("*.timeindex")...)
	if len(indexes) != 2*len(logs) {
		t.Errorf("%s: %d index files for %d segments", partition, len(indexes), len(logs))
	}
	// Once as what it is for, a look at each entry against the log, and once as the check that a broker makes at its start.
	dump(indexes)
	sane := dump(indexes, "--index-sanity-check")
	// A segment of one batch has an index without entries, here as in Kafka.
	if n := strings.Count(sane, "passed sanity check") + strings.Count(sane, "is empty"); n != len(indexes) {
		t.Errorf("%s: %d of %d index files pass the sanity check:\n%s", partition, n, len(indexes), tail(sane))
	}
	if snapshots := glob("*.snapshot"); len(snapshots) > 0 {
		if out := dump(snapshots); !strings.Contains(out, "producerId:") && !strings.Contains(partition, "kcat") && !strings.Contains(partition, "java") {
			t.Errorf("%s: the snapshots name no producer:\n%s", partition, tail(out))
		}
	} else {
		t.Errorf("%s: there is no producer snapshot", partition)
	}
}
