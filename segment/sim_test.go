package segment

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"oneplusn/ring/sim"
)

// simPage is so small that a segment of a test has several.
const simPage = 64

// simFS is the disk of a simulated machine, as the program under test sees it. One case is left out: a process does not die between a
// failed sync and writing its mark.
type simFS struct {
	FS
	machine *sim.Machine
	kernel  *sim.Kernel
	disk    *sim.Disk
	rng     *rand.Rand
}

var errPowerLost = errors.New("the power is gone")

// newSimFS is a disk whose files can have half a MiB. Its time of day is the beginning of 1970.
func newSimFS(t testing.TB, seed uint64) *simFS {
	return newSimFSOf(t, seed, sim.Options{Disk: sim.DiskOptions{FileBytes: 512 << 10}})
}

// newSimFSAt is a disk at a time of day.
func newSimFSAt(t testing.TB, seed uint64, millis int64) *simFS {
	return newSimFSOf(t, seed, sim.Options{Epoch: time.UnixMilli(millis), Disk: sim.DiskOptions{FileBytes: 512 << 10}})
}

func newSimFSOf(t testing.TB, seed uint64, o sim.Options) *simFS {
	if o.Epoch.IsZero() {
		o.Epoch = time.UnixMilli(0)
	}
	o.Disk.PageBytes = simPage
	fs := simulated(sim.NewMachine(seed, o))
	t.Cleanup(func() {
		fs.close()
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return fs
}

// smallSimFS is a disk with small files, for tests that need thousands. They have to be closed.
func smallSimFS(seed uint64) *simFS {
	o := sim.DiskOptions{FileBytes: 4 << 10, PageBytes: simPage}
	return simulated(sim.NewMachine(seed, sim.Options{Epoch: time.UnixMilli(0), Disk: o}))
}

// simulated starts a program on a machine.
func simulated(m *sim.Machine) *simFS {
	k := m.Start()
	m.Disk().FailAt(-1, nil)
	return &simFS{k.FileSystem(), m, k, m.Disk(), m.Random()}
}

func (s *simFS) close() { s.disk.Close() }

// content is a file as it is read. What is changed in it is changed in the file.
func (s *simFS) content(path string) []byte {
	b, _ := s.disk.Content(path)
	return b
}

func (s *simFS) has(path string) bool {
	_, ok := s.disk.Content(path)
	return ok
}

// copy gives the content of a file to another name.
func (s *simFS) copy(from, to string) { s.disk.Put(to, s.content(from)) }

// setCold chooses how many of 100 reads find no resident page.
func (s *simFS) setCold(percent int) {
	s.disk.Options().ColdOneIn = 0
	if percent > 0 {
		s.disk.Options().ColdOneIn = max(100/percent, 1)
	}
}

// failSyncs lets all syncs fail from now on, or none.
func (s *simFS) failSyncs(all bool) {
	s.disk.Options().FailSyncOneIn = 0
	if all {
		s.disk.Options().FailSyncOneIn = 1
	}
}

// open is how many files the program has open.
func (s *simFS) open() int { return len(s.kernel.Leaked()) }

// died says that the program has come to where it was to end.
func (s *simFS) died() bool { return s.disk.Failed() && s.disk.Met() != "" }

// restart is a copy of the disk after the process died: what was not synced is still not on the disk, and nothing fails any more.
func (s *simFS) restart() *simFS {
	after := simulated(s.machine.Copy())
	for _, path := range after.disk.Names() {
		after.evict(path, s.rng.IntN(2) == 0)
	}
	return after
}

// evict drops all or some of the clean pages of a file.
func (s *simFS) evict(path string, all bool) {
	s.disk.Evict(path, func() bool { return all || s.rng.IntN(2) == 0 })
}

// revive is the same disk after the process died.
func (s *simFS) revive() *simFS {
	for _, path := range s.disk.Names() {
		marked := s.has(filepath.Join(filepath.Dir(path), failedSyncFile))
		s.evict(path, s.rng.IntN(2) == 0 || s.died() && !marked)
	}
	return simulated(s.machine)
}

// powerLoss is the same disk after a loss of power.
func (s *simFS) powerLoss() *simFS {
	s.machine.LosePower()
	return simulated(s.machine)
}
