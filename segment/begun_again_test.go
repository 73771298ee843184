package segment

import "testing"

// DeleteRecords had moved the start above what a loss of power left: the log begins again at its start, and what is appended there
// survives the end of the process, though an older segment below the start is still there.
func TestLogThatBeganAgainAboveItsEndKeepsItsRecords(t *testing.T) {
	for _, recoveryPoint := range []int64{0, 100} { // the start writes it before anything is served, and that may fail
		dir := t.TempDir()
		l := openLog(t, dir, Options{}, OpenOptions{})
		mustAppend(t, l, testBatch{records: 60})
		l.Abandon() // killed

		l = openLog(t, dir, Options{}, OpenOptions{LogStartOffset: 100})
		if got := mustAppend(t, l, testBatch{records: 5}).BaseOffset; got != 100 {
			t.Fatalf("the first record has offset %d, want 100", got)
		}
		l.Abandon() // killed again

		l, err := Open(dir, Options{}, OpenOptions{LogStartOffset: 100, RecoveryPoint: recoveryPoint})
		if err != nil {
			t.Fatalf("recovery point %d: %v", recoveryPoint, err)
		}
		if l.LogStartOffset() != 100 || l.LogEndOffset() != 105 {
			t.Errorf("recovery point %d: the log has %d to %d, want 100 to 105", recoveryPoint, l.LogStartOffset(), l.LogEndOffset())
		}
		mustClose(t, l)
	}
}
