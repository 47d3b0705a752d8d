package plugins

import (
	"encoding/binary"
	"time"

	"kong/settings"
)

// OTLP's trace messages in protobuf's wire format: opentelemetry/proto/trace/v1/trace.proto names the numbers.

type attribute struct {
	name  string
	value any // a string or an int
}

// protobuf is a message; its methods append fields. bytes and text omit empty values.
type protobuf []byte

func (m protobuf) tag(field, wire int) protobuf {
	return binary.AppendUvarint(m, uint64(field<<3|wire))
}

func (m protobuf) number(field int, value uint64) protobuf {
	return binary.AppendUvarint(m.tag(field, 0), value)
}

func (m protobuf) time(field int, at time.Time) protobuf {
	return binary.LittleEndian.AppendUint64(m.tag(field, 1), uint64(at.UnixNano()))
}

func (m protobuf) bytes(field int, content []byte) protobuf {
	if len(content) == 0 {
		return m
	}
	return append(binary.AppendUvarint(m.tag(field, 2), uint64(len(content))), content...)
}

func (m protobuf) text(field int, content string) protobuf { return m.bytes(field, []byte(content)) }

func (m protobuf) attributes(field int, all []attribute) protobuf {
	for _, one := range all {
		var value protobuf
		switch typed := one.value.(type) {
		case string:
			value = value.text(1, typed)
		case int:
			value = value.number(3, uint64(typed))
		}
		m = m.bytes(field, protobuf{}.text(1, one.name).bytes(2, value))
	}
	return m
}

func (t *trace) span(name string, kind uint64, id, parent []byte, begin, end time.Time, attributes []attribute, failed bool) []byte {
	m := protobuf{}.bytes(1, t.id).bytes(2, id).text(3, t.state).bytes(4, parent).text(5, name).number(6, kind)
	m = m.time(7, begin).time(8, end).attributes(9, attributes)
	if failed {
		m = m.bytes(15, protobuf{}.number(3, 2))
	}
	return m
}

// exportRequest is the message to a collector.
func exportRequest(resource []attribute, spans [][]byte) []byte {
	scope := protobuf{}.bytes(1, protobuf{}.text(1, "kong-internal").text(2, settings.Version))
	for _, span := range spans {
		scope = scope.bytes(2, span)
	}
	return protobuf{}.bytes(1, protobuf{}.bytes(1, protobuf{}.attributes(1, resource)).bytes(2, scope))
}
