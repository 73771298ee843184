package report

import (
	"fmt"
	"slices"
)

// Latencies are the quantiles of one measurement.
type Latencies struct {
	P50Millis  float64 `json:"p50_millis"`
	P99Millis  float64 `json:"p99_millis"`
	P999Millis float64 `json:"p999_millis"`
	MaxMillis  float64 `json:"max_millis"`
}

// groupBy sorts runs by what they are runs of, in the order in which each key first came.
func groupBy[K comparable, R any](runs []R, key func(R) K) (keys []K, of map[K][]R) {
	of = make(map[K][]R)
	for _, r := range runs {
		k := key(r)
		if of[k] == nil {
			keys = append(keys, k)
		}
		of[k] = append(of[k], r)
	}
	return keys, of
}

// spread is the median of a figure over runs, with its extremes if there are several.
func spread[R any](runs []R, format string, figure func(R) float64) string {
	median, low, high := quantiles(runs, figure)
	text := fmt.Sprintf(format, median)
	if len(runs) > 1 {
		text += fmt.Sprintf(" ("+format+"-"+format+")", low, high)
	}
	return text
}

func quantiles[R any](runs []R, figure func(R) float64) (median, low, high float64) {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = figure(r)
	}
	slices.Sort(values)
	n := len(values)
	median = values[n/2]
	if n%2 == 0 {
		median = (values[n/2-1] + values[n/2]) / 2
	}
	return median, values[0], values[n-1]
}
