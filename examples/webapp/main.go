// Webapp is a small web application in which people connect their Gmail accounts and read their mail: sign-in, sessions,
// several accounts a person, the state of each grant, reconnecting, disconnecting. By default Google is gmailtest, in this
// process, with two mailboxes of its own; with -client-secrets it is Google itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "webapp:", err)
	os.Exit(1)
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	set, err := parse(args, errOut)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", set.addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	google, err := openGoogle(ctx, set, ln.Addr())
	if err != nil {
		return err
	}
	defer google.close()
	db, err := openDatabase(ctx, set)
	if err != nil {
		return err
	}
	defer db.Close()
	keys, err := openKeys(set)
	if err != nil {
		return err
	}
	app, err := newApp(google, db, keys, slog.New(slog.NewTextHandler(errOut, nil)))
	if err != nil {
		return err
	}
	defer app.close()

	fmt.Fprintf(out, "The application is at %s/ (Ctrl-C ends it)\n", app.origin)
	return app.serve(ctx, ln)
}
