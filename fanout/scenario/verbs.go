package scenario

import "math/rand/v2"

// verb is a kind of step. What it does to the world is decided by the step's own generator, so it stays the same when other steps are
// left out.
type verb struct {
	name  string
	often int // the weight beside the others, which a seed changes
	do    func(w *World, r *rand.Rand)
}

// verbs are all kinds of steps. The order is part of what a seed means.
var verbs = []verb{
	{"produce", 40, (*World).produce},
	{"produce-illegal", 4, (*World).produceIllegal},
	{"subscribe", 10, (*World).subscribe},
	{"stall", 2, (*World).stall},
	{"reset", 3, (*World).resetClient},
	{"vanish", 1, (*World).vanish},
	{"half-close", 1, (*World).halfClose},
	{"create-topic", 2, (*World).someoneCreates},
	{"delete-topic", 1, (*World).someoneDeletes},
	{"stop", 1, (*World).stop},
	{"kill", 1, (*World).kill},
	{"lose-power", 1, (*World).losePower},
}

func verbNamed(name string) *verb {
	for i := range verbs {
		if verbs[i].name == name {
			return &verbs[i]
		}
	}
	return nil
}
