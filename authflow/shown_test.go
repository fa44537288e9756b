package authflow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
)

// shown returns every text in which programs show a value, by how they do it.
func shown(value any) map[string]string {
	texts := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		texts[verb] = fmt.Sprintf(verb, value)
		texts[verb+" in a struct"] = fmt.Sprintf(verb, struct{ Value any }{value})
		texts[verb+" in a list"] = fmt.Sprintf(verb, []any{value})
		texts[verb+" in a map"] = fmt.Sprintf(verb, map[string]any{"value": value})
	}
	data, err := json.Marshal(value)
	texts["JSON"] = fmt.Sprint(string(data), err)
	data, err = json.Marshal(map[string]any{"value": []any{value}})
	texts["JSON in a map"] = fmt.Sprint(string(data), err)
	var text, lines bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&lines, nil)} {
		log := slog.New(handler).With("with", value)
		log.Error("as it is", "value", value)
		log.Error("in a struct", "value", struct{ Value any }{value})
		log.Error("in a list", "value", []any{value})
		log.WithGroup("group").Error("in a group", slog.Group("inner", "value", value))
	}
	texts["slog's text"], texts["slog's JSON"] = text.String(), lines.String()
	return texts
}
