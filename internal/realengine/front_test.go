package realengine

import "testing"

func TestTakeTurns(t *testing.T) {
	for _, test := range []struct {
		name       string
		turns, ids []string
		fails      bool
	}{
		{"two", []string{"a", "b", "a", "b", "a"}, []string{"b", "a"}, false},
		{"one", []string{"a", "a"}, []string{"a"}, false},
		{"none missing in a whole round", []string{"a", "b", "c", "a", "b", "c"}, []string{"a", "b", "c"}, false},
		{"twice in a row", []string{"a", "b", "b", "a"}, []string{"a", "b"}, true},
		{"rounds in another order", []string{"a", "b", "c", "b", "a", "c"}, []string{"a", "b", "c"}, true},
		{"one is missing", []string{"a", "a", "a", "a"}, []string{"a", "b"}, true},
		{"a stranger", []string{"a", "x", "a", "x"}, []string{"a", "b"}, true},
		{"too few answers to tell", []string{"a"}, []string{"a", "b"}, true},
	} {
		if err := TakeTurns(test.turns, test.ids); (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
