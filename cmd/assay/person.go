package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"assay/lab/drive"
)

// person asks whoever sits at the terminal; nil where nobody does.
func person() drive.Person {
	if !terminal(os.Stdin) || !terminal(os.Stderr) {
		return nil
	}
	return somebody{}
}

type somebody struct{}

// Ask prints the request and waits for a line, as long as the step allows.
func (somebody) Ask(ctx context.Context, say string) (string, error) {
	fmt.Fprintf(os.Stderr, "\a\r\x1b[K\n  PLEASE: %s\n  then type yes or no and press Enter: ", say)
	type line struct {
		text string
		err  error
	}
	answer := make(chan line, 1)
	// Reading a terminal cannot be cancelled: at a deadline this goroutine stays until the next line.
	go func() {
		text, err := bufio.NewReader(os.Stdin).ReadString('\n')
		answer <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		return "", fmt.Errorf("wait for a person: %w", ctx.Err())
	case l := <-answer:
		if l.err != nil {
			return "", fmt.Errorf("read the person's answer: %w", l.err)
		}
		return strings.ToLower(strings.TrimSpace(l.text)), nil
	}
}
