package interview

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine bounds what a person types on one line, in bytes. A terminal itself cuts a line at 4095.
const maxLine = 4000

var (
	errQuit     = errors.New("quit")                 // the person, or the end of the input
	errBack     = errors.New("back to the unit")     // typed as < at any question below a unit
	errPrevious = errors.New("back to the previous") // unit
)

// lines are what a person types, line by line.
type lines struct{ typed <-chan typed }

type typed struct {
	text    string
	problem string // why the line cannot be taken
	err     error
}

// readLines reads until the input ends. Reading a terminal cannot be cancelled: when ctx ends, the
// goroutine stays until the next line.
func readLines(ctx context.Context, r io.Reader) *lines {
	out := make(chan typed)
	go func() {
		defer close(out)
		in := bufio.NewReaderSize(r, maxLine+1)
		for {
			one := readLine(in)
			select {
			case out <- one:
			case <-ctx.Done():
				return
			}
			if one.err != nil {
				return
			}
		}
	}()
	return &lines{out}
}

// readLine reads one line; what is too long is read to its end and refused.
func readLine(in *bufio.Reader) typed {
	b, err := in.ReadSlice('\n')
	text, long := string(b), false
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		_, err = in.ReadSlice('\n')
	}
	if err != nil && text == "" {
		return typed{err: err}
	}
	text = strings.TrimSpace(text)
	odd := func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }
	switch {
	case long || len(text) > maxLine:
		return typed{problem: fmt.Sprintf("that line has more than %d bytes: say it shorter, or cite a document", maxLine)}
	case !utf8.ValidString(text):
		return typed{problem: "that line is not UTF-8 text: type it again"}
	case strings.ContainsFunc(text, odd):
		return typed{problem: "that line has a character that does not print, of an arrow key perhaps: type it again"}
	}
	return typed{text: strings.ReplaceAll(text, "\t", " ")}
}

// next waits for a line.
func (l *lines) next(ctx context.Context) (text, problem string, err error) {
	select {
	case <-ctx.Done():
		return "", "", fmt.Errorf("wait for a person: %w", ctx.Err())
	case one, ok := <-l.typed:
		switch {
		case !ok || errors.Is(one.err, io.EOF):
			return "", "", errQuit
		case one.err != nil:
			return "", "", fmt.Errorf("read the person's answer: %w", one.err)
		}
		return one.text, one.problem, nil
	}
}
