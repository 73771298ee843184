package fanout

import (
	"os"
	"syscall"
	"testing"

	"oneplusn/segment"
)

// failingFS is the real file system, whose operation with a number fails.
type failingFS struct {
	segment.FS
	failAt, ops int
	failed      string
}

func (f *failingFS) step(op, path string) error {
	f.ops++
	if f.ops-1 != f.failAt {
		return nil
	}
	f.failed = op + " " + path
	return &os.PathError{Op: op, Path: path, Err: syscall.EIO}
}

func (f *failingFS) Open(path string, access segment.Access) (segment.File, error) {
	if err := f.step("open", path); err != nil {
		return nil, err
	}
	return f.FS.Open(path, access)
}

func (f *failingFS) ReadDir(dir string) ([]os.DirEntry, error) {
	if err := f.step("readdir", dir); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(dir)
}

func (f *failingFS) Stat(path string) (os.FileInfo, error) {
	if err := f.step("stat", path); err != nil {
		return nil, err
	}
	return f.FS.Stat(path)
}

func (f *failingFS) MkdirAll(dir string) error {
	if err := f.step("mkdir", dir); err != nil {
		return err
	}
	return f.FS.MkdirAll(dir)
}

func (f *failingFS) Rename(from, to string) error {
	if err := f.step("rename", to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *failingFS) RemoveAll(path string) error {
	if err := f.step("remove", path); err != nil {
		return err
	}
	return f.FS.RemoveAll(path)
}

func (f *failingFS) SyncDir(dir string) error {
	if err := f.step("syncdir", dir); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

func (f *failingFS) Lock(path string) (func(), error) {
	if err := f.step("lock", path); err != nil {
		return nil, err
	}
	return f.FS.Lock(path)
}

// Whichever operation of a start fails, the start reports it or continues; the next one serves all acknowledged records.
func TestStartThatTheDiskRefusesLosesNothing(t *testing.T) {
	origin := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = origin })
	c, log := s.dial(), &shadow{topic: "feed"}
	c.create("feed", 1)
	for i := range 3 {
		c.publish(log, makeBatch(uint64(i), 2, 100, 0))
	}
	c.close()
	s.stop()
	for n, done := 0, false; !done; n++ {
		config := testConfig(t)
		if err := os.CopyFS(config.DataDir, os.DirFS(origin)); err != nil {
			t.Fatal(err)
		}
		disk := &failingFS{FS: segment.OS, failAt: n}
		config.Log.FS = disk
		if b, err := Open(config); err == nil {
			ended := make(chan error, 1)
			go func() { ended <- b.Run() }()
			b.Stop()
			<-ended // it may not have been able to write what a clean stop leaves behind
		}
		done = disk.failed == ""
		s := start(t, func(c *Config) { c.DataDir = config.DataDir })
		c := s.dial()
		if r := c.fetchOne(11, wanted{topic: "feed"}); r.ErrorCode != 0 || r.HighWatermark != log.end {
			t.Errorf("after a failed %s: error %d, the log ends at %d and not at %d\n%s", disk.failed, r.ErrorCode, r.HighWatermark, log.end, s.log)
		}
		c.close()
		s.stop()
	}
}
