package evidence

import (
	"fmt"
	"strconv"
	"strings"
)

// amendmentName is the entry of an amendment, counted from 1.
func amendmentName(n int) string { return fmt.Sprintf("amendments/%04d.sigstore.json", n) }

// maxAmendments is how many a bundle may have.
const maxAmendments = 9999

// amendmentNumber is the number in an entry's name; 0: it is no amendment.
func amendmentNumber(name string) int {
	digits, ok := strings.CutPrefix(name, "amendments/")
	if !ok || len(digits) < 4 {
		return 0
	}
	n, err := strconv.Atoi(digits[:4])
	if err != nil || n < 1 || n > maxAmendments || name != amendmentName(n) {
		return 0
	}
	return n
}
