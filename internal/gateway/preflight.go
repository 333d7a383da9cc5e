package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"gridgate/internal/backup"
	"gridgate/internal/disk"
)

// Finding is something that a person should know before a start or now, with what to do.
type Finding struct {
	Part  string `json:"part"` // clock, disk, ports, serial, accounts, backup
	Wrong bool   `json:"wrong"`
	What  string `json:"what"`
	Fix   string `json:"fix"`
}

func (f Finding) String() string { return f.Part + ": " + f.What + ": " + f.Fix }

// findings collects them.
type findings []Finding

func (f *findings) wrong(part, fix, what string, args ...any) {
	*f = append(*f, Finding{Part: part, Wrong: true, What: fmt.Sprintf(what, args...), Fix: fix})
}

func (f *findings) warn(part, fix, what string, args ...any) {
	*f = append(*f, Finding{Part: part, What: fmt.Sprintf(what, args...), Fix: fix})
}

// Preflight looks at what the gateway stands on: clock, disk, ports, serial lines, brokers,
// accounts, backups. running says that a gateway runs by this configuration: its ports are its own then.
// It writes one small file into the data folder, and removes it.
func (c *Config) Preflight(ctx context.Context, running bool) []Finding {
	var f findings
	c.checkClock(&f, time.Now())
	c.checkDisk(&f)
	if !running {
		c.checkPorts(ctx, &f)
		c.checkSerial(&f)
	}
	c.checkBrokers(ctx, &f, running)
	c.checkPasswords(&f)
	c.checkBackups(&f, time.Now())
	return f
}

func (c *Config) checkClock(f *findings, now time.Time) {
	if now.Year() < 2026 { // no gateway of this version was there yet
		f.wrong("clock", "set it (timedatectl set-time), and have it kept: timedatectl set-ntp true", "the machine says that it is %s", now.UTC().Format(time.DateOnly))
		return
	}
	if synced, off, known := clockState(); known && !synced {
		f.warn("clock", "timedatectl set-ntp true, or chronyd with a server of the house", "the machine's clock is not synchronised, and may be off by %s or more: deadlines and evidence go by it", off.Round(time.Millisecond))
	} else if known && off > time.Second {
		f.warn("clock", "look at the time service: chronyc tracking, timedatectl timesync-status", "the machine's clock may be off by %s", off.Round(time.Millisecond))
	}
}

// slowSync is what a sync may take: each acknowledgement waits for one.
const slowSync = 100 * time.Millisecond

