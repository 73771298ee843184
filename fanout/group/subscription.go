package group

import "encoding/binary"

// eachTopic calls f with the topics of a consumer's subscription (ConsumerProtocolSubscription: a version, then the
// topics), and reports whether their list is intact. It does not allocate: a group may subscribe to a million.
func eachTopic(subscription []byte, f func(topic []byte)) bool {
	const version, count = 2, 4
	if len(subscription) < version+count {
		return false
	}
	n := int32(binary.BigEndian.Uint32(subscription[version:]))
	rest := subscription[version+count:]
	for ; n > 0; n-- {
		if len(rest) < 2 {
			return false
		}
		size := int(int16(binary.BigEndian.Uint16(rest)))
		if size < 0 || len(rest)-2 < size {
			return false
		}
		f(rest[2 : 2+size])
		rest = rest[2+size:]
	}
	return n >= 0
}

// eachSubscribed calls f with the topics that the members of a group of consumers subscribe to, with repetitions. It
// reports false if a subscription cannot be read.
func (g *group) eachSubscribed(f func(topic []byte)) bool {
	if g.protocolType != consumerProtocol {
		return false
	}
	for m := range g.list.All() {
		if !eachTopic(m.metadata(g.protocol), f) {
			return false
		}
	}
	return true
}
