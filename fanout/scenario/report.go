package scenario

import (
	"fmt"
	"strings"
)

// Report is what is known of a failed run: what was expected, what happened before, and how to repeat it.
func (w *World) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, --fsync=%s, %s, life %d, %v after the start:\n", w.script.Seed, w.shape.fsync, w.shape.mode, w.lives, w.machine.Now())
	for _, f := range w.failed[:min(len(w.failed), 5)] {
		fmt.Fprintln(&b, f)
	}
	fmt.Fprintf(&b, "\nthe last steps:\n%s\n", strings.Join(w.lines[max(len(w.lines)-40, 0):], "\n"))
	fmt.Fprintf(&b, "\nthe server's last log lines:\n%s\n", strings.Join(w.log.lines, "\n"))
	fmt.Fprintf(&b, "\nagain: make sim SEED=%d\n", w.script.Seed)
	return b.String()
}
