package catalog

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
	"oneplusn/segment"
)

// failingFS fails some operations that make topics, or move their directories away.
type failingFS struct {
	segment.FS
	of atomic.Int32 // one of so many fails; 0 for none
}

func (f *failingFS) fails() bool {
	of := f.of.Load()
	return of > 0 && rand.Int32N(of) == 0
}

func (f *failingFS) Open(path string, access segment.Access) (segment.File, error) {
	if access == segment.Create && strings.Contains(path, TopicConfigFile) && f.fails() {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EIO}
	}
	return f.FS.Open(path, access)
}

func (f *failingFS) Rename(from, to string) error {
	if segment.IsDeleted(filepath.Base(to)) && f.fails() {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EPERM}
	}
	return f.FS.Rename(from, to)
}

// labKernel has the part of a kernel that background jobs need.
type labKernel struct{ ring.Kernel }

func (labKernel) Now() time.Duration { return 0 }
func (labKernel) Wake()              {}

// lab is a catalog without a server, and the model that it must match.
type lab struct {
	*Catalog
	t     *testing.T
	disk  *failingFS
	dir   string
	files *budget.Budget
	model map[string]*modelTopic
	// epochs are the highest that names were written under.
	epochs map[string]int32
	failed int
}

type modelTopic struct {
	partitions int
	retention  string
}

func (l *lab) open() {
	l.t.Helper()
	running := loop.New(slog.New(slog.DiscardHandler), loop.ThisMachine())
	running.Use(labKernel{})
	options := segment.Options{FS: l.disk, SegmentBytes: 1 << 14, MaxBatchBytes: 1 << 12, RetentionAge: -1, RetentionBytes: -1}
	var err error
	l.Catalog, err = Open(running, Config{Dir: l.dir, FS: l.disk, Defaults: NewDefaults(options, commit.Fsync{}.Policy()),
		MaxBatchBytes: math.MaxInt32, Internal: "own", NewPartitions: 1, MaxPartitions: 100, AutoCreateLimit: 100,
		ExpireEvery: time.Hour, CheckpointEvery: time.Hour})
	if err != nil {
		l.t.Fatal(err)
	}
	l.files = budget.New("descriptor", "", 1000)
	l.Serve(l.files, commit.New(running, commit.Config{Dir: l.dir}), fetch.New(running, fetch.Config{}, nil), func(string) {})
	l.Settle()
	l.check()
}

// end ends the catalog: cleanly, or as a process that is killed.
func (l *lab) end(cleanly bool) {
	l.t.Helper()
	if cleanly {
		if err := l.Close(); err != nil {
			l.t.Fatal(err)
		}
		if l.PartitionBudget().Used() != 0 || l.files.Used() != 0 {
			l.t.Errorf("after the end %d partitions and %d files are taken", l.PartitionBudget().Used(), l.files.Used())
		}
		return
	}
	for _, tp := range l.byName {
		for p := range tp.Online() {
			p.Log.Abandon()
		}
	}
	l.unlock()
}

// wait runs tasks until no change is left.
func (l *lab) wait() {
	l.t.Helper()
	for limit := time.Now().Add(30 * time.Second); l.loop.Working() || !l.Idle(); l.loop.RunTasks() {
		if time.Now().After(limit) {
			l.t.Fatal("changes do not end")
		}
		time.Sleep(100 * time.Microsecond)
	}
	l.check()
}

// check compares the table with the model.
func (l *lab) check() {
	l.t.Helper()
	total := 0
	for name, want := range l.model {
		tp := l.Topic(name)
		if tp == nil || len(tp.Partitions) != want.partitions || tp.Offline() > 0 {
			l.t.Fatalf("%s is %+v, want %d partitions", name, tp, want.partitions)
		}
		if got, _ := tp.Config.Own("retention.ms"); got != want.retention {
			l.t.Fatalf("%s has retention.ms %q, want %q", name, got, want.retention)
		}
		total += want.partitions
	}
	if n := l.Stats(); n.Topics != len(l.model) || n.Partitions != total || l.PartitionBudget().Used() != int64(total) ||
		l.files.Used() != int64(total*FilesEach) {
		l.t.Fatalf("there are %+v, and %d partitions and %d files are taken; want %d topics of %d partitions", n, l.PartitionBudget().Used(),
			l.files.Used(), len(l.model), total)
	}
}

