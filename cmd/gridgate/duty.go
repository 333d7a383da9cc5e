package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) dutyCommand() *cobra.Command {
	return group("duty", "Seats of the desk, who has an alarm, handovers, and the sheet for the day the screens are dark",
		a.dutySeats(), a.dutyTake(), a.dutyGiveBack(), a.dutySignOff(), a.dutyHandover(), a.dutySheet())
}

func (a *app) dutySeats() *cobra.Command {
	return &cobra.Command{
		Use: "seats", Short: "List the seats: who sits there, and whether it watches", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Seats(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, s := range page.Items {
					state, who, beat := "empty", "", ""
					if !s.On.IsZero() && s.Left.IsZero() {
						state, who, beat = "watching", s.Person, clock(s.Beat)
						if !s.Watching {
							state = "not watching: " + s.Why
						}
					}
					rows = append(rows, []string{s.ID, s.Name.EN, dash(who), state, dash(beat), string(s.Mode)})
				}
				a.table("no seats", []string{"SEAT", "NAME", "PERSON", "STATE", "LAST BEAT", "MODE"}, rows)
			})
		},
	}
}

func asWhom(name, role string) *api.As {
	if name == "" && role == "" {
		return nil
	}
	return &api.As{Name: name, Role: grid.Role(role)}
}

func (a *app) dutyTake() *cobra.Command {
	var t api.Taking
	var by api.As
	var role string
	cmd := &cobra.Command{
		Use: "take <alarm>", Short: "Take an alarm for a seat that watches, with all others of its ticket", Args: args(cobra.ExactArgs(1)),
		Example: `  gridgate duty take 01JG… --seat desk-1`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			if t.Seat == "" {
				return usage(cmd, fmt.Errorf("--seat is missing: want the seat that takes it"))
			}
			t.By = asWhom(by.Name, role)
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.TakeAlarm(cmd.Context(), argv[0], t)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("%s is taken by %s at %s", v.ID, v.Taken.By, v.Taken.Seat) })
		},
	}
	cmd.Flags().StringVar(&t.Seat, "seat", "", "the `seat` that takes it")
	cmd.Flags().BoolVar(&t.Over, "over", false, "also where another seat has it")
	bindAs(cmd, &by, &role)
	return cmd
}

func (a *app) dutyGiveBack() *cobra.Command {
	var g api.GivingBack
	var by api.As
	var role string
	cmd := &cobra.Command{
		Use: "give-back <alarm>", Short: "Give an alarm back: it is before all again", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			g.By = asWhom(by.Name, role)
			c, err := a.client()
			if err != nil {
				return err
			}
			v, err := c.GiveBackAlarm(cmd.Context(), argv[0], g)
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("%s is before all again", v.ID) })
		},
	}
	cmd.Flags().StringVar(&g.Seat, "seat", "", "the `seat` that has it")
	cmd.Flags().StringVar(&g.Reason, "reason", "", "why")
	bindAs(cmd, &by, &role)
	return cmd
}

func (a *app) dutySignOff() *cobra.Command {
	var by api.As
	var role string
	cmd := &cobra.Command{
		Use: "sign-off <seat>", Short: "Clear a seat whose page is gone, as the duty lead", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if role == "" {
				role = string(grid.RoleSupervisor)
			}
			v, err := c.SignOff(cmd.Context(), argv[0], api.SeatSignOff{By: asWhom(by.Name, role)})
			if err != nil {
				return err
			}
			return a.show(v, func() { a.say("seat %s is free", v.ID) })
		},
	}
	bindAs(cmd, &by, &role)
	return cmd
}

// handoverFlags are what gridgate duty handover is asked.
type handoverFlags struct {
	fresh           api.NewHandover
	sign            api.HandoverSignature
	by              api.As
	role, lang, out string
	key             string
	makeOne, list   bool
}

func (a *app) dutyHandover() *cobra.Command {
	var h handoverFlags
	cmd := &cobra.Command{
		Use: "handover [id]", Short: "Show the newest handover sheet or one, make one now, sign one", Args: args(cobra.MaximumNArgs(1)),
		Example: `  gridgate duty handover
  gridgate duty handover --make --note "lift of block 3 is out of order" --as chen
  gridgate duty handover 01JG… --sign outgoing --as chen
  gridgate duty handover 01JG… --out handover.pdf`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			switch {
			case h.list:
				return a.listHandovers(cmd, c)
			case h.makeOne:
				return a.makeHandover(cmd, c, &h)
			case len(argv) == 1 && argv[0] != "":
				return a.oneHandover(cmd, c, argv[0], &h)
			}
			page, err := c.Handovers(cmd.Context(), api.Query{Limit: 1})
			if err != nil {
				return err
			}
			if len(page.Items) == 0 {
				return fmt.Errorf("there is no handover sheet yet: --make makes one")
			}
			return a.oneHandover(cmd, c, page.Items[0].ID, &h)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&h.list, "list", false, "list the sheets")
	f.BoolVar(&h.makeOne, "make", false, "make one now")
	f.StringVar(&h.sign.As, "sign", "", "sign it as `outgoing` or incoming")
	f.StringVar(&h.fresh.Note, "note", "", "a note, for --make and --sign")
	f.StringVar(&h.out, "out", "", "write it to print into this `file`")
	f.StringVar(&h.lang, "lang", "zh", "language of the file: zh or en")
	f.StringVar(&h.key, "key", "", "idempotency `key` of --make")
	bindAs(cmd, &h.by, &h.role)
	return cmd
}

