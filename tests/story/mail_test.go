package story_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// mailWithin is how long a mail may take.
const mailWithin = 3 * time.Minute

// mailed waits for the newest mail with a subject to an address, and remembers where it leads as $LINK. Mails of the
// same subject come in turn: each is looked at once.
func (n *narrator) mailed(ts *testscript.TestScript, args []string) error {
	for deadline := time.Now().Add(mailWithin); time.Now().Before(deadline); time.Sleep(pollEvery) {
		files, err := filepath.Glob(filepath.Join(ts.Getenv("AUTHSERVER_MAIL_DIR"), "*.eml"))
		if err != nil {
			return err
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
			if n.mails[file] || !strings.Contains(head, "<"+args[0]+">") || !strings.Contains(head, "Subject: "+args[1]) {
				continue
			}
			n.mails[file] = true
			links := regexp.MustCompile(regexp.QuoteMeta(n.stack.Issuer)+`(/[^\s"<>]*)`).FindAllStringSubmatch(string(raw), -1)
			target := ""
			for _, link := range links {
				if target != "" && link[1] != target {
					return fmt.Errorf("the mail leads to %s and to %s", target, link[1])
				}
				target = link[1]
			}
			ts.Setenv("LINK", target)
			return nil
		}
	}
	return fmt.Errorf("no mail %q came to %s", args[1], args[0])
}

// coded waits for the newest message with a code, and remembers the code.
func (n *narrator) coded(ts *testscript.TestScript, args []string) error {
	pattern := filepath.Join(ts.Getenv("AUTHSERVER_MAIL_DIR"), "*.eml")
	if args[1] == "sms" {
		pattern = filepath.Join(ts.Getenv("AUTHSERVER_SMS_DIR"), "*.txt")
	}
	code := regexp.MustCompile(`(?m)^ *(\d{6})( is your Larder code|\r?$)`)
	for deadline := time.Now().Add(mailWithin); time.Now().Before(deadline); time.Sleep(pollEvery) {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			found := code.FindSubmatch(raw)
			if n.mails[file] || found == nil {
				continue
			}
			n.mails[file] = true
			ts.Setenv(args[0], string(found[1]))
			return nil
		}
	}
	return fmt.Errorf("no code came by %s", args[1])
}
