package fanout

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// copyingFS copies the data directory before each operation that changes it: the state that a crash there leaves.
type copyingFS struct {
	segment.FS
	t      *testing.T
	dir    string
	mu     sync.Mutex
	on     bool
	copies []string
}

// copyNow copies the directory, and holds all other operations back until op is done.
func (f *copyingFS) step(op func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on {
		to := filepath.Join(f.t.TempDir(), fmt.Sprint(len(f.copies)))
		if err := os.CopyFS(to, os.DirFS(f.dir)); err != nil {
			f.t.Error(err)
		}
		f.copies = append(f.copies, to)
	}
	return op()
}

func (f *copyingFS) Open(path string, access segment.Access) (file segment.File, err error) {
	if access != segment.Create {
		return f.FS.Open(path, access)
	}
	err = f.step(func() error { file, err = f.FS.Open(path, access); return err })
	return file, err
}

func (f *copyingFS) Rename(from, to string) error {
	return f.step(func() error { return f.FS.Rename(from, to) })
}

func (f *copyingFS) RemoveAll(path string) error {
	return f.step(func() error { return f.FS.RemoveAll(path) })
}

func (f *copyingFS) SyncDir(dir string) error {
	return f.step(func() error { return f.FS.SyncDir(dir) })
}

// copied turns the copies on while do runs, and returns them.
func (f *copyingFS) copied(do func()) []string {
	set := func(on bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.on = on
	}
	set(true)
	do()
	set(false)
	return f.copies
}

// partitionsOf is how many partitions a topic has, 0 for one that is unknown.
func (c *dialed) partitionsOf(topic string) int {
	c.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 4
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, t)
	got := c.ask(req).(*kmsg.MetadataResponse).Topics[0]
	if got.ErrorCode != 0 && got.ErrorCode != wire.CodeUnknownTopicOrPartition {
		c.t.Errorf("metadata of %s: error %d", topic, got.ErrorCode)
	}
	return len(got.Partitions)
}

