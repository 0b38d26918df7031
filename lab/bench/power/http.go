package power

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// page is a plug's own web server.
type page struct {
	base               string
	username, password string
	digest             bool // the password answers a challenge instead of being sent
}

// client follows nothing and nobody's proxy: what is not at the plug's own address is not the plug.
var client = &http.Client{
	Timeout:       confirmTime,
	Transport:     &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 5 * time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// get asks for one page and reads its JSON. No error repeats the query, which may hold a password.
func (p page) get(ctx context.Context, path string, query url.Values) (map[string]any, error) {
	target := strings.TrimRight(p.base, "/") + path
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	response, err := p.ask(ctx, target, "")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if p.digest && response.StatusCode == http.StatusUnauthorized && p.password != "" {
		answer, err := answerChallenge(response.Header.Get("WWW-Authenticate"), p.username, p.password, response.Request.URL.RequestURI())
		if err != nil {
			return nil, err
		}
		_ = response.Body.Close()
		if response, err = p.ask(ctx, target, answer); err != nil {
			return nil, err
		}
		defer response.Body.Close()
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case len(body) > maxReply:
		return nil, fmt.Errorf("read %s: more than %d bytes", path, maxReply)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", path, response.Status)
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s answers what is no JSON object", path)
	}
	return answer, nil
}

func (p page) ask(ctx context.Context, target, authorization string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, errors.New("the address is not a URL")
	}
	switch {
	case authorization != "":
		request.Header.Set("Authorization", authorization)
	case !p.digest && p.password != "":
		request.SetBasicAuth(p.username, p.password)
	}
	response, err := client.Do(request)
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err // without the URL
	}
	return response, err
}
