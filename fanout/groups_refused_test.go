package fanout

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/offsets"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// crash makes a stop look like a crash of the machine: there is no mark of a clean stop.
func crash(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, segment.CleanMarkFile)); err != nil {
		t.Fatal(err)
	}
}

// rewriteFile changes the content of a file in place.
func rewriteFile(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func partitionLog(dir, partition string) string {
	return filepath.Join(dir, partition, strings.Repeat("0", 20)+".log")
}

// withCommits is a stopped server's directory in which groups have committed, one record each.
func withCommits(t *testing.T, groups ...string) string {
	t.Helper()
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create("feed", 1)
	for i, g := range groups {
		c.commit(g, "feed", int64(100+i))
	}
	c.close()
	s.stop()
	return dir
}

// askAll sends every kind of request that is for a group, and returns the error codes.
func (c *dialed) askAll(group string) map[string]int16 {
	c.t.Helper()
	codes := map[string]int16{"commit": commitCode(c.ask(commitRequest(group, "feed", 1, 7, "")))}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version, fetch.Group = 5, group
	fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "feed", Partitions: []int32{0}}}
	codes["fetch"] = c.ask(fetch).(*kmsg.OffsetFetchResponse).ErrorCode
	fetch.Version = 1
	codes["fetch v1"] = c.ask(fetch).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0].ErrorCode
	codes["join"] = c.ask(joinRequest(3, group, "")).(*kmsg.JoinGroupResponse).ErrorCode
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID = 3, group, "m"
	codes["sync"] = c.ask(sync).(*kmsg.SyncGroupResponse).ErrorCode
	codes["heartbeat"] = c.heartbeat(group, "m", 1)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.MemberID = 1, group, "m"
	codes["leave"] = c.ask(leave).(*kmsg.LeaveGroupResponse).ErrorCode
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Version, describe.Groups = 4, []string{group}
	codes["describe"] = c.ask(describe).(*kmsg.DescribeGroupsResponse).Groups[0].ErrorCode
	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Version, remove.Groups = 1, []string{group}
	codes["delete"] = c.ask(remove).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode
	offsets := kmsg.NewPtrOffsetDeleteRequest()
	offsets.Group = group
	codes["delete offsets"] = c.ask(offsets).(*kmsg.OffsetDeleteResponse).ErrorCode
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.Version, find.CoordinatorKey = 2, group
	codes["find"] = c.ask(find).(*kmsg.FindCoordinatorResponse).ErrorCode
	return codes
}

// checkServes fails the test unless topics are served, and looked at, with and without their damaged neighbour.
func checkServes(t *testing.T, c *dialed) {
	t.Helper()
	c.create("other", 1)
	c.publish(&shadow{topic: "other"}, makeBatch(9, 1, 10, 0))
	list := kmsg.NewPtrListGroupsRequest()
	list.Version = 2
	c.ask(list)
	for _, key := range []string{offsets.Topic, "feed"} {
		meta := kmsg.NewPtrMetadataRequest()
		meta.Version = 7
		meta.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(key)}}
		c.ask(meta)
	}
	c.remove("other")
}

func TestDamagedOffsetsLogStopsNeitherTheStartNorTheTopics(t *testing.T) {
	dir := withCommits(t, "a", "b", "c")
	path := partitionLog(dir, offsets.Topic+"-0")
	crash(t, dir)
	rewriteFile(t, path, func(b []byte) []byte { b[70] ^= 1; return b }) // in the first batch, below the recovery point
	damaged, _ := os.ReadFile(path)
	for round := range 2 { // and the start after that
		s := start(t, func(c *Config) { c.DataDir = dir })
		for _, part := range []string{path, "durable-damage", "oneplusn repair", "no coordinator"} {
			if !strings.Contains(s.log.String(), part) {
				t.Errorf("round %d: the log does not say %q:\n%s", round, part, s.log)
			}
		}
		c := s.dial()
		for request, code := range c.askAll("a") {
			if code != wire.CodeCoordinatorNotAvailable {
				t.Errorf("round %d, %s: error %d, want %d", round, request, code, wire.CodeCoordinatorNotAvailable)
			}
		}
		checkServes(t, c)
		c.close()
		s.stop()
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the damaged file was changed: %v", err)
	}
}

