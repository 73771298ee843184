//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	churnMembers    = 50
	churnPartitions = 100
	churnChanges    = 200
	churnRecords    = 100 // after each change
	churnSession    = 3 * time.Second
	churnRebalance  = 6 * time.Second
)

// A group of 50 franz-go consumers reads 100 partitions while 200 of them join, leave or die in random order. Every
// record must be delivered to the group at least once, no partition may be owned by two members in one generation, and
// the group must be whole again within its timeouts.
func TestGroupDeliversEverythingThroughJoinsLeavesAndKills(t *testing.T) {
	s := startServer(t, t.TempDir(), "--group-min-session-timeout", "1s")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	producer, err := kgo.NewClient(kgo.SeedBrokers(s.address), kgo.DefaultProduceTopic("churn"),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if _, err := kadm.NewClient(producer).CreateTopic(ctx, churnPartitions, 1, nil, "churn"); err != nil {
		t.Fatal(err)
	}
	c := &churn{t: t, address: s.address, seen: make(map[place]bool), claims: make(map[claim]string)}
	defer c.end()
	for range churnMembers {
		c.join()
	}
	published := make(map[place]bool)
	for n := range churnChanges {
		c.change(random, n)
		records := make([]*kgo.Record, churnRecords)
		for i := range records {
			records[i] = kgo.StringRecord(fmt.Sprintf("after change %d", n))
		}
		for _, r := range producer.ProduceSync(ctx, records...) {
			if r.Err != nil {
				t.Fatalf("publishing: %v", r.Err)
			}
			published[place{r.Record.Partition, r.Record.Offset}] = true
		}
		time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond)))) // changes come at random
	}
	churned := time.Now()
	c.awaitWhole(ctx, kadm.NewClient(producer))
	whole := time.Since(churned)
	if most := churnSession + 2*churnRebalance + 5*time.Second; whole > 2*most {
		t.Errorf("the group was whole %v after the last change, want at most %v", whole, most)
	}
	c.awaitAll(ctx, published)
	t.Logf("%d members at the end, %d generations, %d records; whole %v after the last change", len(c.members), c.generations(),
		len(published), whole.Round(time.Millisecond))
}

type place struct {
	partition int32
	offset    int64
}

// claim is a partition in a generation.
type claim struct {
	generation int32
	partition  int32
}

// churn is a group and the assignments of its members.
type churn struct {
	t       *testing.T
	address string
	members []*churnMember
	polling sync.WaitGroup

	mu     sync.Mutex
	seen   map[place]bool
	claims map[claim]string
}

// churnMember is one consumer, whose connections can be torn out.
type churnMember struct {
	client *kgo.Client
	owned  map[int32]bool // guarded by churn.mu

	mu     sync.Mutex
	killed bool
	conns  []net.Conn
}

func (c *churn) join() {
	m := &churnMember{owned: make(map[int32]bool)}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.address), kgo.ConsumerGroup("churners"), kgo.ConsumeTopics("churn"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(churnSession), kgo.RebalanceTimeout(churnRebalance),
		kgo.HeartbeatInterval(churnSession/6), kgo.AutoCommitInterval(time.Second), kgo.FetchMaxWait(500*time.Millisecond),
		kgo.Dialer(m.dial),
		kgo.OnPartitionsAssigned(func(_ context.Context, cl *kgo.Client, got map[string][]int32) { c.own(m, cl, got["churn"]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { c.lose(m, lost["churn"]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { c.lose(m, lost["churn"]) }),
	)
	if err != nil {
		c.t.Fatal(err)
	}
	m.client = client
	c.members = append(c.members, m)
	c.polling.Add(1)
	go func() {
		defer c.polling.Done()
		for {
			fetches := client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			c.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { c.seen[place{r.Partition, r.Offset}] = true })
			c.mu.Unlock()
		}
	}()
}

func (m *churnMember) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && m.killed {
		_ = conn.Close()
		return nil, errors.New("this member is dead")
	}
	m.conns = append(m.conns, conn)
	return conn, err
}

// kill cuts the member's connections, so that it falls silent.
func (m *churnMember) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.killed = true
	for _, conn := range m.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// own notes a member's partitions in its generation, and checks that no other member has them.
func (c *churn) own(m *churnMember, cl *kgo.Client, got []int32) {
	id, generation := cl.GroupMetadata()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range got {
		m.owned[p] = true
	}
	for p := range m.owned {
		at := claim{generation, p}
		if other, taken := c.claims[at]; taken && other != id {
			c.t.Errorf("generation %d: partition %d is owned by %s and by %s", generation, p, other, id)
		}
		c.claims[at] = id
	}
}

func (c *churn) lose(m *churnMember, lost []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range lost {
		delete(m.owned, p)
	}
}

func (c *churn) change(random *rand.Rand, n int) {
	i := random.IntN(len(c.members))
	m := c.members[i]
	switch {
	case n%2 == 0 || len(c.members) < churnMembers/2:
		c.join()
		return
	case random.IntN(2) == 0:
		m.kill()
	}
	c.members = append(c.members[:i], c.members[i+1:]...)
	c.polling.Add(1)
	go func() {
		defer c.polling.Done()
		m.client.Close() // leaves the group, if it is not dead
	}()
}

// awaitWhole waits until the members that live share all partitions.
func (c *churn) awaitWhole(ctx context.Context, admin *kadm.Client) {
	c.t.Helper()
	for {
		groups, err := admin.DescribeGroups(ctx, "churners")
		if err != nil {
			c.t.Fatalf("describing the group: %v", err)
		}
		g := groups["churners"]
		owned := 0
		for _, m := range g.Members {
			if a, ok := m.Assigned.AsConsumer(); ok {
				for _, topic := range a.Topics {
					owned += len(topic.Partitions)
				}
			}
		}
		if g.State == "Stable" && len(g.Members) == len(c.members) && owned == churnPartitions {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("the group is %s with %d members, %d live; %d partitions are owned", g.State, len(g.Members), len(c.members), owned)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitAll waits until the group has been given everything.
func (c *churn) awaitAll(ctx context.Context, published map[place]bool) {
	c.t.Helper()
	for {
		missing, first := 0, place{}
		c.mu.Lock()
		for at := range published {
			if !c.seen[at] {
				missing, first = missing+1, at
			}
		}
		c.mu.Unlock()
		if missing == 0 {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("%d of %d records were never delivered, one of them at %+v", missing, len(published), first)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *churn) generations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[int32]bool)
	for at := range c.claims {
		all[at.generation] = true
	}
	return len(all)
}

func (c *churn) end() {
	for _, m := range c.members {
		m.kill()
		m.client.Close()
	}
	c.polling.Wait()
}