// checkDisk writes a file as the journal does, and looks how much room there is.
func (c *Config) checkDisk(f *findings) {
	dir := c.DataDir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = filepath.Dir(filepath.Clean(dir)) // the start makes it
	}
	took, err := trySync(filepath.Join(dir, ".gridgate-check"))
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.warn("disk", "run the check as the user of the gateway: sudo -u gridgate gridgate check; if it is that user: chown -R gridgate "+dir, "%s may not be written by this user", dir)
	case err != nil:
		f.wrong("disk", "look at the disk and its mount (dmesg, mount, df): no frame is acknowledged until it takes writes", "%s cannot be written: %v", dir, err)
	case took > slowSync:
		f.warn("disk", "put data_dir on a local SSD; a card, a network disk or a busy one makes every device wait", "a sync to %s takes %s", dir, took.Round(time.Millisecond))
	}
	space, err := disk.Machine{}.Space(dir)
	if err != nil {
		f.wrong("disk", "look at the mount", "%s: %v", dir, err)
		return
	}
	bulk, influx := int64(c.Journal.MinFreeBulk), int64(c.Journal.MinFreeInflux)
	if bulk == 0 { // as the journal does by the disk's size
		bulk = min(512<<20, space.Total/10)
		influx = bulk
	}
	fix := "free space, or move data_dir to a larger disk; journal.retain_days and retain_bytes say how much frames keep"
	switch {
	case space.Free < bulk:
		f.wrong("disk", fix, "%s has %s free: frames are refused below %s", dir, mib(space.Free), mib(bulk))
	case influx > bulk && space.Free < influx:
		f.warn("disk", fix, "%s has %s free: points for InfluxDB are not kept below %s", dir, mib(space.Free), mib(influx))
	}
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// trySync is how long a write and its sync take, the quickest of three.
func trySync(path string) (best time.Duration, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	for n := range 3 {
		began := time.Now()
		if _, err := file.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		if took := time.Since(began); n == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// checkPorts tries every address that the gateway listens on.
func (c *Config) checkPorts(ctx context.Context, f *findings) {
	try := func(key, network, addr string) {
		if addr == "" {
			return
		}
		err := listens(ctx, network, addr)
		if err == nil {
			return
		}
		fix := "stop what has it, or give " + key + " another port"
		if by := portHolder(network, addr); by != "" {
			fix = "it is held by " + by + "; " + fix
		} else if errors.Is(err, fs.ErrPermission) {
			fix = "ports below 1024 want a right: AmbientCapabilities=CAP_NET_BIND_SERVICE in a drop-in of the unit, or take a higher port"
		}
		f.wrong("ports", fix, "%s %s cannot be listened on: %v", key, addr, bareListen(err))
	}
	try("http.listen", "tcp", c.HTTP.Listen)
	try("http.tls.listen", "tcp", c.HTTP.TLS.Listen)
	if c.Broker.Enabled {
		try("broker.listen", "tcp", c.Broker.Listen)
		try("broker.listen_tls", "tcp", c.Broker.ListenTLS)
	}
	if c.Influx.Managed {
		try("influx.listen", "tcp", c.Influx.Listen)
	}
	try("coap.listen", "udp", c.CoAP.Listen)
	try("coap.dtls.listen", "udp", c.CoAP.DTLS.Listen)
}

func listens(ctx context.Context, network, addr string) error {
	var l net.ListenConfig
	if network == "udp" {
		p, err := l.ListenPacket(ctx, network, addr)
		if err != nil {
			return err
		}
		return p.Close()
	}
	ln, err := l.Listen(ctx, network, addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

// bareListen leaves out what the sentence says already.
func bareListen(err error) error {
	if op, is := errors.AsType[*net.OpError](err); is {
		return op.Err
	}
	return err
}

// checkSerial tries the ports of lines.
func (c *Config) checkSerial(f *findings) {
	for _, s := range c.Serial {
		port := s.Config.Path
		if port == "" || !filepath.IsAbs(port) {
			continue
		}
		file, err := os.OpenFile(port, os.O_RDWR|nonBlock, 0)
		switch {
		case err == nil:
			file.Close()
		case errors.Is(err, fs.ErrPermission):
			f.wrong("serial", "usermod -aG dialout gridgate, then start it anew (the check is to run as that user: sudo -u gridgate gridgate check)", "%s: %s may not be opened by this user", s.Name, port)
		case errors.Is(err, fs.ErrNotExist):
			f.wrong("serial", "look at the plug; take a name under /dev/serial/by-id, which stays when ports are numbered anew", "%s: %s is not there", s.Name, port)
		default:
			f.wrong("serial", "look at the plug, and whether another program has it (fuser "+port+")", "%s: %v", s.Name, err)
		}
	}
}

// checkPasswords looks whether the first one-time password still waits to be changed.
func (c *Config) checkPasswords(f *findings) {
	if at, err := os.Stat(c.FirstPasswordPath()); err == nil {
		f.warn("accounts", "sign on as admin with what stands in the file, and change it: the file goes then", "the one-time password of %s is still in %s", at.ModTime().UTC().Format(time.DateOnly), c.FirstPasswordPath())
	}
}

// checkBackups looks for the newest backup of the schedule.
func (c *Config) checkBackups(f *findings, now time.Time) {
	if _, err := os.Stat(c.StatePath()); err != nil {
		return // nothing to keep yet
	}
	if c.Backup.Dir == "" {
		f.warn("backup", "set backup.dir to a folder on another disk, or run gridgate backup by a timer of your own", "no backups are made by a schedule")
		return
	}
	newest, found := time.Time{}, 0
	entries, err := os.ReadDir(c.Backup.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.wrong("backup", "let the gateway's user read and write it", "%s: %v", c.Backup.Dir, err)
		return
	}
	for _, e := range entries {
		m, err := backup.Read(filepath.Join(c.Backup.Dir, e.Name()))
		if err == nil {
			found++
			if m.Taken.After(newest) {
				newest = m.Taken
			}
		}
	}
	fix := "look at the log of the gateway for why (part backup), and at the room in that folder"
	switch age := now.Sub(newest); {
	case found == 0:
		f.warn("backup", fix+"; the first is made after backup.every", "there is no backup in %s yet", c.Backup.Dir)
	case age > 2*c.Backup.Every+time.Hour:
		f.wrong("backup", fix, "the newest backup in %s is %s old, and one is wanted every %s", c.Backup.Dir, age.Round(time.Minute), c.Backup.Every)
	}
}
