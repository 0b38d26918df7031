package drive

import (
	"fmt"
	"net/url"
	"strings"
)

// expand puts values in the places of {{name}} and returns the result. It passes over the
// text once: a value that itself looks like a variable stays what it is, so that
// neither a password nor a device can reach for another variable.
func expand(text string, lookup func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		inside, after, closed := strings.Cut(rest, "}}")
		name := strings.TrimSpace(inside)
		if !closed || !isName(name) {
			return "", fmt.Errorf("%q is no variable: write {{name}}", "{{"+shorten(inside, 20))
		}
		value, err := lookup(name)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		text = after
	}
}

// variables lists the names in a template, in order.
func variables(text string) ([]string, error) {
	var names []string
	_, err := expand(text, func(name string) (string, error) {
		names = append(names, name)
		return "", nil
	})
	return names, err
}

// isName tells whether s can name a variable.
func isName(s string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '.', r == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 100
}

// expandURL expands a URL's template. Values in its query are escaped, since a password may
// well hold an ampersand; before the query they are put in as they are. The address of a
// unit may be an IPv6 one, which a URL wants in brackets.
func expandURL(text string, lookup func(name string) (string, error)) (*url.URL, error) {
	head, query, hasQuery := strings.Cut(text, "?")
	full, err := expand(head, func(name string) (string, error) {
		value, err := lookup(name)
		if (name == varHost || name == varBench) && strings.Contains(value, ":") && !strings.HasPrefix(value, "[") {
			value = "[" + value + "]"
		}
		return value, err
	})
	if err != nil {
		return nil, err
	}
	if hasQuery {
		query, err = expand(query, func(name string) (string, error) {
			value, err := lookup(name)
			return url.QueryEscape(value), err
		})
		if err != nil {
			return nil, err
		}
		full += "?" + query
	}
	u, err := url.Parse(full)
	if err != nil {
		// The parser's error repeats the whole URL with whatever was put into it.
		return nil, fmt.Errorf("%s does not make a URL", shorten(text, 80))
	}
	if u.Host == "" || u.Opaque != "" {
		return nil, fmt.Errorf("%s names no host", shorten(text, 80))
	}
	return u, nil
}

// expandAny expands every string among the values of a JSON document.
func expandAny(v any, lookup func(name string) (string, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return expand(v, lookup)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = expandAny(v[i], lookup); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			var err error
			if m[key], err = expandAny(v[key], lookup); err != nil {
				return nil, err
			}
		}
		return m, nil
	default:
		return v, nil
	}
}

// shorten cuts s to at most n characters and marks the cut.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n]) + "..."
}
