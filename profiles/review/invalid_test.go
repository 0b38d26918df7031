package review_test

// rule is one rule of the reader, the file that breaks it and its exact complaint.
type rule struct{ rule, want string }

func invalid() []rule {
	return []rule{
		{"answer", `r.yaml:5:13: reviews[0].answer: is "yes", wants met, not-met, not-applicable or open`},
		{"date-to-come", `r.yaml:8:11: reviews[0].date: 2026-11-24 has not come yet: write the day of the review`},
		{"date", `r.yaml:8:11: reviews[0].date: "20 November" is not a date: write the day of the review, e.g. 2026-11-20`},
		{"empty", "r.yaml:3:1: reviews: is empty: `assay review` writes one to fill in"},
		{"evidence-both", `r.yaml:12:10: reviews[0].evidence[0]: wants a document of the dossier or a file: exactly one of them`},
		{"evidence-changed", `r.yaml:13:35: reviews[0].evidence[1].sha256: is not the digest of proof.txt, which is ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad: the file has changed since the review`},
		{"evidence-document-changed", `r.yaml:12:36: reviews[0].evidence[0].sha256: is not the digest of manual, which is 3f22095641508576e91dc7c6c7f7e08a093985d53ea998043c6619ad240dc92c: the file has changed since the review`},
		{"evidence-document", `r.yaml:12:20: reviews[0].evidence[0].document: the dossier has no document "manuel": did you mean "manual"?`},
		{"evidence-file", `r.yaml:13:16: reviews[0].evidence[1].file: DIR/prove.txt does not exist`},
		{"evidence-folder", `r.yaml:13:16: reviews[0].evidence[1].file: DIR is not a file`},
		{"evidence-neither", `r.yaml:12:10: reviews[0].evidence[0]: wants a document of the dossier or a file: exactly one of them`},
		{"evidence-unchecked", `r.yaml:12:36: reviews[0].evidence[0].sha256: cannot be checked, for the dossier names no file for document online: name one there, or cite the file that was read`},
		{"expires-before", `r.yaml:9:14: reviews[0].expires: 2026-11-19 lies before the review itself`},
		{"expires", `r.yaml:9:14: reviews[0].expires: "never" is not a date: write the last day on which the answer holds, e.g. 2027-11-20`},
		{"format", `r.yaml:1:8: assay: wants "reviews/v1" as the first line's value, found "review/v1"`},
		{"item-no-because", `r.yaml:21:10: reviews[1].items[0].because: is missing or empty`},
		{"item-no-name", `r.yaml:21:16: reviews[1].items[0].name: is missing or empty`},
		{"item-path", `r.yaml:21:26: reviews[1].items[0].path: item web page: answer 2 is "maybe", wants yes or no`},
		{"no-answer", `r.yaml:4:5: reviews[0].answer: is "", wants met, not-met, not-applicable or open`},
		{"no-name", `r.yaml:7:16: reviews[0].by.name: is missing or empty`},
		{"no-role", `r.yaml:7:5: reviews[0].by.role: is missing or empty`},
		{"no-statement", `r.yaml:6:16: reviews[0].statement: is missing or empty`},
		{"no-units", `r.yaml:4:5: reviews[0]: answers no unit: name at least one in units, e.g. etsi-en-303-645/5.1-1-1.a`},
		{"product", `r.yaml:2:1: product: is Acme Gate 7, firmware 2.31, but the dossier is about Acme Gate 7, firmware 2.30: an answer for one says nothing of the other`},
		{"row", `r.yaml:10:12: reviews[0].rows[0]: the dossier has no row "1-AuthMech/AuthMech-2": write an address like 1-AuthMech/AuthMech-1`},
		{"unit-twice", `r.yaml:14:13: reviews[1].units[0]: s/1-1.a is answered twice: keep one`},
		{"unit", `r.yaml:4:13: reviews[0].units[0]: "s/1-1" is not the address of a unit: write standard/case.unit, e.g. etsi-en-303-645/5.1-1-1.a`},
		{"unknown-key", `r.yaml:6:5: reviews[0].remark: is not a key here: there is answer, by, date, evidence, expires, items, rows, statement, units`},
	}
}
