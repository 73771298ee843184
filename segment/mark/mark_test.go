package mark

import "testing"

// In a build without the tag invariants this measures an empty loop: `go test -bench . ./segment/mark`, with the tag a count.
func BenchmarkHit(b *testing.B) {
	b.ReportAllocs()
	for i := range b.N {
		Hit("a branch of a benchmark")
		HitIf(i < 0, "another")
	}
}
