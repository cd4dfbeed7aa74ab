package storm

import (
	"fmt"
	"os"
	"os/exec"
)

// need is what an operation cannot do without; its error says what is missing.
type need func() error

func root() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("not root")
	}
	return nil
}

func command(name string) need {
	return func() error {
		_, err := exec.LookPath(name)
		return err
	}
}
