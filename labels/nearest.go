package labels

// Nearest is the word that was plausibly meant by typo, or "": the schema's own
// measure of nearness, for others who ask "did you mean".
func Nearest(typo string, words []string) string { return nearest(typo, words) }
