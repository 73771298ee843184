package catalog

import (
	"iter"
	"log/slog"
	"maps"
	"slices"
)

// overrides are the values that were set for one topic, by name. They are immutable: with and without return new ones. The zero
// value has none.
type overrides struct{ values map[string]string }

func newOverrides(values map[string]string) overrides { return overrides{maps.Clone(values)} }

func (o overrides) get(name string) (value string, ok bool) {
	value, ok = o.values[name]
	return value, ok
}

func (o overrides) with(name, value string) overrides {
	values := make(map[string]string, len(o.values)+1)
	maps.Copy(values, o.values)
	values[name] = value
	return overrides{values}
}

func (o overrides) without(name string) overrides {
	values := maps.Clone(o.values)
	delete(values, name)
	return overrides{values}
}

// all yields the names, sorted, with their values.
func (o overrides) all() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, name := range slices.Sorted(maps.Keys(o.values)) {
			if !yield(name, o.values[name]) {
				return
			}
		}
	}
}

// LogValue implements [slog.LogValuer].
func (o overrides) LogValue() slog.Value { return slog.AnyValue(o.values) }
