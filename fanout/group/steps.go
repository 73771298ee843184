package group

// steps bound what is done at once, so that no turn of the loop takes long: each is a fraction of a millisecond's work, and
// what is left is done in the turns after that. Only a test has others.
type steps struct {
	// advance counts alarms in one [Coordinator.Advance], members of a generation that begins, and offsets that are
	// looked at: a hundred thousand groups may be due at the same time.
	advance int
	// reap counts offsets that are forgotten because their topic or group was deleted.
	reap int
	// scan counts offsets that are looked at for whether they expire.
	scan int
	// records and bytes are what one [Output] has at most; one record may be larger.
	records, bytes int
}

var defaultSteps = steps{advance: 2000, reap: 1000, scan: 1000, records: 1024, bytes: 1 << 20}
