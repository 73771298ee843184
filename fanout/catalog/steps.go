package catalog

import (
	"errors"
	"fmt"
	"syscall"

	"oneplusn/segment/mark"
)

// jobs runs work in the background, and done on the loop after it: see [loop.Loop.Go].
type jobs interface{ Go(work, done func()) }

// step is a part of a change that takes time. It begins on the loop's thread, and calls next there once, when it has ended.
type step func(next func(error))

// inOrder runs steps one after the other. An error ends the sequence.
func inOrder(steps ...step) step {
	return func(next func(error)) {
		if len(steps) == 0 {
			next(nil)
			return
		}
		ended := false
		steps[0](func(err error) {
			if ended {
				panic(fmt.Sprintf("catalog: a step ends once; it ends again, with error %v", err))
			}
			ended = true
			if err != nil {
				next(err)
				return
			}
			inOrder(steps[1:]...)(next)
		})
	}
}

// offLoop is a step that may block.
func offLoop(on jobs, work func() error) step {
	return func(next func(error)) {
		var err error
		on.Go(func() { err = work() }, func() { next(err) })
	}
}

// orIfFull runs other steps instead, if the disk is full for this one.
func (s step) orIfFull(others ...step) step {
	return func(next func(error)) {
		s(func(err error) {
			if diskFull(err) {
				mark.Hit("a deletion went on although the disk was full")
				inOrder(others...)(next)
				return
			}
			next(err)
		})
	}
}

// diskFull reports whether an error is that of a full disk. It must not stop a deletion, which makes room: the deletion goes on
// without the write.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// sharedFile is a file of the data directory that changes of many topics write, such as a checkpoint. One write is in flight
// at a time. Requests that come meanwhile share the next one, so the cost does not grow with their number.
type sharedFile struct {
	jobs jobs
	// snapshot is called on the loop when a write begins. write may block; written, which may be nil, runs on the loop after a
	// write that succeeded.
	snapshot func() (write func() error, written func())

	waiting []func(error)
	writing bool
}

// write is a step that writes the file as it has to be from now on.
func (f *sharedFile) write(next func(error)) {
	f.waiting = append(f.waiting, next)
	if !f.writing {
		f.writeNext()
	}
}

func (f *sharedFile) writeNext() {
	asked := f.waiting
	f.waiting, f.writing = nil, true
	write, written := f.snapshot()
	offLoop(f.jobs, write)(func(err error) {
		if err == nil && written != nil {
			written()
		}
		mark.HitIf(len(asked) > 1, "changes shared one write of a file")
		mark.HitIf(err != nil, "a file that changes share could not be written")
		for _, next := range asked {
			next(err)
		}
		if f.writing = false; len(f.waiting) > 0 {
			f.writeNext()
		}
	})
}
