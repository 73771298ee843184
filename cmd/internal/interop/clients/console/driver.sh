#!/bin/sh
# The driver of Kafka's console tools. LIBS is the directory of their jars.
set -eu
tool() {
	class=$1
	shift
	exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$LIBS/*" "org.apache.kafka.tools.$class" "$@"
}
case "$1" in
version) ls "$LIBS" | sed -n 's/^kafka-tools-\([0-9.]*\)\.jar$/\1/p' ;;
publish) tool ConsoleProducer --bootstrap-server "$2" --topic "$3" --compression-codec "$4" ;;
consume) tool consumer.ConsoleConsumer --bootstrap-server "$2" --topic "$3" --from-beginning --max-messages "$4" ;;
member)
	if [ "$5" = 0 ]; then
		tool consumer.ConsoleConsumer --bootstrap-server "$2" --topic "$3" --group "$4" --from-beginning
	fi
	tool consumer.ConsoleConsumer --bootstrap-server "$2" --topic "$3" --group "$4" --from-beginning --max-messages "$5"
	;;
topics)
	(tool TopicCommand --bootstrap-server "$2" --create --topic "$3" --partitions 3) >&2
	(tool TopicCommand --bootstrap-server "$2" --describe --topic "$3") | sed -n 's/.*PartitionCount: *\([0-9]*\).*/partitions \1/p'
	(tool TopicCommand --bootstrap-server "$2" --delete --topic "$3") >&2
	echo deleted
	;;
groups)
	(tool consumer.group.ConsumerGroupCommand --bootstrap-server "$2" --list) | grep -qx "$3" && echo listed
	(tool consumer.group.ConsumerGroupCommand --bootstrap-server "$2" --describe --state --group "$3") |
		awk -v group="$3" '$1 == group { print $(NF-1), $NF }'
	;;
*) echo "usage: see README.md" >&2; exit 2 ;;
esac
