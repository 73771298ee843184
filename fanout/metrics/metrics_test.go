package metrics

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

type part struct {
	Ended uint64 `json:"ended" metric:"ended_total" help:"Things that ended."`
	Quiet int    `json:"quiet"`
}

type figures struct {
	Open  int               `json:"open" metric:"open" help:"Things that are open."`
	ByWay map[string]uint64 `json:"by_way" metric:"by_way_total" label:"way" help:"Things."`
	Line  part              `json:"line"`
	Left  float64           `json:"left" metric:"turned" label:"side" of:"left" help:"Turns."`
	Right float64           `json:"right" metric:"turned" label:"side" of:"right"`
	Each  map[string]part   `json:"each" label:"who"`
	Took  Histogram         `json:"took" metric:"took_seconds" help:"How long."`
	part
}

func TestEachFieldIsOneMetric(t *testing.T) {
	f := figures{Open: 1, ByWay: map[string]uint64{"far": 2}, Line: part{3, 4}, Left: 5, Right: 6, Each: map[string]part{"me": {7, 8}},
		Took: Histogram{Seconds: 9}, part: part{10, 11}}
	var got []string
	for _, m := range Of(reflect.TypeFor[figures]()) {
		m.Each(f, func(label string, value any) {
			if h, ok := value.(Histogram); ok {
				value = h.Seconds
			}
			got = append(got, fmt.Sprintf("%s %s{%s=%s} %v %v", m.Path, m.Name, m.Label, label, value, m.IsCounter()))
		})
	}
	want := []string{
		"open oneplusn_open{=} 1 false",
		"by_way oneplusn_by_way_total{way=far} 2 true",
		"line.ended oneplusn_ended_total{=} 3 true",
		"left oneplusn_turned{side=left} 5 false",
		"right oneplusn_turned{side=right} 6 false",
		"each.*.ended oneplusn_ended_total{who=me} 7 true",
		"took oneplusn_took_seconds{=} 9 false",
		"ended oneplusn_ended_total{=} 10 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
