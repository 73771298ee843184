package wire

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestDecodedRequestsOutliveTheirFrame: a member's metadata and a leader's assignment are kept for as long as the group
// lives, and the frame's memory is another client's by then.
func TestDecodedRequestsOutliveTheirFrame(t *testing.T) {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType = "g", "consumer"
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("what the member wants")}}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID = "g", "m"
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: "m", MemberAssignment: []byte("what the member gets")}}
	for _, sent := range []kmsg.Request{join, sync} {
		frame := sent.AppendTo(nil)
		got, err := DecodeRequest(Header{Key: sent.Key(), Version: sent.GetVersion(), Body: frame})
		if err != nil {
			t.Fatal(err)
		}
		clear(frame)
		if !reflect.DeepEqual(got, sent) {
			t.Errorf("after its frame was used again %s became %+v, want %+v", Describe(sent.Key()), got, sent)
		}
	}
}
