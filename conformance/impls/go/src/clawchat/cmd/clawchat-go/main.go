// Command clawchat-go is a ClawChat/1 client written from spec/, proto/ and
// test-vectors/ alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"clawchat/client"
	"clawchat/code"
	"clawchat/vectors"
)

const usage = `usage:
  clawchat-go vectors DIR
  clawchat-go run [--invite TEXT | --invite-file FILE] --state FILE [--name NAME]
                  [--preset standard|minimal]
`

func main() {
	if len(os.Args) < 2 {
		fail(code.New(code.Usage, "no command\n%s", usage))
	}
	var err error
	switch os.Args[1] {
	case "vectors":
		err = runVectors(os.Args[2:])
	case "run":
		err = run(os.Args[2:])
	default:
		err = code.New(code.Usage, "%s is no command\n%s", os.Args[1], usage)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(code.Of(err).Exit())
}

func runVectors(args []string) error {
	if len(args) != 1 {
		return code.New(code.Usage, "%s", usage)
	}
	ok, err := vectors.Run(args[0], os.Stdout)
	if err == nil && !ok {
		os.Exit(1)
	}
	return err
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	text := flags.String("invite", "", "the invite as text")
	file := flags.String("invite-file", "", "a file that holds the text")
	path := flags.String("state", "", "the file in which this device lives")
	name := flags.String("name", "", "the name that the device asks for")
	presetName := flags.String("preset", "standard", "the preset of the host")
	if err := flags.Parse(args); err != nil || *path == "" || flags.NArg() > 0 {
		return code.New(code.Usage, "%s", usage)
	}
	preset, ok := client.Presets[*presetName]
	if !ok {
		return code.New(code.Usage, "no preset is called %s", *presetName)
	}
	if *file != "" {
		b, err := os.ReadFile(*file)
		if err != nil {
			return code.New(code.Usage, "%v", err)
		}
		*text = strings.TrimSpace(string(b))
	}
	out := client.NewPrinter(os.Stdout)
	c, err := client.Open(*path, *text, preset, out.Event)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return c.Run(ctx, *name, os.Stdin, out)
}