func TestOffsetsLogThatWasNeverSyncedIsCutAtItsHole(t *testing.T) {
	dir := withCommits(t, "a", "b", "c")
	crash(t, dir)
	points := filepath.Join(dir, segment.RecoveryPointFile)
	rewriteFile(t, points, func([]byte) []byte { return []byte("0\n1\n" + offsets.Topic + " 0 1\n") })
	rewriteFile(t, partitionLog(dir, offsets.Topic+"-0"), func(b []byte) []byte {
		h, err := records.CheckBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b[h.Size()+10:][:80])
		return b
	})
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	if got := c.committed("a", "feed"); got != 100 {
		t.Errorf("group a has %d", got)
	}
	c.commit("b", "feed", 7)
	if !strings.Contains(s.log.String(), "unsynced-hole") {
		t.Errorf("the log does not say what was cut:\n%s", s.log)
	}
}

// One of several partitions is damaged, in a segment that no start scans: it is found when the offsets are read.
func TestGroupsOfOtherPartitionsOfTheOffsetsLogAreServed(t *testing.T) {
	dir := t.TempDir()
	const partitions = 3
	of := group.New(group.Config{MaxGroups: 10, MemoryBytes: 1 << 20}, partitions)
	names := map[int32]string{}
	for i := 0; len(names) < partitions; i++ {
		name := fmt.Sprint("group", i)
		names[of.PartitionOf(name)] = name
	}
	first := start(t, func(c *Config) { c.DataDir = dir })
	first.stop()
	for i := range partitions {
		l, err := segment.Open(filepath.Join(dir, fmt.Sprintf("%s-%d", offsets.Topic, i)), segment.Options{}, segment.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	second := start(t, func(c *Config) { c.DataDir = dir })
	c := second.dial()
	c.create("feed", 1)
	for i := range int32(partitions) {
		c.commit(names[i], "feed", int64(i))
	}
	c.close()
	second.stop()
	// After a clean stop nothing is scanned.
	rewriteFile(t, partitionLog(dir, offsets.Topic+"-1"), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	third := start(t, func(c *Config) { c.DataDir = dir })
	c = third.dial()
	for i, name := range names {
		if i == 1 {
			for request, code := range c.askAll(name) {
				if code != wire.CodeCoordinatorNotAvailable {
					t.Errorf("%s: error %d", request, code)
				}
			}
		} else if got := c.committed(name, "feed"); got != int64(i) {
			t.Errorf("group %s has %d, want %d", name, got, i)
		}
	}
	c.remove("feed") // drops the offsets of groups, where they can be written
	checkServes(t, c)
	if !strings.Contains(third.log.String(), partitionLog(dir, offsets.Topic+"-1")) {
		t.Errorf("the log does not name the file:\n%s", third.log)
	}
	c.close()
	third.stop()
	if _, err := os.Stat(filepath.Join(dir, segment.CleanMarkFile)); err == nil {
		t.Error("a directory with a refused partition was marked as clean")
	}
}

// A record that this version cannot understand is left out; the others count.
func TestRecordThatCannotBeUnderstoodDoesNotTakeTheOthersAlong(t *testing.T) {
	dir := withCommits(t, "a", "b")
	l, err := segment.Open(filepath.Join(dir, offsets.Topic+"-0"), segment.Options{}, segment.OpenOptions{Clean: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range [][]byte{
		makeBatch(1, 2, 10, 0), // no keys
		keyedBatch([]byte{0, 1, 0}, nil), keyedBatch([]byte{0, 2, 0, 1, 'g'}, []byte{0, 9}), keyedBatch(nil, nil),
	} {
		if _, err := l.Append(batch, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	if a, b := c.committed("a", "feed"), c.committed("b", "feed"); a != 100 || b != 101 {
		t.Errorf("the groups have %d and %d", a, b)
	}
	if !strings.Contains(s.log.String(), "left_out=") {
		t.Errorf("the log does not tell:\n%s", s.log)
	}
}

// keyedBatch is a batch of one record.
func keyedBatch(key, value []byte) []byte {
	r := kmsg.NewRecord()
	r.Key, r.Value = key, value
	raw := r.AppendTo(nil)
	r.Length = int32(len(raw) - 1)
	raw = r.AppendTo(nil)
	batch := makeBatch(1, 1, 10, 0)[:records.HeaderSize]
	return seal(append(batch, raw...))
}
