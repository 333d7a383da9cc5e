package gateway

import "path/filepath"

// Where everything is in the data folder. A backup has the same names.

// JournalDir holds the frame log.
func (c *Config) JournalDir() string { return filepath.Join(c.DataDir, "journal") }

// StatePath is the state store.
func (c *Config) StatePath() string { return filepath.Join(c.DataDir, "state.db") }

// TokenPath is where the admin token is kept.
func (c *Config) TokenPath() string {
	if c.HTTP.TokenFile != "" {
		return c.HTTP.TokenFile
	}
	return filepath.Join(c.DataDir, "token")
}

// LwM2MPath is where registrations outlive a restart.
func (c *Config) LwM2MPath() string { return filepath.Join(c.DataDir, "lwm2m.json") }

// BrokerTokenPath is where the password of the embedded broker's own user is kept.
func (c *Config) BrokerTokenPath() string { return filepath.Join(c.DataDir, "broker-token") }

// EvidenceDir holds photos and documents behind tickets.
func (c *Config) EvidenceDir() string { return filepath.Join(c.DataDir, "evidence") }
