package gateway

// LimitsConfig is how much one device may cost the others. Smoke has no limit.
type LimitsConfig struct {
	DeviceRate  float64 `yaml:"device_rate"`  // frames a second of one device that are processed for long; 0: no limit
	DeviceBurst int     `yaml:"device_burst"` // and at once
	Logins      int     `yaml:"logins"`       // to the embedded broker within a minute, of one account and client id; past it each waits
}

func defaultLimits() LimitsConfig {
	return LimitsConfig{DeviceRate: 100, DeviceBurst: 30_000, Logins: 10}
}

func (c *LimitsConfig) validate(v *problems) {
	v.want(c.DeviceRate >= 0 && c.DeviceRate <= 1e6, "limits.device_rate is %g: want 0 (no limit) to 1000000", c.DeviceRate)
	v.want(c.DeviceRate == 0 || c.DeviceBurst >= 1, "limits.device_burst is %d: want 1 or more", c.DeviceBurst)
	v.want(c.Logins >= 1, "limits.logins is %d: want 1 or more", c.Logins)
}
