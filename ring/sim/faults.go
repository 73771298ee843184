package sim

import (
	"io/fs"
	"syscall"

	"oneplusn/segment/mark"
)

// diskFaults are the failures that a test asks for, beside those of [DiskOptions] that come by chance.
type diskFaults struct {
	at     int // the operation that fails; negative for none
	err    error
	once   bool
	dead   bool   // one has failed, and so do all after it
	failed string // what failed first
	sync   string // the file whose next sync fails
	lost   int    // how many pages syncs have lost
}

// FailAt makes every operation fail with err from n operations on, since the program is killed or the power goes; negative for never.
// The first is half done, and those after it have no effect.
func (d *Disk) FailAt(n int, err error) { d.fail(n, err, false) }

// FailOnce makes one operation fail with err, after n more; negative for none.
func (d *Disk) FailOnce(n int, err error) { d.fail(n, err, true) }

func (d *Disk) fail(n int, err error, once bool) {
	d.faults = diskFaults{at: -1, err: err, once: once, sync: d.faults.sync, lost: d.faults.lost}
	if n >= 0 {
		d.faults.at = d.ops + n
	}
}

// Failed says that the operations have come to where [Disk.FailAt] lets them fail.
func (d *Disk) Failed() bool { return d.faults.at >= 0 && d.ops >= d.faults.at }

// Met is the operation that failed as asked for, and its file.
func (d *Disk) Met() string { return d.faults.failed }

// FailSyncOf makes the next sync of a file fail.
func (d *Disk) FailSyncOf(name string) { d.faults.sync = name }

// LostPages is how many pages failed syncs have lost so far.
func (d *Disk) LostPages() int { return d.faults.lost }

// Operations counts them.
func (d *Disk) Operations() int { return d.ops }

// step counts an operation, and lets it fail.
func (d *Disk) step(op, name string) error {
	f := &d.faults
	if d.Failed() {
		if f.failed == "" {
			f.failed = op + " " + name
		}
		if f.dead = !f.once; f.once {
			d.ops++
			f.at = -1
		}
		return &fs.PathError{Op: op, Path: name, Err: f.err}
	}
	d.ops++
	if d.machine.oneIn(d.options.FailOneIn) {
		mark.Hit("the disk let an operation fail")
		return &fs.PathError{Op: op, Path: name, Err: syscall.EIO}
	}
	return nil
}

// sync syncs a file. One that fails loses pages, unless the program died before.
func (d *Disk) sync(n *inode, name string) error {
	err := d.step("fsync", name)
	if err == nil && (name == d.faults.sync || d.machine.oneIn(d.options.FailSyncOneIn)) {
		mark.Hit("the disk let a sync fail")
		err = &fs.PathError{Op: "fsync", Path: name, Err: syscall.EIO}
	}
	if name == d.faults.sync {
		d.faults.sync = ""
	}
	switch {
	case err == nil:
		n.sync()
	case !d.Failed():
		d.faults.lost += n.failSync(d.machine)
	}
	return err
}
