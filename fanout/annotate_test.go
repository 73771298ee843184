package fanout

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A leaf is a field of a kmsg message that holds bytes of its own on the wire.
type leaf struct {
	path  string
	value reflect.Value
}

// fillFields gives every field of a message a value: numbers that differ, strings with the field's name, lists of two
// elements at the top and of one below. Fields named in keep stay as they are.
func fillFields(message any, keep ...string) {
	n := int64(0)
	fillValue(reflect.ValueOf(message).Elem(), "", 0, &n, keep)
}

func fillValue(v reflect.Value, name string, depth int, n *int64, keep []string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			if field == "Version" || !v.Field(i).CanSet() || slices.Contains(keep, field) {
				continue
			}
			fillValue(v.Field(i), field, depth, n, keep)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("<" + name + ">"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), max(2-depth, 1), max(2-depth, 1)))
		for i := range v.Len() {
			fillValue(v.Index(i), name, depth+1, n, keep)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), name, depth, n, keep)
	case reflect.String:
		v.SetString(strings.ToLower(name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		*n++
		v.SetInt(*n)
	}
}

// leaves lists the fields of a message that was filled, in the order of its type.
func leaves(v reflect.Value, path string) (all []leaf) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			if field != "Version" && v.Field(i).CanSet() {
				all = append(all, leaves(v.Field(i), strings.TrimPrefix(path+"."+field, "."))...)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return []leaf{{path, v}}
		}
		for i := range v.Len() {
			all = append(all, leaves(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			all = leaves(v.Elem(), path)
		}
	case reflect.Array, reflect.Map:
		// Topic ids and tags: no version that is served has them.
	default:
		all = []leaf{{path, v}}
	}
	return all
}

// span is where a field lies in the encoded message.
type span struct {
	from, to int
	comment  string
}

// annotate finds where each field of message lies in the bytes that encode makes of it: it flips every bit of one field
// at a time and looks at which bytes change. What lies between fields are lengths, counts and tags.
func annotate(message any, encode func() []byte) []span {
	plain := encode()
	var spans []span
	for _, l := range leaves(reflect.ValueOf(message).Elem(), "") {
		restore, shown := flip(l.value)
		flipped := encode()
		restore()
		if len(flipped) != len(plain) {
			continue // it lies in a tag, which is left out at its default
		}
		from, to := differ(plain, flipped)
		if from < to {
			spans = append(spans, span{from, to, l.path + " = " + shown})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	return spans
}

// flip changes a value in every byte and keeps its size. restore undoes it.
func flip(v reflect.Value) (restore func(), shown string) {
	switch v.Kind() {
	case reflect.String:
		old := v.String()
		v.SetString(strings.Repeat("!", len(old)))
		return func() { v.SetString(old) }, fmt.Sprintf("%q", old)
	case reflect.Slice:
		old := v.Bytes()
		v.SetBytes([]byte(strings.Repeat("!", len(old))))
		return func() { v.SetBytes(old) }, fmt.Sprintf("%q", old)
	case reflect.Bool:
		old := v.Bool()
		v.SetBool(!old)
		return func() { v.SetBool(old) }, fmt.Sprint(old)
	default:
		old := v.Int()
		v.SetInt(^old)
		return func() { v.SetInt(old) }, fmt.Sprint(old)
	}
}

func differ(a, b []byte) (from, to int) {
	for from < len(a) && a[from] == b[from] {
		from++
	}
	for to = len(a); to > from && a[to-1] == b[to-1]; to-- {
	}
	return from, to
}
