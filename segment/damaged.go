package segment

import (
	"cmp"
	"fmt"
)

// DamagedError: a log has damage that must not be cut. Nothing was changed.
type DamagedError struct {
	// Case is the row of the recovery table.
	Case string
	File string
	// Position is the first byte that is not part of a valid batch.
	Position int64
	// Offset is the offset expected there.
	Offset int64
	Reason error
	// Remedy is empty for the remedy of a damaged segment.
	Remedy string
}

func damaged(file string, position int64, reason error) error {
	return &DamagedError{Case: "damaged-while-served", File: file, Position: position, Reason: reason}
}

// Error names the file, the position and the remedy.
func (e *DamagedError) Error() string {
	remedy := cmp.Or(e.Remedy, "restore the file from a copy, or inspect it with oneplusn check and give up what is behind the damage "+
		"with oneplusn repair --cut-at-damage")
	return fmt.Sprintf("segment: %s is damaged at %d (%s): %v; nothing was changed: %s", e.File, e.Position, e.Case, e.Reason, remedy)
}

// Unwrap is the reason.
func (e *DamagedError) Unwrap() error { return e.Reason }
