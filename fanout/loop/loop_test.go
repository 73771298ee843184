package loop

import "testing"

func TestWorkAfterTheEndIsRefused(t *testing.T) {
	l := New(nil, ThisMachine())
	l.End()
	defer func() {
		if recover() == nil {
			t.Error("it began")
		}
	}()
	l.Go(func() {}, func() {})
}
