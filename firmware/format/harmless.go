package format

// Harmless picks the payload byte whose change is least likely to stop a device that
// takes the image after all: one amid the longest run of filling (0x00 or 0xff), else
// the middle. A device that runs the variant says so; one that does not come up needs a person.
func Harmless(payload []byte) int {
	const worth = 8
	best, length := len(payload)/2, worth-1
	for i := 0; i < len(payload); {
		j := i
		for j < len(payload) && payload[j] == payload[i] {
			j++
		}
		if n := j - i; n > length && (payload[i] == 0 || payload[i] == 0xff) {
			best, length = i+n/2, n
		}
		i = j
	}
	return best
}
