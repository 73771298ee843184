package fanout

import (
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/offsets"
	"oneplusn/fanout/wire"
)

// field is one value of a request that a client may set to anything: the steps lead to it from the request's struct. A
// step is a field of a struct, or the first element of a slice.
type field struct {
	name  string
	steps []int
	kind  reflect.Type
}

// sliceStep leads from a slice to its first element.
const sliceStep = -1

// fieldsOf lists every field of a request, with those of the elements of its slices.
func fieldsOf(req kmsg.Request) (fields []field) {
	var walk func(t reflect.Type, name string, steps []int)
	walk = func(t reflect.Type, name string, steps []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "Version" || f.Name == "UnknownTags" {
				continue
			}
			at := append(slices.Clone(steps), i)
			full := strings.TrimPrefix(name+"."+f.Name, ".")
			fields = append(fields, field{full, at, f.Type})
			if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
				walk(f.Type.Elem(), full, append(slices.Clone(at), sliceStep))
			}
		}
	}
	walk(reflect.TypeOf(req).Elem(), "", nil)
	return fields
}

// of is the field in a request, or an invalid value if another change has emptied a slice on the way to it.
func (f *field) of(req kmsg.Request) reflect.Value {
	v := reflect.ValueOf(req).Elem()
	for _, step := range f.steps {
		switch {
		case step != sliceStep:
			v = v.Field(step)
		case v.Len() == 0:
			return reflect.Value{}
		default:
			v = v.Index(0)
		}
	}
	return v
}

// change sets a field to an extreme.
type change struct {
	name string
	set  func(v reflect.Value)
}

// The strings that a client may send in place of a name: none, unknown, longer than allowed, the longest that the protocol
// can carry, what is no name, the server's own, and one that exists.
var sweptStrings = []string{"", "unknown", strings.Repeat("x", 300), strings.Repeat("x", math.MaxInt16), "../\xff\x00", offsets.Topic, sweptTopic}

// extremesOf lists the values that a field of a type is set to.
func extremesOf(t reflect.Type) (all []change) {
	add := func(name string, set func(v reflect.Value)) { all = append(all, change{name, set}) }
	switch t.Kind() {
	case reflect.Bool:
		add("flipped", func(v reflect.Value) { v.SetBool(!v.Bool()) })
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		most := int64(1)<<(t.Bits()-1) - 1
		for _, n := range []int64{0, 1, -1, -2, most, -most - 1} {
			add("number", func(v reflect.Value) { v.SetInt(n) })
		}
	case reflect.String:
		for _, s := range sweptStrings {
			add("text", func(v reflect.Value) { v.SetString(s) })
		}
	case reflect.Pointer:
		add("null", func(v reflect.Value) { v.SetZero() })
		if t.Elem().Kind() == reflect.String {
			for _, s := range sweptStrings {
				add("text", func(v reflect.Value) { v.Set(reflect.ValueOf(&s)) })
			}
		}
	case reflect.Slice:
		add("null", func(v reflect.Value) { v.SetZero() })
		add("empty", func(v reflect.Value) { v.Set(reflect.MakeSlice(t, 0, 0)) })
		if t.Elem().Kind() == reflect.Uint8 {
			add("garbage", func(v reflect.Value) { v.SetBytes([]byte(strings.Repeat("\x00\x01\xff", 40))) })
			add("cut short", func(v reflect.Value) { v.SetBytes(v.Bytes()[:v.Len()/2]) })
			add("twice", func(v reflect.Value) { v.SetBytes(append(append([]byte{}, v.Bytes()...), v.Bytes()...)) })
			break
		}
		add("twice", func(v reflect.Value) { repeat(v, 2) })
		add("a thousand times", func(v reflect.Value) { repeat(v, 1000) })
		for _, more := range extremesOf(t.Elem()) {
			add("element", func(v reflect.Value) {
				if v.Len() > 0 {
					more.set(v.Index(0))
				}
			})
		}
	}
	return all
}

// repeat makes a slice its first element n times.
func repeat(v reflect.Value, n int) {
	if v.Len() == 0 {
		return
	}
	many := reflect.MakeSlice(v.Type(), n, n)
	for i := range n {
		many.Index(i).Set(v.Index(0))
	}
	v.Set(many)
}

// sweptTopic and sweptGroup are the names in ordinary requests of the sweep.
const (
	sweptTopic = "feed"
	sweptGroup = "group"
)

// ordinary is a request as a client would send it: every slice has one element, every name is one that exists.
func ordinary(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	fill(reflect.ValueOf(req).Elem(), "")
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		r.TransactionID = nil
		r.Topics[0].Partitions[0].Records = makeBatch(1, 3, 20, 0)
	case *kmsg.FetchRequest:
		r.SessionEpoch, r.ForgottenTopics = -1, nil
	case *kmsg.InitProducerIDRequest:
		r.TransactionalID = nil
	case *kmsg.CreateTopicsRequest:
		r.Topics[0].ReplicaAssignment, r.Topics[0].NumPartitions, r.Topics[0].Configs = nil, 1, nil
	}
	return req
}

// fill gives the fields of a struct ordinary values, by their names.
func fill(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for i := range v.NumField() {
			if n := v.Type().Field(i).Name; n != "Version" && n != "UnknownTags" {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{0, 0, 0, 0})
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case reflect.String:
		v.SetString(ordinaryName(name))
	case reflect.Pointer:
		if v.Type().Elem().Kind() == reflect.String && (strings.Contains(name, "Topic") || name == "Value") {
			s := ordinaryName(name)
			v.Set(reflect.ValueOf(&s))
		}
	case reflect.Int8:
		if name == "ResourceType" {
			v.SetInt(int64(kmsg.ConfigResourceTypeTopic))
		}
	case reflect.Int16, reflect.Int32:
		switch name {
		case "ReplicationFactor", "Acks":
			v.SetInt(1)
		case "Count":
			v.SetInt(2)
		case "SessionTimeoutMillis", "RebalanceTimeoutMillis":
			v.SetInt(6000)
		case "MaxBytes", "PartitionMaxBytes":
			v.SetInt(1 << 20)
		}
	}
}

func ordinaryName(field string) string {
	switch {
	case strings.Contains(field, "Topic"), field == "ResourceName":
		return sweptTopic
	case strings.Contains(field, "Group"), field == "CoordinatorKey":
		return sweptGroup
	case field == "ProtocolType":
		return "consumer"
	case field == "Name":
		return "retention.ms"
	case field == "Value":
		return "100000"
	}
	return ""
}

// waits says that requests of this kind may wait for other clients before they are answered.
func waits(key int16) bool {
	switch key {
	case wire.KeyProduce, wire.KeyFetch, 11, 14:
		return true
	}
	return false
}
