package sim

import (
	"fmt"
	"syscall"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// pipe holds pieces, each of which lies in one page and takes one slot.
type pipe struct {
	slots  int
	pieces []piece
}

func (p *pipe) bytes() (n int) {
	for _, piece := range p.pieces {
		n += len(piece)
	}
	return n
}

// OpenPipe implements [ring.Kernel].
func (k *Kernel) OpenPipe(wantBytes int) (ring.Pipe, error) {
	if most := k.machine.options.PipesMax; most > 0 && k.pipes == most {
		mark.Hit("the machine had no descriptor left for a pipe")
		return ring.Pipe{}, fmt.Errorf("sim: pipe2: %w", syscall.EMFILE)
	}
	k.pipes++
	p := &pipe{slots: max(wantBytes/pageBytes, 1)}
	return ring.Pipe{R: k.open(p), W: k.open(p), Slots: p.slots}, nil
}

// ClosePipe implements [ring.Kernel].
func (k *Kernel) ClosePipe(ends ring.Pipe) {
	p, ok := k.objects[ends.R].(*pipe)
	if !ok {
		k.violate("a pipe is closed that is not open")
		return
	}
	for _, o := range k.pending {
		if o.pipe == p {
			k.violate("a pipe is closed while %v uses it", o.Token)
		}
	}
	k.pipes--
	delete(k.objects, ends.R)
	delete(k.objects, ends.W)
}

// OpenPipes is the number of pipes that are open.
func (k *Kernel) OpenPipes() int { return k.pipes }
