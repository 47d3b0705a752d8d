package declarative

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A plugin's configuration is a struct. Its fields' tags say the rest of the schema: `oneof:"a,b"` is what a string, or
// each of several, may be; `range:"0,599"` bounds a number; `need:"yes"` is a field without which there is no plugin.

// DescribeConfig describes a plugin's configuration as Kong's admin API does; the controller fills in defaults from it.
func DescribeConfig(config any) map[string]any {
	return map[string]any{"fields": []any{
		map[string]any{"protocols": map[string]any{
			"type": "set", "default": []string{"grpc", "grpcs", "http", "https"}, "elements": map[string]any{"type": "string"},
		}},
		map[string]any{"config": map[string]any{
			"type": "record", "required": true, "fields": describeFields(reflect.ValueOf(config).Elem()),
		}},
	}}
}

func describeFields(record reflect.Value) []any {
	described := []any{}
	for i := range record.NumField() {
		field := describe(record.Field(i))
		tags := record.Type().Field(i)
		field["required"] = tags.Tag.Get("need") != "" || field["type"] == "record"
		if allowed := tags.Tag.Get("oneof"); allowed != "" {
			target := field
			if elements, are := field["elements"].(map[string]any); are {
				target = elements
			}
			target["one_of"] = strings.Split(allowed, ",")
		}
		described = append(described, map[string]any{jsonName(tags): field})
	}
	return described
}

func describe(value reflect.Value) map[string]any {
	var field map[string]any
	switch value.Kind() {
	case reflect.Pointer: // a field that has no default
		return describeType(value.Type().Elem())
	case reflect.Struct:
		return map[string]any{"type": "record", "fields": describeFields(value)}
	case reflect.Slice, reflect.Map:
		if field = describeType(value.Type()); !value.IsNil() {
			field["default"] = value.Interface()
		}
	case reflect.String:
		if field = describeType(value.Type()); value.Len() > 0 {
			field["default"] = value.String()
		}
	default:
		field = describeType(value.Type())
		field["default"] = value.Interface()
	}
	return field
}

func describeType(kind reflect.Type) map[string]any {
	switch kind.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "elements": describeType(kind.Elem())}
	case reflect.Map:
		return map[string]any{"type": "map", "keys": describeType(kind.Key()), "values": describeType(kind.Elem())}
	}
	return map[string]any{"type": "string"}
}

// CheckFields holds a configuration against its tags.
func CheckFields(config any, wrong *Faults) { checkRecord(reflect.ValueOf(config).Elem(), "", wrong) }

func checkRecord(record reflect.Value, prefix string, wrong *Faults) {
	for i := range record.NumField() {
		tags, value := record.Type().Field(i), record.Field(i)
		name := prefix + jsonName(tags)
		if tags.Tag.Get("need") != "" && (value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0) {
			wrong.Add(name, "required field missing")
			continue
		}
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		switch value.Kind() {
		case reflect.Struct:
			checkRecord(value, name+".", wrong)
		case reflect.Slice:
			for i := range value.Len() {
				checkValue(tags.Tag, name, value.Index(i), wrong)
			}
		default:
			checkValue(tags.Tag, name, value, wrong)
		}
	}
}

func checkValue(tag reflect.StructTag, name string, value reflect.Value, wrong *Faults) {
	if allowed := tag.Get("oneof"); allowed != "" && !slices.Contains(strings.Split(allowed, ","), value.String()) {
		wrong.Add(name, "expected one of: "+strings.ReplaceAll(allowed, ",", ", "))
	}
	if bounds := tag.Get("range"); bounds != "" {
		var low, high float64
		fmt.Sscanf(bounds, "%g,%g", &low, &high)
		number := 0.0
		if value.CanInt() {
			number = float64(value.Int())
		} else {
			number = value.Float()
		}
		if number < low || number > high {
			wrong.Add(name, fmt.Sprintf("value should be between %g and %g", low, high))
		}
	}
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}
