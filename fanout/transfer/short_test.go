package transfer

import (
	"errors"
	"fmt"
	"testing"
)

// shortMap is a segment that is mapped up to the middle of what is committed in it.
type shortMap struct{ *fileSource }

func (s shortMap) Map() ([]byte, error) { return s.mapped[:len(s.mapped)/2], nil }

// A range that the mapping does not have ends its flow with an error. A message without it would be sent for ever.
func TestRangeBehindTheMappingEndsItsFlow(t *testing.T) {
	for _, from := range []int{0, 40_000, 50_000, 90_000} {
		t.Run(fmt.Sprint("from ", from), func(t *testing.T) {
			source := newSource(t, 100_000)
			withBench(t, benchConfig{testTransfer(Send), 16, nil}, func(b *bench) error {
				f, _ := b.connect()
				parts, _ := b.response(f, source, [2]int{from, 100_000 - from})
				parts[0].Source = shortMap{source}
				b.engine.Start(f, parts)
				turns := 0
				if err := b.turnUntil(func() bool { turns++; return len(b.failed) == 1 || b.done == 1 || turns > 100 }); err != nil {
					return err
				}
				if len(b.failed) != 1 || !errors.Is(b.failed[0], ErrShortFile) {
					return fmt.Errorf("after %d turns: done %d, failed %v", turns, b.done, b.failed)
				}
				return nil
			})
			if source.held != 0 {
				t.Errorf("%d holds are left", source.held)
			}
		})
	}
}
