package profiles_test

// rule is one rule of the loader, the file that breaks it and its exact complaint.
type rule struct{ rule, place, want string }

func invalid() []rule {
	return []rule{}
}
