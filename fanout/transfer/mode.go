package transfer

import (
	"fmt"
	"slices"

	"oneplusn/ring"
)

// Mode is a way to move a range of a segment to a socket.
type Mode uint8

// The modes. Auto chooses between Splice and Send for each range.
const (
	Auto Mode = iota
	Splice
	Send
	Sendfile
	Copy
	modes
)

var modeNames = [modes]string{"auto", "splice", "send", "sendfile", "copy"}

// method is one mode's behaviour where modes differ. Auto has none: no part is ever in it.
type method struct {
	// step queues what comes next of a part that is not done, on a socket that is not busy.
	step func(f *Flow)
	// pool lends the stages, nil for a mode without. fill is the operation that brings n bytes of the range at pos into a
	// stage, and filled takes the number that came. drain is the write that empties the stage.
	pool   *pool
	fill   func(f *Flow, file int, pos int64, n int) ring.Op
	filled func(f *Flow, n int)
	drain  func(f *Flow)
}

func (e *Engine) newMethods() [modes]method {
	return [modes]method{
		Splice:   {step: e.stepStaged, pool: &e.pipes, fill: fillPipe, filled: e.staged, drain: e.drainPipe},
		Copy:     {step: e.stepStaged, pool: &e.buffers, fill: fillBuffer, filled: e.copied, drain: e.drainBuffer},
		Send:     {step: e.sendMapped},
		Sendfile: {step: e.stepSendfile, pool: &e.pipes, fill: fillPipe, filled: e.warmed},
	}
}

// String is the mode's name in flags, logs and metrics.
func (m Mode) String() string {
	if m < modes {
		return modeNames[m]
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Modes lists all modes.
func Modes() []Mode { return []Mode{Auto, Splice, Send, Sendfile, Copy} }

// ParseMode is the inverse of [Mode.String].
func ParseMode(name string) (Mode, error) {
	if m := slices.Index(modeNames[:], name); m >= 0 {
		return Mode(m), nil
	}
	return 0, fmt.Errorf("--transfer %q: choose one of auto, splice, send, sendfile, copy", name)
}
