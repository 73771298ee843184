// Package metrics reads metrics from the struct that holds them. A field is a metric's one line: its type is the value's, and its
// tags are the documentation.
//
//	Syncs uint64 `json:"syncs" metric:"syncs_total" help:"Group commits: fsyncs of a partition."`
//
// json is the name in /stats, metric the name for Prometheus without the prefix that all have. A name that ends with _total is a
// counter's, any other a gauge's, and that of a [Histogram] its own. A map has a value for each of its keys, and the tag label
// names what they are; a map of structs has metrics in these. Fields that are one metric with different labels have the tags label
// and of, and the first has the help.
package metrics

import (
	"reflect"
	"strings"
)

// Prefix begins the name of every metric.
const Prefix = "oneplusn_"

// Metric is one metric of a struct.
type Metric struct {
	// Path is where /stats has it.
	Path string
	// Name is complete. Label is the name of the label, empty for none, and Value its value if it has one only.
	Name, Help, Label, Value string

	each walk
}

// Histogram counts by size.
type Histogram struct {
	// Bounds are in seconds. Counts has one entry more, for what is above the last.
	Bounds  []float64 `json:"bounds_seconds"`
	Counts  []uint64  `json:"counts"`
	Seconds float64   `json:"seconds"`
}

// walk calls yield for each place in a struct where a field is found, with the value of the label there.
type walk func(root reflect.Value, yield func(label string, v reflect.Value))

// Of lists the metrics of a type of struct, in the order of its fields.
func Of(t reflect.Type) []Metric {
	return appendFields(nil, t, "", "", func(root reflect.Value, yield func(string, reflect.Value)) { yield("", root) })
}

func appendFields(to []Metric, t reflect.Type, path, label string, reach walk) []Metric {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("metric")
		m := Metric{Path: path + f.Tag.Get("json"), Name: Prefix + name, Help: f.Tag.Get("help"),
			Label: label + f.Tag.Get("label"), Value: f.Tag.Get("of")}
		at := func(root reflect.Value, yield func(string, reflect.Value)) {
			reach(root, func(label string, v reflect.Value) { yield(label+m.Value, v.Field(i)) })
		}
		m.each = at
		if f.Type.Kind() == reflect.Map {
			m.each = entries(at)
		}
		switch {
		case f.Anonymous:
			to = appendFields(to, f.Type, path, label, at)
		case name != "":
			to = append(to, m)
		case f.Type.Kind() == reflect.Struct:
			to = appendFields(to, f.Type, m.Path+".", label, at)
		case f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
			to = appendFields(to, f.Type.Elem(), m.Path+".*.", m.Label, m.each)
		}
	}
	return to
}

func entries(of walk) walk {
	return func(root reflect.Value, yield func(string, reflect.Value)) {
		of(root, func(_ string, v reflect.Value) {
			for entry := v.MapRange(); entry.Next(); {
				yield(entry.Key().String(), entry.Value())
			}
		})
	}
}

// IsCounter says that a metric only grows.
func (m *Metric) IsCounter() bool { return strings.HasSuffix(m.Name, "_total") }

// Each calls yield for each value of a metric in a struct of the type that it was found in. The value is a float64 or a [Histogram].
func (m *Metric) Each(of any, yield func(label string, value any)) {
	m.each(reflect.ValueOf(of), func(label string, v reflect.Value) {
		switch {
		case v.CanInt():
			yield(label, float64(v.Int()))
		case v.CanUint():
			yield(label, float64(v.Uint()))
		default:
			yield(label, v.Interface())
		}
	})
}
