package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(path, []byte("static_resources:\n  clusters:\n  - name: a\n    typ: STATIC\n    nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := lb(t, "validate --config "+path)
	if code != exitFailed || !strings.HasPrefix(errs, path+":4: ") || !strings.Contains(errs, "\n"+path+":5: ") {
		t.Errorf("%d, want both lines: %s", code, errs)
	}
	if _, errs, code := lb(t, "validate"); code != exitUsage || !strings.Contains(errs, "--config FILE") {
		t.Errorf("without a file: %d %q", code, errs)
	}
	if _, errs, code := lb(t, "validate --config /nowhere.yaml"); code != exitFailed || !strings.Contains(errs, "/nowhere.yaml") {
		t.Errorf("no such file: %d %q", code, errs)
	}
}
