package wire

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func decoded[R kmsg.Request](t *testing.T, req R) R {
	t.Helper()
	got, err := DecodeRequest(Header{Key: req.Key(), Version: req.GetVersion(), Body: req.AppendTo(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return got.(R)
}

// Every request that asks for things by name asks for each once, however often it names it.
func TestNamesThatARequestRepeatsAreDecodedOnce(t *testing.T) {
	a, b := "a", "b"
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version, metadata.Topics = 4, []kmsg.MetadataRequestTopic{{Topic: &a}, {Topic: &b}, {Topic: &a}, {Topic: &a}}
	if got := decoded(t, metadata).Topics; len(got) != 2 || *got[0].Topic != a || *got[1].Topic != b {
		t.Errorf("Metadata asks for %d topics, want a and b", len(got))
	}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Version = 5
	offsets.Topics = []kmsg.OffsetFetchRequestTopic{
		{Topic: a, Partitions: []int32{1, 0, 1}}, {Topic: b, Partitions: []int32{0}},
		{Topic: a, Partitions: []int32{0, 2}}, {Topic: a, Partitions: []int32{1}}, {Topic: b},
	}
	want := []kmsg.OffsetFetchRequestTopic{
		{Topic: a, Partitions: []int32{1, 0}}, {Topic: b, Partitions: []int32{0}}, {Topic: a, Partitions: []int32{2}},
	}
	if got := decoded(t, offsets).Topics; !reflect.DeepEqual(got, want) {
		t.Errorf("OffsetFetch asks for %v, want %v", got, want)
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Resources = []kmsg.DescribeConfigsRequestResource{
		{ResourceType: 2, ResourceName: a, ConfigNames: []string{"x", "y", "x"}}, {ResourceType: 4, ResourceName: a}, {ResourceType: 2, ResourceName: a},
	}
	if got := decoded(t, configs).Resources; len(got) != 2 || len(got[0].ConfigNames) != 2 {
		t.Errorf("DescribeConfigs asks for %+v, want the topic by two names and the broker", got)
	}
	groups := kmsg.NewPtrDescribeGroupsRequest()
	groups.Groups = []string{a, a, b, a}
	if got := decoded(t, groups).Groups; !reflect.DeepEqual(got, []string{a, b}) {
		t.Errorf("DescribeGroups asks for %v", got)
	}
}

// Null asks for everything, and must not become an empty list, which asks for nothing.
func TestNullListsStayNull(t *testing.T) {
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 4
	if got := decoded(t, metadata); got.Topics != nil {
		t.Errorf("Metadata of all topics became %v", got.Topics)
	}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Version = 5
	if got := decoded(t, offsets); got.Topics != nil {
		t.Errorf("OffsetFetch of all offsets became %v", got.Topics)
	}
	dirs := kmsg.NewPtrDescribeLogDirsRequest()
	if got := decoded(t, dirs); got.Topics != nil {
		t.Errorf("DescribeLogDirs of all topics became %v", got.Topics)
	}
}
