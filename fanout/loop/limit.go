package loop

import "time"

// LogLimit lets a few log lines a second through, so that a flood of one event neither hides others nor costs much. The zero
// value is ready.
type LogLimit struct {
	second time.Duration
	lines  int
}

const logLinesPerSecond = 5

// Allow reports whether one more line may be written at a time on the loop's clock.
func (l *LogLimit) Allow(now time.Duration) bool {
	if s := now.Truncate(time.Second); s != l.second {
		l.second, l.lines = s, 0
	}
	l.lines++
	return l.lines <= logLinesPerSecond
}

// Warn logs a warning, unless there were too many.
func (l *LogLimit) Warn(on *Loop, message string, attrs ...any) {
	if l.Allow(on.now) {
		on.Log.Warn(message, attrs...)
	}
}
