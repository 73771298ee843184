package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type positionKind int

const (
	fromBeginning positionKind = iota
	fromEnd
	fromOffset
	fromBeforeEnd
	fromTime
)

// position is a place in every partition of a topic.
type position struct {
	kind positionKind
	n    int64 // an offset, a number of records, or milliseconds since 1970
}

// timeLayouts are the forms of a point in time; those without a zone are local.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// parsePosition reads what --from accepts.
func parsePosition(text string, now time.Time) (position, error) {
	switch text {
	case "beginning":
		return position{kind: fromBeginning}, nil
	case "end":
		return position{kind: fromEnd}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if strings.HasPrefix(text, "-") {
			return position{kind: fromBeforeEnd, n: -n}, nil
		}
		return position{kind: fromOffset, n: n}, nil
	}
	at, err := parseTime(text, now)
	if err != nil {
		return position{}, fmt.Errorf("%q: write beginning, end, an offset (17), records before the end (-10), how long ago (-15m), or a time (%s)",
			text, now.UTC().Format(time.RFC3339))
	}
	return position{kind: fromTime, n: at.UnixMilli()}, nil
}

// parseTime reads a point in time, or how long ago it was: "-15m".
func parseTime(text string, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
			return now.Add(-d), nil
		}
	}
	for _, layout := range timeLayouts {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write %s, 2006-01-02 15:04, or -15m for a quarter of an hour ago",
		text, now.UTC().Format(time.RFC3339))
}

// offset is the position in the form that the client of a group's member takes.
func (p position) offset() kgo.Offset {
	switch p.kind {
	case fromBeginning:
		return kgo.NewOffset().AtStart()
	case fromOffset:
		return kgo.NewOffset().At(p.n)
	case fromBeforeEnd:
		return kgo.NewOffset().AtEnd().Relative(-p.n)
	case fromTime:
		return kgo.NewOffset().AfterMilli(p.n)
	}
	return kgo.NewOffset().AtEnd()
}

// resolve is nearest for a reader: an offset outside of all partitions is an error.
func (p position) resolve(ctx context.Context, server *remote, topic string, bounds offsets) (map[int32]int64, error) {
	if p.kind == fromOffset && !bounds.have(p.n) {
		return nil, fmt.Errorf("offset %d is in no partition of %s: %s", p.n, topic, bounds.describe())
	}
	return p.nearest(ctx, server, topic, bounds)
}

// nearest turns the position into an offset of each partition in bounds, moved into the partition's range.
func (p position) nearest(ctx context.Context, server *remote, topic string, bounds offsets) (map[int32]int64, error) {
	var listed kadm.ListedOffsets
	if p.kind == fromTime {
		var err error
		if listed, err = server.admin.ListOffsetsAfterMilli(ctx, p.n, topic); err == nil {
			err = listed.Error()
		}
		if err != nil {
			return nil, server.explain(err)
		}
	}
	at := make(map[int32]int64, len(bounds.end))
	for partition, end := range bounds.end {
		start := bounds.start[partition]
		var want int64
		switch p.kind {
		case fromBeginning:
			want = start
		case fromEnd:
			want = end
		case fromOffset:
			want = p.n
		case fromBeforeEnd:
			want = max(end-p.n, start)
		case fromTime:
			l, _ := listed.Lookup(topic, partition)
			want = max(l.Offset, start)
		}
		at[partition] = min(max(want, start), end)
	}
	return at, nil
}

// have reports whether the offset lies within some partition, its end included.
func (o offsets) have(offset int64) bool {
	for partition, end := range o.end {
		if offset >= o.start[partition] && offset <= end {
			return true
		}
	}
	return false
}

// describe names the bounds of the partition with the largest offsets, for the error about an offset out of range.
func (o offsets) describe() string {
	largest := int32(-1)
	for partition, end := range o.end {
		if largest < 0 || end > o.end[largest] || end == o.end[largest] && partition < largest {
			largest = partition
		}
	}
	return fmt.Sprintf("partition %d has offsets %d to %d", largest, o.start[largest], o.end[largest])
}