// verdict counts storage errors, and fails on an unexpected answer.
func (l *lab) verdict(what, name string, got, want int16) (done bool) {
	l.t.Helper()
	if got == wire.CodeKafkaStorageError && want == 0 && l.disk.of.Load() > 0 {
		l.failed++
		return false
	}
	if got != want {
		l.t.Fatalf("%s of %s: error %d, want %d", what, name, got, want)
	}
	return got == 0
}

func (l *lab) create(name string, partitions int) {
	wanted := []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: int32(partitions), ReplicationFactor: 1}}
	l.CreateTopics(wanted, false, func(refused []Refusal) {
		want := int16(0)
		if l.model[name] != nil {
			want = wire.CodeTopicAlreadyExists
		}
		if !l.verdict("creation", name, refused[0].Code, want) {
			return
		}
		l.model[name] = &modelTopic{partitions: partitions}
		epoch := l.Topic(name).Partitions[0].Log.LeaderEpoch()
		if last, known := l.epochs[name]; known && epoch <= last {
			l.t.Errorf("%s begins with epoch %d, its last life had %d", name, epoch, last)
		}
		l.epochs[name] = epoch
	})
}

func (l *lab) extend(name string, partitions int) {
	l.AddPartitions([]kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: int32(partitions)}}, false, func(refused []Refusal) {
		want := int16(0)
		switch m := l.model[name]; {
		case m == nil:
			want = wire.CodeUnknownTopicOrPartition
		case partitions <= m.partitions:
			want = wire.CodeInvalidPartitions
		}
		if l.verdict("extension", name, refused[0].Code, want) {
			l.model[name].partitions = partitions
		}
	})
}

func (l *lab) remove(name string) {
	if tp := l.Topic(name); tp != nil {
		for p := range tp.Online() {
			l.epochs[name] = max(l.epochs[name], p.Log.LeaderEpoch())
		}
	}
	l.DeleteTopics([]string{name}, func(codes []int16) {
		want := int16(0)
		if l.model[name] == nil {
			want = wire.CodeUnknownTopicOrPartition
		}
		if l.verdict("deletion", name, codes[0], want) {
			delete(l.model, name)
		}
	})
}

func (l *lab) retain(name, millis string) {
	l.Configure(name, []SettingChange{{Name: "retention.ms", Value: millis, Remove: millis == ""}}, false, func(refused Refusal) {
		want := int16(0)
		if l.model[name] == nil {
			want = wire.CodeUnknownTopicOrPartition
		}
		if l.verdict("configuration", name, refused.Code, want) {
			l.model[name].retention = millis
		}
	})
}

// Random changes of a few names, many at a time, on a disk that fails now and then, with restarts and crashes between them: the
// table matches the answers, after every start too; room is never lost; and a recreated topic never reuses the epoch of an earlier
// one.
func TestTopicsAreWhatTheAnswersSaidWhateverTheOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	l := &lab{t: t, dir: t.TempDir(), disk: &failingFS{FS: segment.OS}, model: map[string]*modelTopic{}, epochs: map[string]int32{}}
	l.open()
	for round := range 30 {
		l.disk.of.Store(int32(rng.IntN(2) * 4))
		for range rng.IntN(20) {
			name := fmt.Sprint("t", rng.IntN(8))
			for l.Changing(name) { // the answers of changes of one name may come in another order than they are made
				l.loop.RunTasks()
			}
			switch rng.IntN(5) {
			case 0, 1:
				l.create(name, 1+rng.IntN(3))
			case 2:
				l.extend(name, 1+rng.IntN(5))
			case 3:
				l.remove(name)
			default:
				l.retain(name, []string{"", "1000", "86400000"}[rng.IntN(3)])
			}
			if rng.IntN(3) == 0 {
				l.loop.RunTasks()
			}
		}
		l.wait()
		if rng.IntN(3) == 0 {
			l.disk.of.Store(0)
			l.end(round%2 == 0)
			l.open()
		}
	}
	if l.failed == 0 {
		t.Error("no change failed: the disk's errors were not seen")
	}
	l.end(true)
}
