package storm

import (
	"slices"
	"testing"
)

func texts(plan []planned) []string {
	var all []string
	for _, p := range plan {
		all = append(all, p.String())
	}
	return all
}

func TestOneSeedIsOneSchedule(t *testing.T) {
	first := texts(plan(7, operations()))
	if again := texts(plan(7, operations())); !slices.Equal(first, again) {
		t.Errorf("seed 7 twice:\n%q\n%q", first, again)
	}
	if other := texts(plan(8, operations())); slices.Equal(first, other) {
		t.Error("seeds 7 and 8 are the same")
	}
}

// A machine that cannot do one operation still does the others as any does.
func TestWhatOneDrawsDoesNotDependOnOthers(t *testing.T) {
	all := operations()
	for _, p := range plan(7, all) {
		i := slices.IndexFunc(all, func(op operation) bool { return op.name == p.name })
		if alone := plan(7, all[i:i+1])[0].String(); alone != p.String() {
			t.Errorf("alone %q, with all %q", alone, p)
		}
	}
}

func TestOperationsHaveNamesOfTheirOwnAndServicesThatExist(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range operations() {
		if seen[op.name] || op.name == "" {
			t.Errorf("%q twice", op.name)
		}
		seen[op.name] = true
		known := false
		for _, s := range services {
			known = known || s.name == op.service
		}
		if !known || op.allowed == "" {
			t.Errorf("%s: service %q, allowed %q", op.name, op.service, op.allowed)
		}
	}
}
