package diff

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Values lists where two JSON values differ, e.g. at "ixit.7-UpdMech[UpdMech-1].description". Rows of a list that
// have an id, a file or a name are told apart by it, others make the list one value.
func Values(old, now any) []Difference {
	out := []Difference{}
	walk("", old, now, &out)
	return out
}

func walk(at string, old, now any, out *[]Difference) {
	a, b, inside := object(old), object(now), ""
	if a == nil || b == nil {
		if a, b = rows(old), rows(now); a == nil || b == nil {
			if !reflect.DeepEqual(old, now) {
				*out = append(*out, Difference{at, old, now})
			}
			return
		}
		inside = "[%s]"
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		next := strings.TrimPrefix(at+"."+k, ".")
		if inside != "" {
			next = at + fmt.Sprintf(inside, k)
		}
		walk(next, a[k], b[k], out)
	}
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// rows are a list's elements by what names them; nil where something does not.
func rows(v any) map[string]any {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	out := map[string]any{}
	for _, one := range list {
		key := ""
		for _, name := range []string{"id", "file", "name"} {
			if s, ok := object(one)[name].(string); ok && key == "" {
				key = s
			}
		}
		if _, twice := out[key]; key == "" || twice {
			return nil
		}
		out[key] = one
	}
	return out
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
