package fanout

import (
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/offsets"
	"oneplusn/fanout/produce"
)

// base holds what handlers use: the parts of the server, and the state that all clients share. It belongs to the loop's thread.
type base struct {
	config    Config
	loop      *loop.Loop
	conns     *conn.Table
	clients   []client // one for each slot of conns
	catalog   *catalog.Catalog
	committer *commit.Committer
	producer  *produce.Producer
	fetcher   *fetch.Fetcher
	offsets   *offsets.Log

	metadata   sharedMetadata
	turns      *loop.Turns
	slowest    slowRequest // of the turn under way
	counters   counters
	inflating  loop.Bounded
	describing loop.Bounded
}

// counters count requests by key, and the time from a request's arrival to the end of its answer.
type counters struct {
	requests    [maxKey]uint64
	requestTime [maxKey]time.Duration
	stale       uint64 // completions for operations that had ended
}