func (a *app) makeHandover(cmd *cobra.Command, c *api.Client, f *handoverFlags) error {
	f.fresh.By = asWhom(f.by.Name, f.role)
	h, err := c.MakeHandover(cmd.Context(), f.fresh, f.key)
	if err != nil {
		return err
	}
	return a.show(h, func() { a.sayHandover(&h) })
}

// oneHandover writes a sheet into a file, or signs it, or shows it.
func (a *app) oneHandover(cmd *cobra.Command, c *api.Client, id string, f *handoverFlags) error {
	if f.out != "" {
		b, err := c.HandoverPDF(cmd.Context(), id, f.lang)
		return a.written(f.out, b, err)
	}
	h, err := c.Handover(cmd.Context(), id)
	if f.sign.As != "" && err == nil {
		f.sign.By, f.sign.Note = asWhom(f.by.Name, f.role), f.fresh.Note
		h, err = c.SignHandover(cmd.Context(), id, f.sign)
	}
	if err != nil {
		return err
	}
	return a.show(h, func() { a.sayHandover(&h) })
}

func (a *app) listHandovers(cmd *cobra.Command, c *api.Client) error {
	page, err := c.Handovers(cmd.Context(), api.Query{Limit: 50})
	if err != nil {
		return err
	}
	return a.show(page, func() {
		var rows [][]string
		for i := range page.Items {
			h := &page.Items[i]
			rows = append(rows, []string{clock(h.Made), h.Why, dash(strings.Trim(h.Shift+" "+h.Next, " ")), signer(h.Outgoing), signer(h.Incoming), h.ID})
		}
		a.table("no handover sheet yet", []string{"MADE", "WHY", "SHIFTS", "OUTGOING", "INCOMING", "ID"}, rows)
	})
}

func signer(s *grid.HandoverSign) string {
	if s == nil {
		return "-"
	}
	return s.By.Name
}

func (a *app) sayHandover(h *grid.Handover) {
	a.say("%s  made %s (%s)  posture %s", h.ID, clock(h.Made), h.Why, h.Posture)
	for _, s := range h.Sections {
		a.say("%s: %d", s.Title.EN, s.Count)
		for _, l := range s.Lines {
			p := ""
			if l.Priority > 0 {
				p = l.Priority.String() + " "
			}
			a.say("  %s%s  %s  %s %s (%s)", p, l.What, dash(l.Place), l.State, l.Who, l.Mode)
		}
	}
	a.say("outgoing %s, incoming %s", signer(h.Outgoing), signer(h.Incoming))
}

// written writes a document into a file.
func (a *app) written(out string, b []byte, err error) error {
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, b, 0o600); err != nil {
		return err
	}
	a.say("%s: %d bytes", out, len(b))
	return nil
}

func (a *app) dutySheet() *cobra.Command {
	var n api.SheetNumbers
	var by api.As
	var role, out string
	cmd := &cobra.Command{
		Use: "sheet", Short: "Write the sheet for the day the screens are dark", Args: args(cobra.NoArgs),
		Long: "Write the sheet for the day the screens are dark: desks of units, open tickets, points by street and building.\n" +
			"Contacts stand on it by their roles; with --numbers <reason> their numbers are read, each as by a reveal, which is audited.",
		Example: `  gridgate duty sheet --street 310105006 --out sheet.pdf
  gridgate duty sheet --street 310105006 --building "1 号楼" --numbers "power cut, going by foot" --as chen --out sheet.pdf`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usage(cmd, fmt.Errorf("--out is missing: want a file"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var b []byte
			if n.Reason != "" {
				n.By = asWhom(by.Name, role)
				b, err = c.DutySheetWithNumbers(cmd.Context(), n)
			} else {
				b, err = c.DutySheet(cmd.Context(), n.Street, n.Building, n.Lang)
			}
			return a.written(out, b, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Street, "street", "", "only of this `street` code")
	f.StringVar(&n.Building, "building", "", "only of this `building`")
	f.StringVar(&n.Lang, "lang", "zh", "language: zh or en")
	f.StringVar(&n.Reason, "numbers", "", "with people's numbers, for this `reason`")
	f.StringVar(&out, "out", "", "the `file`")
	bindAs(cmd, &by, &role)
	return cmd
}
