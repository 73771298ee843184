package segment

import "fmt"

// action is recovery's decision about a segment.
type action uint8

const (
	serve   action = iota // use it as it is
	scan                  // read every byte first
	rebuild               // write its index files again
	cut                   // end the log before the damage: truncate the segment there, and drop those behind it
	refuse                // refuse the whole log, and touch nothing
	actions
)

// indexState is the state of a segment's index files.
type indexState uint8

const (
	indexSane    indexState = iota // they lead to batches, and from the last entry whole batches follow up to the end
	indexMissing                   // one of them does not exist
	indexWrong                     // they contradict themselves or the segment
)

func (s indexState) String() string { return [...]string{"sane", "missing", "wrong"}[s] }

// segmentPlace is a segment's position in its log.
type segmentPlace uint8

const (
	closed     segmentPlace = iota // it, or one behind it, was finished: its data was synced
	unfinished                     // it was closed, but neither it nor any behind it was finished before a crash
	last                           // no segment follows
	places
)

func (p segmentPlace) String() string { return [places]string{"closed", "unfinished", "last"}[p] }

// finding is everything that recovery's decision about a segment depends on.
type finding struct {
	overlaps bool // it begins below the end of the one before
	place    segmentPlace
	clean    bool // the data directory has the mark of a clean stop
	durable  bool // the damage begins below the recovery point: the data there had been on the disk
	synced   bool // every acknowledgement waited for its sync: see syncedAcksFile
	index    indexState
	damage   damage
}

// set is a set of small numbers, a bit each: the values of a column for which a row of the table holds.
type set int

const (
	no    set = 1 << 0
	yes   set = 1 << 1
	every set = ^0

	inClosed = 1 << closed
	inTail   = 1<<unfinished | 1<<last
	inLast   = 1 << last
)

// recoveryCase is a row of the table.
type recoveryCase struct {
	label                  string
	overlaps, place, clean set
	durable, synced        set
	index, damage          set
	action                 action
}

// recoveryCases maps findings to actions. Exactly one row holds for each finding.
//
// After a crash the tail of a log is not trusted: the last segment, and those before it that were closed but not finished.
// Recovery gives up records there that were never promised to be durable, and no others.
var recoveryCases = []recoveryCase{
	// Not scanned yet. The index files of a closed segment were written after its data was synced, so they prove that it is
	// durable. The active segment has none; only a clean stop proves that its data is.
	{"trusted-closed", no, inClosed, every, every, every, 1 << indexSane, 1 << notScanned, serve},
	{"trusted-active", no, inLast, yes, every, every, 1 << indexSane, 1 << notScanned, serve},
	{"index-missing", no, inClosed, every, every, every, 1 << indexMissing, 1 << notScanned, scan},
	{"index-wrong", no, inClosed, every, every, every, 1 << indexWrong, 1 << notScanned, scan},
	{"crashed-unfinished", no, 1 << unfinished, every, every, every, every, 1 << notScanned, scan},
	{"active-index-missing", no, inLast, yes, every, every, 1 << indexMissing, 1 << notScanned, scan},
	{"active-index-wrong", no, inLast, yes, every, every, 1 << indexWrong, 1 << notScanned, scan},
	{"crashed-active", no, inLast, no, every, every, every, 1 << notScanned, scan},

	// A scan found it whole. The index of the last segment is in memory until the log is closed.
	{"intact", no, inClosed | 1<<unfinished, every, every, every, 1 << indexSane, 1 << intact, serve},
	{"intact-index-missing", no, inClosed | 1<<unfinished, every, every, every, 1 << indexMissing, 1 << intact, rebuild},
	{"intact-index-wrong", no, inClosed | 1<<unfinished, every, every, every, 1 << indexWrong, 1 << intact, rebuild},
	{"intact-active", no, inLast, no, every, every, every, 1 << intact, serve},
	{"intact-stopped", no, inLast, yes, every, every, 1 << indexSane, 1 << intact, serve},
	{"intact-stopped-no-index", no, inLast, yes, every, every, 1<<indexMissing | 1<<indexWrong, 1 << intact, rebuild},

	// A process or machine that stopped in the middle of a write leaves a torn tail, with no batch behind it that a cut
	// could lose. Below the recovery point the disk lost what it had confirmed; the log reports that as an error. A clean
	// stop leaves no torn tail: the missing records had been acknowledged.
	{"torn-tail", no, inTail, no, no, every, every, 1 << tornTail, cut},
	{"torn-durable-tail", no, inTail, no, yes, every, every, 1 << tornTail, cut},
	{"torn-after-clean-stop", no, inTail, yes, every, every, every, 1 << tornTail, refuse},
	{"torn-closed-segment", no, inClosed, every, every, every, every, 1 << tornTail, refuse},

	// Valid batches lie behind the damage. A loss of power leaves that in unsynced data, since pages reach the disk in any
	// order: no record there was promised to be durable, unless every acknowledgement was such a promise.
	{"unsynced-hole", no, inTail, no, no, no, every, 1 << interior, cut},
	{"acknowledged-behind-damage", no, inTail, no, no, yes, every, 1 << interior, refuse},
	{"durable-damage", no, inTail, no, yes, every, every, 1 << interior, refuse},
	{"damage-after-clean-stop", no, inTail, yes, every, every, every, 1 << interior, refuse},
	{"interior-damage", no, inClosed, every, every, every, every, 1 << interior, refuse},

	// The disk reports read errors.
	{"unreadable", no, every, every, every, every, every, 1 << unreadable, refuse},
	// Two segments have the same offsets: one does not belong here.
	{"overlap", yes, every, every, every, every, every, every, refuse},
}

func (c *recoveryCase) holds(f finding) bool {
	return c.overlaps.is(f.overlaps) && c.place.has(int(f.place)) && c.clean.is(f.clean) && c.durable.is(f.durable) &&
		c.synced.is(f.synced) && c.index.has(int(f.index)) && c.damage.has(int(f.damage))
}

func (s set) has(value int) bool { return s&(1<<value) != 0 }

func (s set) is(b bool) bool {
	if b {
		return s&yes != 0
	}
	return s&no != 0
}

func decide(f finding) *recoveryCase {
	for i := range recoveryCases {
		if recoveryCases[i].holds(f) {
			return &recoveryCases[i]
		}
	}
	panic(fmt.Sprintf("segment: no row of the recovery table holds for %+v", f))
}
