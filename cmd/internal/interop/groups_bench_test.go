//go:build interop && groups

package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	benchGroups  = 5000
	benchCommits = 10 // of each group, one a second
	// clockTicks is USER_HZ, the unit of times in /proc/PID/stat: 100 on every architecture that Go runs on.
	clockTicks = 100
)

// What a consumer group costs, with as many as a fan-out to 5,000 subscribers has: each with one member, on a connection
// of its own, that commits every second. `make bench-groups` prints it. Every commit that was acknowledged must be there
// after the server was killed.
func TestManyGroupsOfOneMemberEach(t *testing.T) {
	s := startServer(t, t.TempDir())
	control := dialRaw(t, s.address)
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 4
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "fan", 1, 1
	create.Topics = append(create.Topics, topic)
	if code := must[*kmsg.CreateTopicsResponse](t, control, create).Topics[0].ErrorCode; code != 0 {
		t.Fatalf("creating the topic: error %d", code)
	}
	members := make([]*groupMember, benchGroups)
	for i := range members {
		members[i] = &groupMember{conn: dialRaw(t, s.address), group: fmt.Sprintf("subscriber-%d", i)}
	}
	connected := s.usage()
	if err := each(members, (*groupMember).join); err != nil {
		t.Fatal(err)
	}
	joined := s.usage()
	began := time.Now()
	if err := each(members, (*groupMember).commitOften); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	busy := s.usage()
	logBytes := dirBytes(t, filepath.Join(s.dataDir, "__consumer_offsets-0"))

	s.kill()
	s.address = "127.0.0.1:0" // the kernel lets go of 5,000 connections, and of the port, a moment later
	began = time.Now()
	s.start()
	restarted := time.Since(began)
	control = dialRaw(t, s.address)
	for _, m := range members {
		if got := m.committed(t, control); got != benchCommits {
			t.Fatalf("group %s is at %d after the kill, %d was acknowledged", m.group, got, benchCommits)
		}
	}
	commits := float64(benchGroups * benchCommits)
	t.Logf("%d groups of one member, one connection each, one commit a second each for %v:\n"+
		"  memory, a connection      %6.1f KiB\n"+
		"  memory, a group on top    %6.1f KiB (after the join: member, subscription, assignment)\n"+
		"  memory, all               %6.1f MiB resident\n"+
		"  CPU, joining              %6.0f us a group (4 requests)\n"+
		"  CPU, a commit             %6.1f us of one core (with heartbeats: %.1f %% of a core at %.0f commits/s)\n"+
		"  log of offsets            %6.1f MiB\n"+
		"  restart after kill -9     %6.0f ms, every commit there",
		benchGroups, took.Round(time.Millisecond),
		float64(connected.residentBytes)/benchGroups/1024,
		float64(busy.residentBytes-connected.residentBytes)/benchGroups/1024,
		float64(busy.residentBytes)/(1<<20),
		float64((joined.cpu-connected.cpu).Microseconds())/benchGroups,
		float64((busy.cpu-joined.cpu).Microseconds())/commits, 100*(busy.cpu-joined.cpu).Seconds()/took.Seconds(), commits/took.Seconds(),
		float64(logBytes)/(1<<20), float64(restarted.Milliseconds()))
}

// groupMember is the only member of its group.
type groupMember struct {
	conn       *rawConn
	group, id  string
	generation int32
}

func (m *groupMember) join() error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 5, m.group, 45_000, 60_000
	subscription := kmsg.ConsumerMemberMetadata{Topics: []string{"fan"}}
	req.ProtocolType = "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription.AppendTo(nil)}}
	for range 2 {
		req.MemberID = m.id
		resp, err := m.conn.ask(req)
		if err != nil {
			return err
		}
		r := resp.(*kmsg.JoinGroupResponse)
		m.id, m.generation = r.MemberID, r.Generation
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil && !errors.Is(err, kerr.MemberIDRequired) {
			return fmt.Errorf("joining %s: %w", m.group, err)
		}
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, m.group, m.id, m.generation
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: m.id, MemberAssignment: make([]byte, 24)}}
	resp, err := m.conn.ask(sync)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.SyncGroupResponse).ErrorCode)
}

// commitOften commits once a second, and heartbeats every third.
func (m *groupMember) commitOften() error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range int64(benchCommits) {
		<-tick.C
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group, req.MemberID, req.Generation = 7, m.group, m.id, m.generation
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "fan", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: i + 1}}}}
		resp, err := m.conn.ask(req)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode); err != nil {
			return fmt.Errorf("group %s commits %d: %w", m.group, i+1, err)
		}
		if i%3 != 0 {
			continue
		}
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Version, beat.Group, beat.MemberID, beat.Generation = 3, m.group, m.id, m.generation
		if resp, err = m.conn.ask(beat); err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.(*kmsg.HeartbeatResponse).ErrorCode); err != nil {
			return fmt.Errorf("group %s heartbeats: %w", m.group, err)
		}
	}
	return nil
}

func (m *groupMember) committed(t *testing.T, on *rawConn) int64 {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, m.group
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "fan", Partitions: []int32{0}}}
	return must[*kmsg.OffsetFetchResponse](t, on, req).Topics[0].Partitions[0].Offset
}

// each runs f for all members at once and returns the first error.
func each(members []*groupMember, f func(*groupMember) error) error {
	var wg sync.WaitGroup
	var first atomic.Pointer[error]
	for _, m := range members {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f(m); err != nil {
				first.CompareAndSwap(nil, &err)
			}
		}()
	}
	wg.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

// rawConn is a connection on which one request is asked at a time.
type rawConn struct {
	net.Conn
	next int32
}

func dialRaw(t *testing.T, address string) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawConn{Conn: conn}
}

func (c *rawConn) ask(req kmsg.Request) (kmsg.Response, error) {
	c.next++
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, c.next)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(body[4:])
}

func must[T kmsg.Response](t *testing.T, c *rawConn, req kmsg.Request) T {
	t.Helper()
	resp, err := c.ask(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(T)
}

// usage is a server's CPU time and memory.
type usage struct {
	cpu           time.Duration
	residentBytes int64
}

func (s *server) usage() usage {
	s.t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.command.Process.Pid), name))
		if err != nil {
			s.t.Fatal(err)
		}
		return string(text)
	}
	stat := read("stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	ticks := func(i int) time.Duration {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return time.Duration(n) * time.Second / clockTicks
	}
	const userTime, systemTime = 11, 12 // proc_pid_stat(5), counted behind the name
	pages, _ := strconv.ParseInt(strings.Fields(read("statm"))[1], 10, 64)
	return usage{cpu: ticks(userTime) + ticks(systemTime), residentBytes: pages * int64(os.Getpagesize())}
}

func dirBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".log") {
			n += info.Size()
		}
	}
	return n
}
