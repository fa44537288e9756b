package browser_test

import (
	"database/sql"
	"net/url"
	"testing"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// restart connects two accounts with an application, and then looks at them in the next run on the same database.
func restart(t *testing.T, args ...string) {
	t.Helper()
	p := &program{tb: t, data: t.TempDir()}
	stop := p.start(append(args, "-addr", "127.0.0.1:0")...)
	person := p.signedIn()
	p.connect(person, "Connect another account", gauges)
	inbox := p.inbox(person, ada)
	at, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	p.start(append(args, "-addr", at.Host)...)
	person.open(inbox)
	if title := person.title(); title != "Inbox of "+ada {
		t.Errorf("after a restart the inbox is called %q:\n%s", title, person.where())
	}
	person.click("Mailroom")
	person.check(ada, gauges)
}

func TestPeopleStayConnectedInSQLite(t *testing.T) {
	t.Parallel()
	restart(t)
}

func TestPeopleStayConnectedInPostgreSQL(t *testing.T) {
	t.Parallel()
	dsn := servers.PostgreSQL(t)
	restart(t, "-dsn", dsn)
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var accounts int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM webapp_accounts`).Scan(&accounts); err != nil || accounts != 2 {
		t.Errorf("PostgreSQL knows %d accounts, %v; want 2", accounts, err)
	}
}
