package fanout

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleDescribeConfigs, Request{Max: 3, onlyAsks: true,
		Does:     "describes the configuration of topics and of the broker",
		Versions: "from 1 on with sources and synonyms, from 3 on with types and documentation",
		Errors:   []int16{wire.CodeUnknownTopicOrPartition, wire.CodeInvalidTopic, wire.CodeInvalidRequest},
	})
}

// handleDescribeConfigs describes the configuration of topics and of this broker.
//
// Behaviour:
//   - A topic has every setting, each with the source of its value: the topic, a flag of the server, or the default.
//   - The broker's settings have Apache Kafka's names and are read-only: flags set them.
//   - Unknown names are omitted.
func handleDescribeConfigs(b *base, c *client, req *kmsg.DescribeConfigsRequest) {
	// Looked up here; a configuration never changes, so any goroutine can describe it.
	topics := make([]*catalog.TopicConfig, len(req.Resources))
	for i := range req.Resources {
		if tp := b.catalog.Topic(req.Resources[i].ResourceName); tp != nil {
			topics[i] = tp.Config
		}
	}
	// A resource takes about 10 us, and a request may name tens of thousands.
	correlationID, end := c.header.CorrelationID, c.Errand()
	b.describing.Go(b.loop, func() (work, done func()) {
		if !c.Open() {
			end()
			return nil, nil
		}
		var encoded []byte
		return func() { encoded = b.describe(correlationID, req, topics) }, func() {
			if end() {
				c.Respond(encoded)
			}
		}
	})
}

// describe encodes the whole response, one resource after the other: a decoded one takes ten times the memory of an encoded one.
// It runs off the loop, and reads nothing that changes.
func (b *base) describe(correlationID int32, req *kmsg.DescribeConfigsRequest, topics []*catalog.TopicConfig) []byte {
	const countAt, headBytes = 12, 16 // behind the frame's size, correlation id and throttle time
	const oneAt = headBytes - 8       // kmsg encodes no frame size and no correlation id
	dst := wire.AppendResponse(nil, correlationID, req.ResponseKind())
	var one []byte
	for i := range req.Resources {
		one = b.describeOne(req, topics, i).AppendTo(one[:0])
		dst = append(dst, one[oneAt:]...)
	}
	binary.BigEndian.PutUint32(dst[countAt:], uint32(len(req.Resources)))
	binary.BigEndian.PutUint32(dst, uint32(len(dst)-wire.FrameSizeBytes))
	return dst
}

// describeOne describes the i-th resource; topics are the configurations of those resources that are existing topics.
func (b *base) describeOne(req *kmsg.DescribeConfigsRequest, topics []*catalog.TopicConfig, i int) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	want := &req.Resources[i]
	r := kmsg.DescribeConfigsResponseResource{ResourceType: want.ResourceType, ResourceName: want.ResourceName}
	r.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
	switch want.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		b.describeTopic(&r, topics[i])
	case kmsg.ConfigResourceTypeBroker:
		b.describeBroker(&r, want.ResourceName)
	default:
		r.ErrorCode, r.ErrorMessage = catalog.Refuse(wire.CodeInvalidRequest,
			"resources of type %s have no configuration here, topics and brokers do", want.ResourceType).Answer()
	}
	trimConfigs(&r, req, want.ConfigNames)
	resp.Resources = append(resp.Resources, r)
	return resp
}

// trimConfigs removes the settings that were not asked for.
func trimConfigs(r *kmsg.DescribeConfigsResponseResource, req *kmsg.DescribeConfigsRequest, names []string) {
	r.Configs = slices.DeleteFunc(r.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
		return names != nil && !slices.Contains(names, c.Name)
	})
	for j := range r.Configs {
		if !req.IncludeSynonyms {
			r.Configs[j].ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
		}
		if !req.IncludeDocumentation {
			r.Configs[j].Documentation = nil
		}
	}
}

// describeTopic describes a topic; config is nil for an unknown one.
func (b *base) describeTopic(r *kmsg.DescribeConfigsResponseResource, config *catalog.TopicConfig) {
	if config == nil {
		r.ErrorCode = catalog.UnknownTopic(r.ResourceName)
		return
	}
	flagless := DefaultConfig()
	standard := topicDefaults(&flagless)
	for i := range catalog.Settings {
		s := &catalog.Settings[i]
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.ConfigType, c.Documentation, c.ReadOnly = s.Name, s.Kind, kmsg.StringPtr(s.Doc), s.ReadOnly()
		if set, ok := config.Own(s.Name); ok {
			addSynonym(&c, s.Name, set, kmsg.ConfigSourceDynamicTopicConfig)
		}
		value := s.Value(b.catalog.Defaults())
		addSynonym(&c, s.BrokerName, value, flagOrDefault(value, s.Value(standard)))
		c.IsDefault = c.Source != kmsg.ConfigSourceDynamicTopicConfig
		r.Configs = append(r.Configs, c)
	}
}

