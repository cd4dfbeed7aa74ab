package balancer

import (
	"reflect"
	"testing"

	"github.com/dockerlb/dockerlb/topology"
)

// Each field of a cluster, an endpoint or a check counts when tables are
// compared: a new field that sameSettings forgets fails here.
func TestEqualityKnowsEveryField(t *testing.T) {
	base := func() *topology.Cluster {
		return &topology.Cluster{HealthChecks: []topology.HealthCheck{{}}, Outlier: &topology.Outlier{}, Endpoints: []*topology.Endpoint{{}}}
	}
	same := func(a, b *topology.Cluster) bool {
		return sameSettings(a, b) && sameEndpoints(a.Endpoints, b.Endpoints)
	}
	if !same(base(), base()) {
		t.Fatal("equal clusters differ")
	}
	check := func(name string, field func(c *topology.Cluster) reflect.Value) {
		t.Helper()
		c := base()
		f := field(c)
		if !disturb(f) {
			t.Fatalf("%s: the test cannot change a %s", name, f.Type())
		}
		if same(base(), c) {
			t.Errorf("%s does not count", name)
		}
	}
	each := func(name string, v func(c *topology.Cluster) reflect.Value) {
		typ := v(base()).Type()
		for i := range typ.NumField() {
			check(name+"."+typ.Field(i).Name, func(c *topology.Cluster) reflect.Value { return v(c).Field(i) })
		}
	}
	each("Cluster", func(c *topology.Cluster) reflect.Value { return reflect.ValueOf(c).Elem() })
	each("Outlier", func(c *topology.Cluster) reflect.Value { return reflect.ValueOf(c.Outlier).Elem() })
	each("HealthCheck", func(c *topology.Cluster) reflect.Value { return reflect.ValueOf(&c.HealthChecks[0]).Elem() })
	each("Endpoint", func(c *topology.Cluster) reflect.Value { return reflect.ValueOf(c.Endpoints[0]).Elem() })
}

// disturb makes the value another one.
func disturb(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), v.Len()+1, v.Len()+1))
	case reflect.Pointer:
		v.SetZero()
	case reflect.Struct:
		if m := v.Addr().MethodByName("UnmarshalText"); m.IsValid() {
			for _, text := range []string{"1.2.3.4:5", "2020-01-01T00:00:00Z"} {
				if out := m.Call([]reflect.Value{reflect.ValueOf([]byte(text))}); out[0].IsNil() {
					return true
				}
			}
			return false
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() && disturb(v.Field(i)) {
				return true
			}
		}
		return false
	default:
		return false
	}
	return true
}
