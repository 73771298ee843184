package transfer

import (
	"testing"

	"oneplusn/ring"
)

// What an owner gets wrong is found where it happens, and not as wrong bytes at a subscriber.
func TestMistakesOfAnOwnerPanic(t *testing.T) {
	source := newSource(t, 100_000)
	withBench(t, benchConfig{testTransfer(Splice), 16, nil}, func(b *bench) error {
		f, _ := b.connect()
		other := new(Flow)
		mustPanic := func(what string, wrong func()) {
			t.Helper()
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", what)
				}
			}()
			wrong()
		}
		mustPanic("a completion of an operation that is not in flight", func() {
			b.engine.Complete(f, ring.NewCompletion(f.Token.As(KindWrite), 1, false, -1))
		})
		mustPanic("a flow without a socket", func() { other.Open(1, -1, nil) })
		other.Open(1, f.Socket, nil)
		for what, part := range map[string]Part{
			"a range beyond the file":    {Source: source, Pos: 99_999, Len: 2},
			"a range before the file":    {Source: source, Pos: -1, Len: 2},
			"a range of a negative size": {Source: source, Pos: 1, Len: -1},
			"a range of no file":         {Pos: 1, Len: 1},
			"a range that wraps around":  {Source: source, Pos: 1 << 62, Len: 1 << 62},
			"a range of a released file": {Source: released{source}, Pos: 0, Len: 1},
		} {
			mustPanic(what, func() { b.engine.Start(other, []Part{part}) })
			*other = Flow{}
		}
		parts, _ := b.response(f, source, [2]int{0, 100_000})
		b.engine.Start(f, parts)
		mustPanic("a second response at once", func() { b.engine.Start(f, nil) })
		mustPanic("opening a flow that is in use", func() { f.Open(2, f.Socket, nil) })
		mustPanic("a completion of an earlier life", func() {
			b.engine.Complete(f, ring.NewCompletion(ring.NewToken(KindWrite, f.Token.Slot(), f.Token.Generation()+1), 1, false, -1))
		})
		mustPanic("a completion of an unknown kind", func() { b.engine.Complete(f, ring.NewCompletion(f.Token.As(KindsEnd), 1, false, -1)) })

		s := b.engine.pipes.take()
		b.engine.pipes.give(s, false)
		mustPanic("giving a stage back twice", func() { b.engine.pipes.give(s, false) })
		mustPanic("giving a stage to another pool", func() { b.engine.buffers.give(s, false) })
		return nil
	})
}

// released is a segment that has no references left.
type released struct{ *fileSource }

func (released) Held() bool { return false }
