package declarative

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A plugin's configuration is a struct. Its fields' tags say the rest of the schema: `oneof:"a,b"` is what a string, or
// each of several, may be; `range:"0,599"` bounds a number; `need:"yes"` is a field without which there is no plugin.

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
