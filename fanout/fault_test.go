package fanout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// faultyFS is the real file system, where writes to files with a part of a path in their names fail for a while: half of
// the bytes reach the file.
type faultyFS struct {
	segment.FS
	mu       sync.Mutex
	failing  string // empty for no file
	as       error
	truncate bool // fails too
}

func (f *faultyFS) fail(path string, as error, truncate bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing, f.as, f.truncate = path, as, truncate
}

func (f *faultyFS) fault(path string, truncate bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing == "" || !strings.Contains(path, f.failing) || truncate && !f.truncate {
		return nil
	}
	return &os.PathError{Op: "write", Path: path, Err: f.as}
}

func (f *faultyFS) Open(path string, access segment.Access) (segment.File, error) {
	file, err := f.FS.Open(path, access)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f, path}, nil
}

func (f *faultyFS) IsNamed(file segment.File, path string) (bool, error) {
	return f.FS.IsNamed(file.(*faultyFile).File, path)
}

type faultyFile struct {
	segment.File
	fs   *faultyFS
	path string
}

func (f *faultyFile) WriteAt(pieces [][]byte, offset int64) (int, error) {
	if fault := f.fs.fault(f.path, false); fault != nil {
		b := bytes.Join(pieces, nil)
		n, err := f.File.WriteAt([][]byte{b[:len(b)/2]}, offset)
		if err != nil {
			fault = err
		}
		return n, fault
	}
	return f.File.WriteAt(pieces, offset)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.fault(f.path, true); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// ofProducer makes a batch that of an idempotent producer.
func ofProducer(batch []byte, id int64, sequence int32) []byte {
	binary.BigEndian.PutUint64(batch[43:], uint64(id))
	binary.BigEndian.PutUint16(batch[51:], 0)
	binary.BigEndian.PutUint32(batch[53:], uint32(sequence))
	return seal(batch)
}

// A failed write is an error for its producer and harms no other client: acknowledged records are served, other partitions
// continue, and when the disk works again the producer's retry takes the place of the failed write.
func TestFailedWriteIsToldToItsProducerAndHarmsNobodyElse(t *testing.T) {
	for _, fsync := range []commit.Fsync{{}, {Always: true}} {
		for _, row := range []struct {
			errno    syscall.Errno
			truncate bool // what the write left can't be cut either
			remedy   string
		}{
			{syscall.EIO, false, "the disk failed"},
			{syscall.EIO, true, "the disk failed"},
			{syscall.EDQUOT, false, "free space"},
			{syscall.EROFS, true, "mount it read-write"},
		} {
			t.Run(fmt.Sprintf("%v, %v, truncate=%v", fsync, row.errno, row.truncate), func(t *testing.T) {
				disk := &faultyFS{FS: segment.OS}
				dir := t.TempDir()
				s := start(t, func(c *Config) { c.DataDir, c.Fsync, c.Log.FS = dir, fsync, disk })
				c := s.dial()
				c.create("feed", 2)
				bad, good := &shadow{topic: "feed"}, &shadow{topic: "feed", partition: 1}
				sequence := int32(0)
				batch := func() []byte { return ofProducer(makeBatch(uint64(sequence), 1, 5000, 0), 77, sequence) }
				for ; sequence < 5; sequence++ {
					c.publish(bad, batch())
				}
				waiting, subscriber := waitingFetch("feed", 0, bad.end, longMillis), s.dial()
				subscriber.send(waiting)
				s.awaitWaiting(1)

				disk.fail("feed-0", row.errno, row.truncate)
				for i := range 3 {
					fine := makeBatch(uint64(100+i), 1, 100, 0)
					for _, p := range c.ask(produceRequest(7, -1, "feed", map[int32][]byte{0: batch(), 1: fine})).(*kmsg.ProduceResponse).Topics[0].Partitions {
						switch {
						case p.Partition == 1 && p.ErrorCode == 0:
							good.add(fine, p.BaseOffset)
						case p.Partition == 1 || p.ErrorCode != wire.CodeKafkaStorageError || p.BaseOffset != -1:
							t.Fatalf("partition %d: error %d, offset %d", p.Partition, p.ErrorCode, p.BaseOffset)
						}
					}
				}
				if err := s.dial().readAll(11, []*shadow{bad, good}); err != nil {
					t.Errorf("while the disk fails: %v", err)
				}
				if st := s.stats(); st.ProduceErrors != 3 || st.WaitingFetches != 1 {
					t.Errorf("%d errors were counted and %d fetches wait, want 3 and 1", st.ProduceErrors, st.WaitingFetches)
				}
				if text := s.log.String(); !strings.Contains(text, "append failed") || !strings.Contains(text, row.errno.Error()) ||
					!strings.Contains(text, row.remedy) {
					t.Errorf("the log does not name cause and remedy:\n%s", text)
				}
				crashed := crashCopy(t, dir)

				disk.fail("", nil, false)
				c.publish(bad, batch()) // the retry
				if got := recordsOf(t, subscriber.receive(waiting, subscriber.next)); !bytes.Equal(got, bad.batches[5]) {
					t.Errorf("the waiting subscriber got %d bytes, want the %d of the retry", len(got), len(bad.batches[5]))
				}
				for sequence++; sequence < 10; sequence++ {
					c.publish(bad, batch())
				}
				checkRestart(t, s, dir, bad, good)
				// As if the process had died while the disk failed: the retry had not come.
				checkStart(t, crashed, bad.first(5), good)
			})
		}
	}
}

// crashCopy is a copy of the data directory as the process's death would leave it.
func crashCopy(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// checkRestart stops a server and checks the records that the next one on its directory serves.
func checkRestart(t *testing.T, s *server, dir string, logs ...*shadow) {
	t.Helper()
	for _, c := range s.clients {
		c.close()
	}
	s.stop()
	checkStart(t, dir, logs...)
}

// first is a copy of the first batches.
func (s *shadow) first(n int) *shadow {
	f := &shadow{topic: s.topic, partition: s.partition}
	for i, batch := range s.batches[:n] {
		f.add(batch, s.bases[i])
	}
	return f
}

// checkStart starts a server on a directory, checks its records, and that it accepts more.
func checkStart(t *testing.T, dir string, logs ...*shadow) {
	t.Helper()
	s := start(t, func(c *Config) { c.DataDir, c.Log.RetentionAge = dir, -1 })
	c := s.dial()
	if err := c.readAll(11, logs); err != nil {
		t.Errorf("after a start: %v", err)
	}
	for _, log := range logs {
		c.publish(log.first(len(log.batches)), makeBatch(999, 1, 10, 0))
	}
	c.close()
	s.stop()
}

// Somebody removes files of a partition while it is served. Nobody notices, and a clean stop writes them again.
func TestSegmentFilesRemovedUnderTheServerAreServedAndWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir, c.Log.SegmentBytes, c.Log.RetentionAge = dir, 16<<10, -1 })
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 20 {
		c.publish(log, makeBatch(uint64(i), 1, 5000, 0))
	}
	files := func(pattern string) []string {
		paths, err := filepath.Glob(filepath.Join(dir, "feed-0", pattern))
		if err != nil {
			t.Fatal(err)
		}
		return paths
	}
	// One that was closed and finished, another one with all its files, and the one that is written to.
	if !eventually(func() bool {
		c.publish(log, makeBatch(50, 1, 10, 0)) // the log hands out file work after an append
		return len(files("*.index")) >= 3
	}) {
		t.Fatalf("the closed segments have no index: %v", files("*"))
	}
	removed := []string{files("*.log")[0], files("*.log")[2], slices.Max(files("0*.log"))}
	for _, path := range append(files(filepath.Base(strings.TrimSuffix(removed[1], "log")+"*index")), removed...) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Errorf("through the open files: %v", err)
	}
	for i := range 3 {
		c.publish(log, makeBatch(uint64(100+i), 1, 1000, 0))
	}
	c.close()
	s.stop()
	for _, path := range removed {
		if !strings.Contains(s.log.String(), path) {
			t.Errorf("the log does not tell of %s:\n%s", path, s.log)
		}
	}
	checkStart(t, dir, log)
}
