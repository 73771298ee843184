package sim

import (
	"slices"
	"syscall"
	"time"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// operation is one that was queued and has not completed. It is due at some time, or waits for its socket:
//
//	Queue --(a while)--> tried --> completed
//	          ^            |
//	          |            +--> waiting: it can not go on, or is a recv that stays armed
//	          |                    |
//	          +----(ready)---------+
type operation struct {
	ring.Op
	kernel    *Kernel
	index     int      // in the kernel's pending ones
	waitsFor  *waiting // nil while it is due
	socket    *Socket  // that it writes to
	pipe      *pipe    // that it fills or empties
	done      int      // bytes moved by a send that has to move all
	tried     bool
	cancelled bool
	was       []byte // what is sent, as it was when it was queued
}

// Queue implements [ring.Kernel].
func (k *Kernel) Queue(op ring.Op) {
	op.Assert()
	k.assertOpen()
	k.stats.ByOpcode[op.Code]++
	o := k.newOperation(op)
	k.checkOpen(o)
	k.checkUse(o)
	k.checkSend(o)
	o.index = len(k.pending)
	k.pending = append(k.pending, o)
	o.due(k.duration(o))
}

// newOperation is an operation, in the memory of one that has completed if there is one.
func (k *Kernel) newOperation(op ring.Op) *operation {
	var o *operation
	if last := len(k.unused) - 1; last >= 0 {
		o, k.unused = k.unused[last], k.unused[:last]
	} else {
		o = new(operation)
	}
	*o = operation{Op: op, kernel: k, was: o.was[:0]}
	switch op.Code {
	case ring.OpSend, ring.OpSendmsg, ring.OpSplice:
		o.socket, _ = k.objects[int(op.FD)].(*Socket)
	}
	if op.Code == ring.OpSplice {
		if o.pipe, _ = k.objects[int(op.FD)].(*pipe); o.pipe == nil {
			o.pipe, _ = k.objects[int(op.FDIn)].(*pipe)
		}
	}
	return o
}

// checkOpen reports an operation on a descriptor that is not open.
func (k *Kernel) checkOpen(o *operation) {
	_, open := k.objects[int(o.FD)]
	openIn := true
	if o.Code == ring.OpSplice {
		_, openIn = k.objects[int(o.FDIn)]
	}
	if !open && o.Code != ring.OpCancelToken || !openIn {
		k.violate("%v is queued for descriptors %d and %d, not both open", o.Token, o.FD, o.FDIn)
	}
}

// checkUse reports two operations that must not be in flight together.
func (k *Kernel) checkUse(o *operation) {
	if o.pipe == nil && o.socket == nil && o.Code != ring.OpRecv {
		return
	}
	for _, other := range k.pending {
		switch {
		case o.pipe != nil && o.pipe == other.pipe:
			k.violate("%v and %v use one pipe at once", other.Token, o.Token)
		case o.socket != nil && o.socket == other.socket:
			k.violate("%v and %v write to one socket at once", other.Token, o.Token)
		case o.Code == ring.OpRecv && other.Code == ring.OpRecv && o.FD == other.FD:
			k.violate("%v and %v receive from one socket at once", other.Token, o.Token)
		}
	}
}

const (
	inlineTime = 10 * time.Microsecond  // the most that what cannot wait takes
	workerTime = 500 * time.Microsecond // the same, of what another thread does
)

// duration is how long an operation takes, unless it has to wait for its socket.
func (k *Kernel) duration(o *operation) time.Duration {
	m := k.machine
	switch {
	case o.Code == ring.OpFsync || k.isCold(o):
		return m.upTo(m.options.DiskTime)
	case m.oneIn(m.options.StallOneIn):
		mark.Hit("the machine took long for an operation that waits for nothing")
		return m.upTo(m.options.DiskTime)
	case o.Code == ring.OpSplice || o.Code == ring.OpFadvise || o.Async:
		return m.upTo(workerTime)
	}
	return m.upTo(inlineTime)
}

// isCold says that an operation reads pages from the disk.
func (k *Kernel) isCold(o *operation) bool {
	fd := o.FD
	if o.Code == ring.OpSplice {
		fd = o.FDIn
	}
	f, ok := k.objects[int(fd)].(*File)
	if !ok || o.Code != ring.OpRead && o.Code != ring.OpSplice {
		return false
	}
	n := min(int64(o.Len), int64(f.inode.size)-o.OffIn)
	return n > 0 && !f.inode.resident(o.OffIn, n)
}

// due lets the operation go on in a while.
func (o *operation) due(in time.Duration) {
	o.waitsFor = nil
	m := o.kernel.machine
	m.events.add(m.now+in, o)
}

// happen tries the operation.
func (o *operation) happen() {
	k := o.kernel
	if k.killed || k.closed {
		return
	}
	if o.Code == ring.OpRecv && !o.cancelled {
		if k.recv(o) {
			k.forget(o)
		} else {
			o.wait()
		}
		return
	}
	result, ok := k.attempt(o)
	if !ok {
		o.wait()
		return
	}
	k.checkUnchanged(o)
	k.complete(o, result, false, -1)
	k.forget(o)
}

// forget drops an operation that has completed.
func (k *Kernel) forget(o *operation) {
	last := len(k.pending) - 1
	k.pending[o.index] = k.pending[last]
	k.pending[o.index].index = o.index
	k.pending[last] = nil
	k.pending = k.pending[:last]
	k.unused = append(k.unused, o)
}

func (k *Kernel) complete(o *operation, result int32, more bool, buffer int) {
	k.completed = append(k.completed, ring.NewCompletion(o.Token, result, more, buffer))
}

// retryErrors are what an operation that was interrupted may end with.
var retryErrors = []syscall.Errno{syscall.EINTR, syscall.ECANCELED, syscall.Errno(512)}

// attempt runs an operation as far as it can. ok is false while it has to wait.
func (k *Kernel) attempt(o *operation) (result int32, ok bool) {
	switch o.Code {
	case ring.OpCancel, ring.OpCancelToken:
		k.cancel(o)
		return 0, true
	}
	if o.cancelled {
		if o.done > 0 {
			return int32(o.done), true
		}
		return -int32(syscall.ECANCELED), true
	}
	first := !o.tried
	o.tried = true
	if first && o.Code != ring.OpPoll && k.machine.oneIn(k.machine.options.RetryOneIn) {
		mark.Hit("the machine interrupted an operation")
		return -int32(retryErrors[k.machine.random.IntN(len(retryErrors))]), true
	}
	switch o.Code {
	case ring.OpSend, ring.OpSendmsg:
		return k.send(o)
	case ring.OpRead:
		return k.read(o), true
	case ring.OpSplice:
		if p, ok := k.objects[int(o.FD)].(*pipe); ok {
			return k.spliceIn(o, p), true
		}
		return k.spliceOut(o), true
	case ring.OpPoll:
		return k.poll(o)
	case ring.OpFsync:
		return k.fsync(o), true
	case ring.OpFadvise:
		return k.advise(o), true
	}
	panic("sim: " + o.Code.String() + " is not simulated")
}

// cancel marks what is to be cancelled; it completes when its turn comes.
func (k *Kernel) cancel(c *operation) {
	for _, o := range k.pending {
		if c.Code == ring.OpCancel && o != c && o.FD == c.FD || c.Code == ring.OpCancelToken && o.Token == ring.Token(c.Addr) {
			o.cancelled = true
			o.interrupt()
		}
	}
}

// waiting are the operations that wait for an object: for something to read, or for room.
type waiting struct{ operations []*operation }

// wait lets the operation wait until its object is ready. One that only did less than it could has to wait for its turn.
func (o *operation) wait() {
	switch at := o.kernel.objects[int(o.FD)].(type) {
	case *Socket:
		if o.Code == ring.OpRecv && at.readable() || o.done > 0 && at.space > 0 {
			o.due(o.kernel.machine.upTo(inlineTime))
			return
		}
		o.waitsFor = &at.operations
	case *listener:
		o.waitsFor = &at.operations
	}
	o.waitsFor.operations = append(o.waitsFor.operations, o)
}

// wake lets operations go on in a while: those that read, those that write, or both. A poll does both.
func (w *waiting) wake(reading, writing bool, m *Machine, within time.Duration) {
	keep := w.operations[:0]
	for _, o := range w.operations {
		if reading && o.Code == ring.OpRecv || writing && o.Code != ring.OpRecv || o.Code == ring.OpPoll {
			o.due(m.upTo(within))
		} else {
			keep = append(keep, o)
		}
	}
	clear(w.operations[len(keep):])
	w.operations = keep
}

// interrupt lets an operation that waits go on.
func (o *operation) interrupt() {
	if w := o.waitsFor; w != nil {
		w.operations = slices.DeleteFunc(w.operations, func(other *operation) bool { return other == o })
		o.due(o.kernel.machine.upTo(inlineTime))
	}
}
