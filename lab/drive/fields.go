package drive

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"assay/probes"
	"assay/profiles/dossier"
)

// listens is how long a subscription collects messages whose recipe does not say.
const listens = time.Second

// listen is how long a step collects messages or notifications after everything else in it is done.
func (s step) listen() time.Duration {
	switch {
	case s.CoAP != nil:
		return seconds(s.CoAP.Observe)
	case s.MQTT == nil || s.MQTT.Subscribe == "":
		return 0
	case s.MQTT.Listen > 0:
		return seconds(s.MQTT.Listen)
	}
	return listens
}

// patience is how long the whole step may take.
func (s step) patience() time.Duration { return s.takes + s.listen() }

// checkTemplates reads every template of a step once, for mistakes that need no values to be seen.
func checkTemplates(s dossier.Step) error {
	for key, template := range templates(s) {
		if _, err := variables(template); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	if s.HTTP != nil {
		_, err := expandAny(s.HTTP.JSON, func(string) (string, error) { return "", nil })
		if err != nil {
			return fmt.Errorf("http: json: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Capture)) {
		if taken(name) {
			return fmt.Errorf("capture %s: the bench itself fills in a variable of this name", name)
		}
	}
	return nil
}

func taken(name string) bool {
	return slices.Contains([]string{varHost, varSerial, varMAC, varUnit, varBench}, name) ||
		len(name) > len(varLogin) && name[:len(varLogin)] == varLogin
}

// templates lists a step's strings by their keys.
func templates(s dossier.Step) map[string]string {
	switch {
	case s.HTTP != nil:
		m := map[string]string{"http: method": s.HTTP.Method, "http: url": s.HTTP.URL, "http: body": s.HTTP.Body}
		for name, v := range s.HTTP.Headers {
			m["http: header "+name] = v
		}
		for name, v := range s.HTTP.Form {
			m["http: form "+name] = v
		}
		if u := s.HTTP.Upload; u != nil {
			m["http: upload: field"], m["http: upload: name"], m["http: upload: value"] = u.Field, u.Name, u.Value
		}
		return m
	case s.MQTT != nil:
		q := s.MQTT
		m := map[string]string{
			"mqtt: url": q.URL, "mqtt: client_id": q.ClientID, "mqtt: username": q.Username, "mqtt: password": q.Password,
			"mqtt: publish": q.Publish, "mqtt: payload": q.Payload, "mqtt: subscribe": q.Subscribe,
		}
		if q.Will != nil {
			m["mqtt: will: topic"], m["mqtt: will: payload"] = q.Will.Topic, q.Will.Payload
		}
		return m
	case s.CoAP != nil:
		c := s.CoAP
		return map[string]string{
			"coap: method": c.Method, "coap: url": c.URL, "coap: identity": c.Identity, "coap: key": c.Key,
			"coap: payload": c.Payload, "coap: format": c.Format,
		}
	case s.SSH != nil:
		m := dialogueTemplates("ssh", s.SSH.Dialogue)
		m["ssh: url"], m["ssh: username"], m["ssh: password"], m["ssh: run"] = s.SSH.URL, s.SSH.Username, s.SSH.Password, s.SSH.Run
		return m
	case s.Telnet != nil:
		m := dialogueTemplates("telnet", s.Telnet.Dialogue)
		m["telnet: url"] = s.Telnet.URL
		return m
	case s.Serial != nil:
		m := dialogueTemplates("serial", s.Serial.Dialogue)
		m["serial: port"] = s.Serial.Port
		return m
	case s.Command != nil:
		m := map[string]string{"command: stdin": s.Command.Stdin}
		for i, v := range s.Command.Run {
			m[fmt.Sprintf("command: run %d", i)] = v
		}
		return m
	case s.Person != nil:
		return map[string]string{"person: say": s.Person.Say}
	default:
		return map[string]string{"button: name": s.Button.Name}
	}
}

// dialogueTemplates are the texts to send; what is expected is no template, for {2} and }} are of RE2.
func dialogueTemplates(kind string, lines []dossier.Line) map[string]string {
	m := make(map[string]string)
	for i, l := range lines {
		if l.Send != nil {
			m[fmt.Sprintf("%s: line %d: send", kind, i+1)] = *l.Send
		}
	}
	return m
}

// credentials tells whether a template asks for what the caller did not give.
func credentials(template string) bool {
	names, _ := variables(template)
	return slices.Contains(names, probes.ArgUsername) || slices.Contains(names, probes.ArgPassword)
}