// addSynonym adds a source of a value. The first one is in effect.
func addSynonym(c *kmsg.DescribeConfigsResponseResourceConfig, name, value string, source kmsg.ConfigSource) {
	s := kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{Name: name, Value: kmsg.StringPtr(value), Source: source}
	if c.ConfigSynonyms = append(c.ConfigSynonyms, s); len(c.ConfigSynonyms) == 1 {
		c.Value, c.Source = s.Value, s.Source
	}
}

// flagOrDefault is the source of a broker's value: a flag if the value differs from the one without flags.
func flagOrDefault(value, flagless string) kmsg.ConfigSource {
	if value != flagless {
		return kmsg.ConfigSourceStaticBrokerConfig
	}
	return kmsg.ConfigSourceDefaultConfig
}

// brokerSettings are the broker's settings that tools read, beside the defaults of topics.
var brokerSettings = []struct {
	name  string
	kind  kmsg.ConfigType
	doc   string
	value func(c *Config) any
}{
	{"node.id", kmsg.ConfigTypeInt, "This node's number, from meta.properties.", func(c *Config) any { return c.NodeID }},
	{"log.dirs", kmsg.ConfigTypeString, "Set by --data.", func(c *Config) any { return c.DataDir }},
	{"num.partitions", kmsg.ConfigTypeInt, "Set by --partitions.", func(c *Config) any { return c.Partitions }},
	{"default.replication.factor", kmsg.ConfigTypeInt, "Always 1: the server has no replication.", func(*Config) any { return 1 }},
	{"auto.create.topics.enable", kmsg.ConfigTypeBoolean, "Set by --auto-create-topics.", func(c *Config) any { return c.AutoCreateTopics }},
	{"socket.request.max.bytes", kmsg.ConfigTypeInt, "Set by --max-request-bytes.", func(c *Config) any { return c.MaxRequestBytes }},
	{"fetch.max.bytes", kmsg.ConfigTypeInt, "Set by --fetch-max-bytes.", func(c *Config) any { return c.FetchMaxBytes }},
	{"max.connections", kmsg.ConfigTypeInt, "Set by --max-connections.", func(c *Config) any { return c.MaxConnections }},
	{"connections.max.idle.ms", kmsg.ConfigTypeLong, "Set by --idle-timeout.", func(c *Config) any { return c.IdleTimeout.Milliseconds() }},
	{"log.retention.check.interval.ms", kmsg.ConfigTypeLong, "Set by --retention-check.",
		func(c *Config) any { return c.RetentionCheck.Milliseconds() }},
}

// describeBroker describes the broker of this node's number, with the settings sorted by name. The empty name asks for settings
// changed at run time in all brokers: there are none.
func (b *base) describeBroker(r *kmsg.DescribeConfigsResponseResource, name string) {
	node := b.catalog.NodeID()
	if name == "" {
		return
	}
	if name != strconv.Itoa(int(node)) {
		r.ErrorCode, r.ErrorMessage = catalog.Refuse(wire.CodeInvalidRequest, "broker %q was asked for, this is %d", name, node).Answer()
		return
	}
	add := func(name string, kind kmsg.ConfigType, doc, value, flagless string) {
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.ConfigType, c.Documentation, c.ReadOnly = name, kind, kmsg.StringPtr(doc), true
		addSynonym(&c, name, value, flagOrDefault(value, flagless))
		c.IsDefault = c.Source == kmsg.ConfigSourceDefaultConfig
		r.Configs = append(r.Configs, c)
	}
	now, flagless := b.config, DefaultConfig()
	now.NodeID, flagless.NodeID = node, node
	for _, s := range brokerSettings {
		add(s.name, s.kind, s.doc, fmt.Sprint(s.value(&now)), fmt.Sprint(s.value(&flagless)))
	}
	standard := topicDefaults(&flagless)
	for i := range catalog.Settings {
		s := &catalog.Settings[i]
		add(s.BrokerName, s.Kind, s.Doc, s.Value(b.catalog.Defaults()), s.Value(standard))
	}
	slices.SortFunc(r.Configs, func(x, y kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(x.Name, y.Name) })
}
