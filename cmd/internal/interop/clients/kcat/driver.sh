#!/bin/sh
# The driver of kcat. It can neither create topics nor look at groups.
set -eu
case "$1" in
version) kcat -V | sed -n 's/^Version \([0-9.]*\).*librdkafka \([0-9.]*\).*/\1 (librdkafka \2)/p' ;;
publish) exec kcat -q -b "$2" -P -t "$3" -z "$4" ;;
consume) exec kcat -q -b "$2" -C -t "$3" -o beginning -c "$4" -u ;;
member)
	if [ "$5" = 0 ]; then
		exec kcat -q -u -b "$2" -X auto.offset.reset=earliest -G "$4" "$3"
	fi
	exec kcat -q -u -b "$2" -X auto.offset.reset=earliest -c "$5" -G "$4" "$3"
	;;
*) echo "kcat has no $1" >&2; exit 2 ;;
esac
