package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

func (a *app) framesCommand() *cobra.Command {
	var device, lane, since string
	var limit int
	var quarantined bool
	cmd := &cobra.Command{
		Use: "frames", Short: "Show raw frames, newest first, or those in quarantine", Args: args(cobra.NoArgs),
		Example: "  gridgate frames --device eui:24e124136d490175 --since 2h\n  gridgate frames --quarantine",
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := ago(since)
			if err == nil && since != "" && device == "" && !quarantined {
				err = errors.New("--since without --device: want both, or neither")
			}
			if err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if quarantined {
				return a.quarantined(cmd, c, api.Query{Device: device, Since: from, State: "waiting", Limit: limit})
			}
			page, err := c.Frames(cmd.Context(), grid.Identity(device), lane, from, limit)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, f := range page.Items {
					rows = append(rows, []string{f.Pos, clock(f.Received), dash(string(f.Device)), f.Transport + ":" + f.Source, f.Address, strings.Join(f.Flags, ","), f.Raw})
				}
				a.table("no frames", []string{"POSITION", "RECEIVED", "DEVICE", "FROM", "ADDRESS", "FLAGS", "RAW"}, rows)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "of this `identity`")
	f.StringVar(&lane, "lane", "bulk", "without --device: safety or bulk")
	f.StringVar(&since, "since", "", "received since: `2h`, or a time")
	f.IntVar(&limit, "limit", 50, "at most `n`")
	f.BoolVar(&quarantined, "quarantine", false, "those in quarantine, with their reasons")
	return cmd
}

func (a *app) quarantined(cmd *cobra.Command, c *api.Client, q api.Query) error {
	page, err := api.List[api.Quarantined](cmd.Context(), c, "quarantine", q)
	if err != nil {
		return err
	}
	return a.show(page, func() {
		var rows [][]string
		for _, f := range page.Items {
			rows = append(rows, []string{f.ID, clock(f.At), string(f.Reason), dash(string(f.Raw.Device)), dash(f.Guess), f.Detail})
		}
		a.table("nothing in quarantine", []string{"ID", "SINCE", "REASON", "DEVICE", "GUESS", "DETAIL"}, rows)
		a.more(page.Next)
	})
}

func (a *app) replayCommand() *cobra.Command {
	var device, reason, profile string
	var all bool
	cmd := &cobra.Command{
		Use: "replay [<id>…]", Short: "Process frames of the quarantine again",
		Long: "Process frames of the quarantine again, after what was wrong is mended: by their ids\n" +
			"(gridgate frames --quarantine), all of a device, of a profile, of a reason, or all.\n" +
			"They fill history and raise nothing for the past, but for smoke of the last day.",
		RunE: func(cmd *cobra.Command, ids []string) error {
			if (len(ids) > 0) == (device != "" || reason != "" || profile != "" || all) {
				return usage(cmd, errors.New("want ids, or --device, --profile, --reason or --all"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var done api.Replayed
			if len(ids) > 0 {
				done, err = a.replayIDs(cmd, c, ids)
			} else {
				done, err = a.replayAll(cmd, c, api.Query{Device: device, Profile: profile, Type: reason, State: "waiting", Limit: 1000})
			}
			if err != nil {
				return err
			}
			return a.show(done, func() {
				a.say("%d frames replayed", done.Replayed)
				if done.Still > 0 {
					a.say("%d wait still: gridgate frames --quarantine", done.Still)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "all of this `identity`")
	f.StringVar(&profile, "profile", "", "all of the devices of this `profile`, after it was mended")
	f.StringVar(&reason, "reason", "", "all of this `reason`, for example undecodable")
	f.BoolVar(&all, "all", false, "all")
	return cmd
}

// replayAll replays everything in quarantine that q lets through, oldest first.
func (a *app) replayAll(cmd *cobra.Command, c *api.Client, q api.Query) (api.Replayed, error) {
	ids, err := waiting(cmd, c, q)
	if err != nil {
		return api.Replayed{}, err
	}
	slices.Reverse(ids)
	return a.replayIDs(cmd, c, ids)
}

// replayIDs replays frames a thousand at a time, and says how far it is.
func (a *app) replayIDs(cmd *cobra.Command, c *api.Client, ids []string) (done api.Replayed, err error) {
	for len(ids) > 0 {
		n := min(len(ids), 1000)
		r, err := c.Replay(cmd.Context(), ids[:n])
		if err != nil {
			return done, fmt.Errorf("after %d frames: %w", done.Replayed, err)
		}
		done.Replayed += r.Replayed
		done.Still += r.Still
		if ids = ids[n:]; len(ids) > 0 {
			fmt.Fprintf(a.errOut, "%d replayed, %d wait still, %d to go\n", done.Replayed, done.Still, len(ids))
		}
	}
	return done, nil
}

// waiting lists the ids of everything in quarantine that q lets through.
func waiting(cmd *cobra.Command, c *api.Client, q api.Query) (ids []string, err error) {
	for {
		page, err := api.List[api.Quarantined](cmd.Context(), c, "quarantine", q)
		if err != nil {
			return nil, err
		}
		for _, f := range page.Items {
			ids = append(ids, f.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids, nil
		}
	}
}
