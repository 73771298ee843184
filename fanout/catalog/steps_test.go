package catalog

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"oneplusn/segment"
)

// inline runs work at once.
type inline struct{}

func (inline) Go(work, done func()) { work(); done() }

func TestStepsRunInOrderUpToTheFirstError(t *testing.T) {
	var ran []int
	bad, full := errors.New("no"), &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	one := func(n int, err error) step {
		return offLoop(inline{}, func() error { ran = append(ran, n); return err })
	}
	for name, row := range map[string]struct {
		run  step
		ran  []int
		want error
	}{
		"none":            {inOrder(), nil, nil},
		"all":             {inOrder(one(1, nil), one(2, nil)), []int{1, 2}, nil},
		"an error":        {inOrder(one(1, nil), one(2, bad), one(3, nil)), []int{1, 2}, bad},
		"a full disk":     {inOrder(one(1, full).orIfFull(one(2, nil), one(3, nil)), one(4, nil)), []int{1, 2, 3, 4}, nil},
		"no full disk":    {inOrder(one(1, nil).orIfFull(one(2, nil)), one(3, nil)), []int{1, 3}, nil},
		"tolerated":       {inOrder(one(1, full).orIfFull(), one(2, nil)), []int{1, 2}, nil},
		"other error":     {one(1, bad).orIfFull(one(2, nil)), []int{1}, bad},
		"full both times": {one(1, full).orIfFull(one(2, nil), one(1, full)), []int{1, 2, 1}, full},
	} {
		ran = nil
		ended, got := 0, error(nil)
		row.run(func(err error) { ended++; got = err })
		if ended != 1 || got != row.want || !slices.Equal(ran, row.ran) {
			t.Errorf("%s: steps %v ran, want %v; ended %d times with %v, want %v", name, ran, row.ran, ended, got, row.want)
		}
	}
}

// Whatever is taken while a reservation is refused or under way, ids rise, and the file is ahead of them.
func TestProducerIDsAreReservedBeforeTheyAreTaken(t *testing.T) {
	dir := t.TempDir()
	var pending heldJobs
	var ids producerIDs
	ids.open(segment.OS, nil, dir, true, &pending, slog.New(slog.NewTextHandler(io.Discard, nil)))
	last := int64(-1)
	for range 5 * ProducerIDBlock {
		ids.take(func(id int64, err error) {
			end, rerr := readNumber(segment.OS, filepath.Join(dir, ProducerIDFile), maxProducerID)
			if err != nil || rerr != nil || id <= last || id >= end {
				t.Fatalf("id %d after %d, reserved are those below %d: %v, %v", id, last, end, err, rerr)
			}
			last = id
		})
		for len(pending) > 0 {
			run := pending[0]
			pending = pending[1:]
			run()
		}
	}
	if last != 5*ProducerIDBlock-1 {
		t.Errorf("the last id is %d", last)
	}
}

func TestTheNextLeaderEpochNeverFalls(t *testing.T) {
	var l leaderEpochs
	l.open(segment.OS, t.TempDir(), 0, inline{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	l.raise(7)
	l.reserveFor(nil)(func(err error) {
		if err != nil || l.reserved <= 7 {
			t.Errorf("%d is reserved, %v", l.reserved, err)
		}
	})
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "fall from 7 to 6") {
			t.Errorf("lowering it: %q", text)
		}
	}()
	l.raise(6)
}

func TestStepThatEndsTwiceIsFound(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "a step ends once") {
			t.Errorf("it ends twice: %q", text)
		}
	}()
	inOrder(func(next func(error)) { next(nil); next(nil) })(func(error) {})
}
