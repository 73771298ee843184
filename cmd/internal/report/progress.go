package report

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Progress shows how far a long piece of work is: in place on a terminal, else in lines.
type Progress struct {
	out      io.Writer
	terminal bool
	every    time.Duration
	started  time.Time
	last     time.Time
	shown    bool
}

// NewProgress reports to out: twice a second in place on a terminal, else a line every five seconds.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, every: 5 * time.Second}
	if f, ok := out.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			p.terminal, p.every = true, 500*time.Millisecond
		}
	}
	return p
}

// Begin begins a piece of work, whose first report is not due yet.
func (p *Progress) Begin() { p.started, p.last = time.Now(), time.Now() }

// Show reports, unless the last report is too recent.
func (p *Progress) Show(format string, args ...any) {
	if time.Since(p.last) < p.every {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf(format, args...)
	if p.terminal {
		p.shown = true
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		return
	}
	_, _ = fmt.Fprintln(p.out, text)
}

// Step announces a piece of work on a line of its own, and begins it.
func (p *Progress) Step(format string, args ...any) {
	p.Clear()
	_, _ = fmt.Fprintf(p.out, format+"\n", args...)
	p.Begin()
}

// Clear removes the line from the terminal.
func (p *Progress) Clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