// leftovers are the names in a data directory that only changes under way have.
func leftovers(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if segment.IsDeleted(e.Name()) || strings.HasPrefix(e.Name(), catalog.MarkPrefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// Wherever the server ends in the middle of a change, the next start finds the topic as it was before or as it was to be:
// never with some of its partitions, and with nothing left over.
func TestChangeOfTopicsThatACrashEndsIsDoneOrNot(t *testing.T) {
	for name, row := range map[string]struct {
		before, after int
		change        func(c *dialed)
	}{
		"delete":            {2, 0, func(c *dialed) { c.remove("feed") }},
		"create":            {0, 2, func(c *dialed) { c.create("feed", 2) }},
		"create partitions": {1, 3, func(c *dialed) { c.createPartitions("feed", 3) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk := &copyingFS{FS: segment.OS, t: t, dir: dir}
			s := start(t, func(c *Config) { c.DataDir, c.Log.FS, c.AutoCreateTopics = dir, disk, false })
			c := s.dial()
			c.create("other", 2)
			if row.before > 0 {
				c.create("feed", int32(row.before))
				c.publish(&shadow{topic: "feed"}, makeBatch(1, 5, 10, 0))
				c.deleteRecords("feed", 5)
			}
			copies := disk.copied(func() { row.change(c) })
			if len(copies) < 5 {
				t.Fatalf("%d operations were seen", len(copies))
			}
			found := map[int]int{}
			for i, at := range copies {
				next := start(t, func(c *Config) { c.DataDir, c.AutoCreateTopics = at, false })
				client := next.dial()
				n := client.partitionsOf("feed")
				if found[n]++; n != row.before && n != row.after || client.partitionsOf("other") != 2 {
					t.Errorf("after operation %d of %d the topic has %d partitions, want %d or %d", i, len(copies), n, row.before, row.after)
				}
				if n == 0 { // the name is free, and its next log begins at 0
					client.create("feed", 1)
					client.publish(&shadow{topic: "feed"}, makeBatch(2, 1, 10, 0))
				}
				client.close()
				next.stop()
				if left := leftovers(t, at); len(left) > 0 {
					t.Errorf("after operation %d of %d there is left: %v", i, len(copies), left)
				}
			}
			if found[row.before] == 0 || c.partitionsOf("feed") != row.after {
				t.Errorf("none of the copies was as before: %v; in the end there are %d partitions", found, c.partitionsOf("feed"))
			}
		})
	}
}

// A deletion that cannot be written down leaves the topic as it is; one that could stays decided, though its directories
// cannot be moved, also over a restart.
func TestDeletionWhoseRenameFailsIsRefusedOrFinishedLater(t *testing.T) {
	dir := t.TempDir()
	disk := newGateFS()
	in := func(c *Config) { c.DataDir, c.Log.FS, c.AutoCreateTopics, c.Log.RetentionAge = dir, disk, false, -1 }
	s := start(t, in)
	c := s.dial()
	c.create("feed", 3)
	log := &shadow{topic: "feed"}
	c.publish(log, makeBatch(1, 3, 10, 0))
	tryRemove := func() int16 {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version, req.TopicNames = 3, []string{"feed"}
		return c.ask(req).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode
	}
	for _, broken := range []*gate{disk.fail("open", catalog.MarkPrefix, syscall.EROFS), disk.fail("rename", catalog.MarkPrefix, syscall.EIO)} {
		if code := tryRemove(); code != wire.CodeKafkaStorageError {
			t.Errorf("deleting without the mark: error %d", code)
		}
		broken.release()
		if err := c.readAll(11, []*shadow{log}); err != nil || c.partitionsOf("feed") != 3 {
			t.Errorf("the topic after that: %v", err)
		}
		c.publish(log, makeBatch(2, 3, 10, 0))
	}
	stuck := disk.fail("rename", "feed-1.", syscall.EPERM)
	for restart := range 2 {
		if restart == 0 {
			c.remove("feed")
		}
		if code := c.tryCreate("feed", 1); c.partitionsOf("feed") != 0 || code != wire.CodeKafkaStorageError {
			t.Errorf("a topic whose directories cannot be moved has %d partitions; making another: error %d", c.partitionsOf("feed"), code)
		}
		c.create(fmt.Sprint("other", restart), 1)
		c.close()
		s.stop()
		if restart == 1 {
			break
		}
		s = start(t, in)
		c = s.dial()
	}
	stuck.release()
	s = start(t, in)
	c = s.dial()
	c.create("feed", 1)
	c.publish(&shadow{topic: "feed"}, makeBatch(3, 1, 10, 0))
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// A full disk does not prevent a deletion, which makes room.
func TestTopicIsDeletedThoughTheDiskIsFull(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS, c.AutoCreateTopics = disk, false })
	c := s.dial()
	c.create("feed", 3)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 3, 10, 0))
	var full []*gate
	for _, file := range []string{catalog.MarkPrefix, catalog.LeaderEpochFile, segment.LogStartFile, segment.RecoveryPointFile} {
		full = append(full, disk.fail("open", file, syscall.ENOSPC))
	}
	room := disk.hold("remove", "-delete")
	go func() {
		<-room.arrived
		for _, g := range full {
			g.release()
		}
		room.release()
	}()
	c.remove("feed")
	if n := c.partitionsOf("feed"); n != 0 {
		t.Errorf("the topic has %d partitions", n)
	}
	c.create("feed", 1)
}

// The server never removes files that it did not make, whatever their names.
func TestWhatIsInTheWayOfATopicStays(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	precious := filepath.Join(dir, "feed-1", "precious")
	if err := os.Mkdir(filepath.Dir(precious), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if code := c.tryCreate("feed", 3); code != wire.CodeKafkaStorageError {
		t.Errorf("making a topic over another's directory: error %d", code)
	}
	if code := c.tryCreate("feed", 1); code != 0 {
		t.Errorf("making a topic beside it: error %d", code)
	}
	c.remove("feed")
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	if !eventually(func() bool { return len(leftovers(t, dir)) == 0 }) {
		t.Errorf("%v are left", leftovers(t, dir))
	}
}

// A start removes nothing but what a deletion or a half made topic left: no other name, no file, no link.
func TestStartRemovesNothingThatIsNotItsOwn(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef"
	dir, elsewhere := t.TempDir(), t.TempDir()
	kept := []string{"do-not-delete/precious", "t-0.1234-delete/precious", "t-0." + hex + "0-delete/precious"}
	for _, name := range kept {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	kept = append(kept, "t-1."+hex+"-delete", "removal."+hex, "removal.old.tmp", "notes.tmp")
	for _, name := range kept {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("removal of feed 0 1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(elsewhere, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "t-2."+hex+"-delete")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "t-3."+hex+"-delete")
	if err := os.Mkdir(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *Config) { c.DataDir = dir })
	s.dial().create("feed", 1)
	for _, path := range append(kept, filepath.Base(link)+"/precious", "feed-0") {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("the leftovers of a deletion are still there")
	}
}
