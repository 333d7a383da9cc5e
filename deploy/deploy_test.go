package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"gridgate/internal/gateway"
)

type object = map[string]any

// documents parses a file; a key twice is an error.
func documents(t *testing.T, path string) (out []object) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for d := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, o)
	}
}

// at walks keys and list indexes down from o.
func at(t *testing.T, o any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := o.(object)
			if !ok || m[s] == nil {
				t.Fatalf("%v: %q is not there", path, s)
			}
			o = m[s]
		case int:
			l, ok := o.([]any)
			if !ok || len(l) <= s {
				t.Fatalf("%v: no item %d", path, s)
			}
			o = l[s]
		}
	}
	return o
}

func TestEachFileParsesAndEachImageHasAVersion(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z./-]+:v?\d+\.\d+(\.\d+)?$|^gridgate:\$\{GRIDGATE_VERSION:\?`)
	images := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		documents(t, path)
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^\s*image: (\S+.*)$`).FindAllStringSubmatch(string(b), -1) {
			images++
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: image %s has no version", path, m[1])
			}
		}
		return err
	})
	if err != nil || images < 6 {
		t.Errorf("%d images, %v: want more", images, err)
	}
}

func TestTheGatewayTakesEachOfItsConfigurations(t *testing.T) {
	dir := t.TempDir()
	inMap := filepath.Join(dir, "kubernetes.yaml")
	text := at(t, ofKind(t, "ConfigMap"), "data", "gridgate.yaml").(string)
	if err := os.WriteFile(inMap, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"debian/gridgate.yaml", "container/gridgate.yaml", "compose/gridgate-influx1.yaml", "compose/gridgate-influx2.yaml", inMap} {
		c, err := gateway.LoadConfig(file, nil)
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(c.DataDir, "/var/lib/gridgate") || c.Influx.Managed {
			t.Errorf("%s: data in %s, managed InfluxDB %v: want /var/lib/gridgate, and none of its own", file, c.DataDir, c.Influx.Managed)
		}
	}
}

func TestComposeNamesFilesThatAreThereAndHoldsNoSecret(t *testing.T) {
	c := documents(t, "compose/compose.yaml")[0]
	secrets := at(t, c, "secrets").(object)
	for name, s := range at(t, c, "services").(object) {
		service := s.(object)
		for _, v := range list(service["volumes"]) {
			from, _, _ := strings.Cut(strings.ReplaceAll(v, "${INFLUX:-1}", "1"), ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(filepath.Join("compose", from)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else if at(t, c, "volumes").(object)[from] == nil {
				t.Errorf("%s: volume %s is not declared", name, from)
			}
		}
		for _, s := range list(service["secrets"]) {
			if secrets[s] == nil {
				t.Errorf("%s: secret %s is not declared", name, s)
			}
		}
		environment, _ := service["environment"].(object)
		for key := range environment {
			if regexp.MustCompile(`PASSWORD|TOKEN|SECRET`).MatchString(key) && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s: %s is a secret in the environment: want a file", name, key)
			}
		}
		for _, p := range list(service["ports"]) {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to others: want loopback", name, p)
			}
		}
	}
}

func list(v any) (out []string) {
	l, _ := v.([]any)
	for _, s := range l {
		out = append(out, s.(string))
	}
	return out
}

func ofKind(t *testing.T, kind string) object {
	t.Helper()
	for _, d := range documents(t, "kubernetes/gridgate.yaml") {
		if d["kind"] == kind {
			return d
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

// TestThePodIsRestricted holds it to what the Pod Security Standard "restricted" wants, and
// to one pod with a disk of its own.
func TestThePodIsRestricted(t *testing.T) {
	set := ofKind(t, "StatefulSet")
	pod := at(t, set, "spec", "template", "spec")
	box := at(t, pod, "containers", 0)
	for _, want := range []struct {
		in    any
		path  []any
		value string
	}{
		{pod, []any{"securityContext", "runAsNonRoot"}, "true"},
		{pod, []any{"securityContext", "seccompProfile", "type"}, "RuntimeDefault"},
		{pod, []any{"automountServiceAccountToken"}, "false"},
		{box, []any{"securityContext", "allowPrivilegeEscalation"}, "false"},
		{box, []any{"securityContext", "readOnlyRootFilesystem"}, "true"},
		{box, []any{"securityContext", "capabilities", "drop", 0}, "ALL"},
		{set, []any{"spec", "replicas"}, "1"},
		{set, []any{"spec", "volumeClaimTemplates", 0, "spec", "accessModes", 0}, "ReadWriteOncePod"},
	} {
		if got := strings.TrimSpace(toText(at(t, want.in, want.path...))); got != want.value {
			t.Errorf("%v is %s: want %s", want.path, got, want.value)
		}
	}
	for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		at(t, box, probe, "httpGet", "path")
	}
	for i := range at(t, pod, "volumes").([]any) {
		if at(t, pod, "volumes", i).(object)["hostPath"] != nil {
			t.Errorf("volume %d is a folder of the host", i)
		}
	}
	if policies := at(t, ofKind(t, "NetworkPolicy"), "spec", "policyTypes").([]any); len(policies) != 2 {
		t.Errorf("policy types are %v: want Ingress and Egress", policies)
	}
}

func toText(v any) string {
	b, err := yaml.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
