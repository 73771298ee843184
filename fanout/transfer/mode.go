package transfer

import "fmt"

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
	for m, n := range modeNames {
		if n == name {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("transfer: there is no mode %q: choose one of auto, splice, send, sendfile, copy", name)
}
