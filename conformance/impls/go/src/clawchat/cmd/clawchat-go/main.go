// Command clawchat-go is a ClawChat/1 client written from spec/, proto/ and
// test-vectors/ alone.
package main

import (
	"fmt"
	"os"

	"clawchat/vectors"
)

func main() {
	ok, err := vectors.Run(os.Args[2], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !ok {
		os.Exit(1)
	}
}
