package fanout

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oneplusn/segment"
)

// gateFS is the real file system, where chosen operations wait until the test lets them go on, or fail.
type gateFS struct {
	segment.FS
	mu    sync.Mutex
	gates []*gate
	// cold is of how many reads of 100 on the loop not every page is in the page cache; with 100 none ever is.
	cold atomic.Int32
}

// gate is a place where operations wait.
type gate struct {
	op, part string
	arrived  chan string // the paths of those that wait, as they come
	open     chan struct{}
	err      error // what they end with; nil to go on
	fs       *gateFS
}

func newGateFS() *gateFS { return &gateFS{FS: segment.OS} }

// hold lets every operation of a kind (open, rename, remove, syncdir, sync, read, close) on a path with that part wait.
func (f *gateFS) hold(op, part string) *gate {
	g := &gate{op: op, part: part, arrived: make(chan string, 1000), open: make(chan struct{}), fs: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates = append(f.gates, g)
	return g
}

// await waits until an operation arrives.
func (g *gate) await(t *testing.T) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(patience):
		t.Fatalf("nothing comes to %s %s", g.op, g.part)
	}
}

// fail lets every such operation fail at once.
func (f *gateFS) fail(op, part string, err error) *gate {
	g := f.hold(op, part)
	g.err = err
	close(g.open)
	return g
}

// release lets operations continue, waiting and future ones.
func (g *gate) release() {
	g.fs.mu.Lock()
	defer g.fs.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
	g.err = nil
}

// clear forgets all gates.
func (f *gateFS) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates = nil
}

func (f *gateFS) pass(op, path string) error {
	f.mu.Lock()
	gates := f.gates
	f.mu.Unlock()
	for _, g := range gates {
		if g.op == op && strings.Contains(path, g.part) {
			select {
			case g.arrived <- path:
			default:
			}
			<-g.open
			f.mu.Lock()
			err := g.err
			f.mu.Unlock()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *gateFS) Open(path string, access segment.Access) (segment.File, error) {
	if err := f.pass("open", path); err != nil {
		return nil, err
	}
	file, err := f.FS.Open(path, access)
	if err != nil {
		return nil, err
	}
	return &gateFile{file, f, path}, nil
}

func (f *gateFS) IsNamed(file segment.File, path string) (bool, error) {
	return f.FS.IsNamed(file.(*gateFile).File, path)
}

func (f *gateFS) Rename(from, to string) error {
	if err := f.pass("rename", to); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *gateFS) RemoveAll(path string) error {
	if err := f.pass("remove", path); err != nil {
		return err
	}
	return f.FS.RemoveAll(path)
}

func (f *gateFS) SyncDir(path string) error {
	if err := f.pass("syncdir", path); err != nil {
		return err
	}
	return f.FS.SyncDir(path)
}

type gateFile struct {
	segment.File
	fs   *gateFS
	path string
}

func (f *gateFile) Sync() error {
	if err := f.fs.pass("sync", f.path); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *gateFile) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.fs.pass("read", f.path); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, offset)
}

func (f *gateFile) ReadResident(b []byte, offset int64) int {
	switch cold := f.fs.cold.Load(); {
	case cold == 100:
		return 0
	case rand.Int32N(100) < cold:
		b = b[:rand.IntN(2)*rand.IntN(len(b)+1)]
	}
	return f.File.ReadResident(b, offset)
}

func (f *gateFile) Close() error {
	if err := f.fs.pass("close", f.path); err != nil {
		return err
	}
	return f.File.Close()
}
