package segment

// action is what recovery does with a segment.
type action uint8

const (
	serve   action = iota // as it is
	scan                  // first look at every byte
	rebuild               // write its index files again
	cut                   // end the log before the damage: cut the segment there, and drop those behind it
	refuse                // the whole log, and touch nothing
	actions
)

// indexState is what the index files of a segment look like.
type indexState uint8

const (
	indexSane    indexState = iota // they lead to batches, and from the last entry whole batches follow up to the end
	indexMissing                   // one of them is not there
	indexWrong                     // they contradict themselves or the segment
)

func (s indexState) String() string { return [...]string{"sane", "missing", "wrong"}[s] }

// segmentPlace is where a segment lies in its log.
type segmentPlace uint8

const (
	closed     segmentPlace = iota // it was finished, or one behind it was: its data was synced
	unfinished                     // it was closed, and neither it nor any behind it was finished before a crash
	last                           // no segment follows
	places
)

func (p segmentPlace) String() string { return [places]string{"closed", "unfinished", "last"}[p] }

// finding is all that recovery knows of a segment when it decides.
type finding struct {
	overlaps bool // it begins below the end of the one before
	place    segmentPlace
	clean    bool // the data directory has the mark of a clean stop
	durable  bool // the damage begins below the recovery point: what was there was on the disk
	synced   bool // nothing was acknowledged before it was synced: see syncedAcksFile
	index    indexState
	damage   damage
}

// The sets that a row of the table names.
const (
	no     = 1 << 0
	yes    = 1 << 1
	either = ^0

	inClosed = 1 << closed
	inTail   = 1<<unfinished | 1<<last
	inLast   = 1 << last
)

// recoveryCase is a row of the table. Each column is the set of values for which the row holds.
type recoveryCase struct {
	label                  string
	overlaps, place, clean int
	durable, synced        int
	index, damage          int
	action                 action
}

// recoveryCases says what recovery does. Exactly one row holds for every finding.
//
// Nothing vouches for the end of a log after a crash: the last segment, and those before it that were closed and not
// finished yet. What was never promised to be durable is given up there. What was, or may have been, is not.
var recoveryCases = []recoveryCase{
	// What was not scanned yet. The index files of a closed segment were written after its data was synced, so they
	// vouch for it. The last segment has none while it is written to, and nothing vouches for it but a clean stop.
	{"trusted-closed", no, inClosed, either, either, either, 1 << indexSane, 1 << notScanned, serve},
	{"trusted-active", no, inLast, yes, either, either, 1 << indexSane, 1 << notScanned, serve},
	{"index-missing", no, inClosed, either, either, either, 1 << indexMissing, 1 << notScanned, scan},
	{"index-wrong", no, inClosed, either, either, either, 1 << indexWrong, 1 << notScanned, scan},
	{"crashed-unfinished", no, 1 << unfinished, either, either, either, either, 1 << notScanned, scan},
	{"active-index-missing", no, inLast, yes, either, either, 1 << indexMissing, 1 << notScanned, scan},
	{"active-index-wrong", no, inLast, yes, either, either, 1 << indexWrong, 1 << notScanned, scan},
	{"crashed-active", no, inLast, no, either, either, either, 1 << notScanned, scan},

	// What a scan found whole. The index of the last segment is in memory, and written when the log is closed.
	{"intact", no, inClosed | 1<<unfinished, either, either, either, 1 << indexSane, 1 << intact, serve},
	{"intact-index-missing", no, inClosed | 1<<unfinished, either, either, either, 1 << indexMissing, 1 << intact, rebuild},
	{"intact-index-wrong", no, inClosed | 1<<unfinished, either, either, either, 1 << indexWrong, 1 << intact, rebuild},
	{"intact-active", no, inLast, no, either, either, either, 1 << intact, serve},
	{"intact-stopped", no, inLast, yes, either, either, 1 << indexSane, 1 << intact, serve},
	{"intact-stopped-no-index", no, inLast, yes, either, either, 1<<indexMissing | 1<<indexWrong, 1 << intact, rebuild},

	// A process or machine that stopped in the middle of a write leaves a torn tail, with no batch behind it that could
	// be lost. Below the recovery point the disk has lost what it had confirmed; it is gone, and told as an error.
	// After a clean stop there is no torn tail: what is missing was acknowledged.
	{"torn-tail", no, inTail, no, no, either, either, 1 << tornTail, cut},
	{"torn-durable-tail", no, inTail, no, yes, either, either, 1 << tornTail, cut},
	{"torn-after-clean-stop", no, inTail, yes, either, either, either, 1 << tornTail, refuse},
	{"torn-closed-segment", no, inClosed, either, either, either, either, 1 << tornTail, refuse},

	// Valid batches lie behind the damage. A loss of power leaves that in what was not synced, since pages reach the
	// disk in any order: nothing there was promised to be durable, unless every acknowledgement was such a promise.
	{"unsynced-hole", no, inTail, no, no, no, either, 1 << interior, cut},
	{"acknowledged-behind-damage", no, inTail, no, no, yes, either, 1 << interior, refuse},
	{"durable-damage", no, inTail, no, yes, either, either, 1 << interior, refuse},
	{"damage-after-clean-stop", no, inTail, yes, either, either, either, 1 << interior, refuse},
	{"interior-damage", no, inClosed, either, either, either, either, 1 << interior, refuse},

	// The disk does not give the bytes.
	{"unreadable", no, either, either, either, either, either, 1 << unreadable, refuse},
	// Two segments have the same offsets: one of them does not belong here.
	{"overlap", yes, either, either, either, either, either, either, refuse},
}

func (c *recoveryCase) holds(f finding) bool {
	return in(c.overlaps, bit(f.overlaps)) && in(c.place, int(f.place)) && in(c.clean, bit(f.clean)) &&
		in(c.durable, bit(f.durable)) && in(c.synced, bit(f.synced)) && in(c.index, int(f.index)) && in(c.damage, int(f.damage))
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
