package drive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"assay/probes"
)

// A payload is what a request carries: bytes, or a file of the bench between bytes, which is read
// while it is sent, for firmware images are large.
type payload struct {
	head, tail []byte
	file       string // "": there are only bytes
}

// body makes what a request carries, and its content type.
func (x *scope) body(s step) (payload, string, error) {
	h := s.HTTP
	switch {
	case h.JSON != nil:
		v, err := expandAny(h.JSON, x.lookup)
		if err != nil {
			return payload{}, "", fmt.Errorf("json: %w", err)
		}
		body, err := json.Marshal(v)
		if err != nil {
			return payload{}, "", fmt.Errorf("json: %w", err)
		}
		return payload{head: body}, "application/json", nil
	case h.Upload != nil:
		return x.upload(s)
	case h.Form != nil:
		form := make(url.Values)
		for name, template := range h.Form {
			value, err := x.text("form "+name, template)
			if err != nil {
				return payload{}, "", err
			}
			form.Set(name, value)
		}
		return payload{head: []byte(form.Encode())}, "application/x-www-form-urlencoded", nil
	}
	body, err := x.text("body", h.Body)
	return payload{head: []byte(body)}, "", err
}

// upload makes a form with a file in it: RFC 7578. Its other fields go before the file, since many
// devices read a form as it comes and want to know the token when the image begins.
func (x *scope) upload(s step) (payload, string, error) {
	u := s.HTTP.Upload
	var field, name, value string
	var err error
	for _, f := range []struct {
		key, template string
		value         *string
	}{{"field", u.Field, &field}, {"name", u.Name, &name}, {"value", u.Value, &value}} {
		if *f.value, err = x.text("upload: "+f.key, f.template); err != nil {
			return payload{}, "", err
		}
	}
	var p payload
	if u.File != "" {
		p.file = x.options.Dossier.Path(u.File)
	}
	if name == "" {
		name = "file"
		if u.File != "" {
			name = filepath.Base(u.File)
		}
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, key := range slices.Sorted(maps.Keys(s.HTTP.Form)) {
		text, err := x.text("form "+key, s.HTTP.Form[key])
		if err != nil {
			return payload{}, "", err
		}
		if err := w.WriteField(key, text); err != nil {
			return payload{}, "", fmt.Errorf("form %s: %w", key, err)
		}
	}
	if _, err := w.CreateFormFile(field, name); err != nil {
		return payload{}, "", fmt.Errorf("upload: %w", err)
	}
	b.WriteString(value)
	p.head = bytes.Clone(b.Bytes())
	if err := w.Close(); err != nil {
		return payload{}, "", fmt.Errorf("upload: %w", err)
	}
	p.tail = b.Bytes()[len(p.head):]
	return p, w.FormDataContentType(), nil
}

// into gives a request its body, which can be sent again after a redirect.
func (p payload) into(request *http.Request) error {
	length := int64(len(p.head) + len(p.tail))
	if p.file != "" {
		info, err := os.Stat(p.file)
		if err != nil {
			return fmt.Errorf("upload: %w: %w", err, probes.ErrBench)
		}
		length += info.Size()
	}
	if length == 0 {
		return nil
	}
	request.GetBody = func() (io.ReadCloser, error) {
		if p.file == "" {
			return io.NopCloser(io.MultiReader(bytes.NewReader(p.head), bytes.NewReader(p.tail))), nil
		}
		file, err := os.Open(p.file)
		if err != nil {
			return nil, fmt.Errorf("upload: %w: %w", err, probes.ErrBench)
		}
		return joined{io.MultiReader(bytes.NewReader(p.head), file, bytes.NewReader(p.tail)), file}, nil
	}
	var err error
	request.ContentLength = length
	request.Body, err = request.GetBody()
	return err
}

type joined struct {
	io.Reader
	io.Closer
}

// benchFault tells whether a request went wrong on this side.
func benchFault(err error) bool {
	return errors.Is(err, probes.ErrBench) || strings.Contains(err.Error(), "with Body length")
}
