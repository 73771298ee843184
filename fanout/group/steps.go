package group

// steps bound the work of one call, so that no turn of the loop takes long: each is a fraction of a millisecond. The rest
// follows in later turns. Only tests set other bounds.
type steps struct {
	// advance counts alarms in one [Coordinator.Advance], members of new generations, and scanned offsets: a hundred
	// thousand groups may be due at the same time.
	advance int
	// reap counts offsets of deleted topics and groups.
	reap int
	// scan counts offsets that may expire.
	scan int
	// records and bytes bound one [Output]; one record may be larger.
	records, bytes int
}

var defaultSteps = steps{advance: 2000, reap: 1000, scan: 1000, records: 1024, bytes: 1 << 20}
