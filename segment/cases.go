package segment

// action is what recovery does with a segment.
type action uint8

const (
	serve   action = iota // as it is
	scan                  // first look at every byte
	rebuild               // write its index files again
	cut                   // cut off the tail, and rebuild
	refuse                // the whole log, and touch nothing
)

// indexState is what the index files of a segment look like.
type indexState uint8

const (
	indexSane    indexState = iota // they lead to batches, and from the last entry whole batches follow up to the end
	indexMissing                   // one of them is not there
	indexWrong                     // they contradict themselves or the segment
)

func (s indexState) String() string { return [...]string{"sane", "missing", "wrong"}[s] }

// finding is all that recovery knows of a segment when it decides.
type finding struct {
	overlaps bool // it begins below the end of the one before
	last     bool // no segment follows
	clean    bool // the data directory has the mark of a clean stop
	index    indexState
	damage   damage
}

// The sets that a row of the table names.
const (
	no     = 1 << 0
	yes    = 1 << 1
	either = ^0
)

// recoveryCase is a row of the table. Each column is the set of values for which the row holds.
type recoveryCase struct {
	label                 string
	overlaps, last, clean int
	index, damage         int
	action                action
}

// recoveryCases says what recovery does. Exactly one row holds for every finding.
var recoveryCases = []recoveryCase{
	// What was not scanned yet. The index files of a closed segment were written after its data was synced, so they
	// vouch for it. The last segment has none while it is written to, and nothing vouches for it but a clean stop.
	{"trusted-closed", no, no, either, 1 << indexSane, 1 << notScanned, serve},
	{"trusted-active", no, yes, yes, 1 << indexSane, 1 << notScanned, serve},
	{"index-missing", no, no, either, 1 << indexMissing, 1 << notScanned, scan},
	{"index-wrong", no, no, either, 1 << indexWrong, 1 << notScanned, scan},
	{"active-index-missing", no, yes, yes, 1 << indexMissing, 1 << notScanned, scan},
	{"active-index-wrong", no, yes, yes, 1 << indexWrong, 1 << notScanned, scan},
	{"crashed-active", no, yes, no, either, 1 << notScanned, scan},

	// What a scan found whole. The index of the last segment is in memory, and written when the log is closed.
	{"intact", no, no, either, 1 << indexSane, 1 << intact, serve},
	{"intact-index-missing", no, no, either, 1 << indexMissing, 1 << intact, rebuild},
	{"intact-index-wrong", no, no, either, 1 << indexWrong, 1 << intact, rebuild},
	{"intact-active", no, yes, no, either, 1 << intact, serve},
	{"intact-stopped", no, yes, yes, 1 << indexSane, 1 << intact, serve},
	{"intact-stopped-no-index", no, yes, yes, 1<<indexMissing | 1<<indexWrong, 1 << intact, rebuild},

	// A process or machine that stopped in the middle of a write leaves a torn tail, in the last segment only. After a
	// clean stop there is none: what is missing was acknowledged.
	{"torn-tail", no, yes, no, either, 1 << tornTail, cut},
	{"torn-after-clean-stop", no, yes, yes, either, 1 << tornTail, refuse},
	{"torn-closed-segment", no, no, either, either, 1 << tornTail, refuse},

	// Valid batches lie behind the damage: to cut would lose them.
	{"interior-damage", no, either, either, either, 1 << interior, refuse},
	// The disk does not give the bytes.
	{"unreadable", no, either, either, either, 1 << unreadable, refuse},
	// Two segments have the same offsets: one of them does not belong here.
	{"overlap", yes, either, either, either, either, refuse},
}

func (c *recoveryCase) holds(f finding) bool {
	return in(c.overlaps, bit(f.overlaps)) && in(c.last, bit(f.last)) && in(c.clean, bit(f.clean)) &&
		in(c.index, int(f.index)) && in(c.damage, int(f.damage))
}

func in(set, value int) bool { return set&(1<<value) != 0 }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// decide finds the case of a finding.
func decide(f finding) *recoveryCase {
	for i := range recoveryCases {
		if recoveryCases[i].holds(f) {
			return &recoveryCases[i]
		}
	}
	panic("segment: the recovery table has a hole")
}
