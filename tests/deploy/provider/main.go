// A provider for Terraform that has hashicorp/aws's schema and nothing else, for a machine that cannot install hashicorp/aws:
// with it `terraform validate` checks the module's arguments, `terraform test` tries it with mocked resources, and
// `terraform plan` says what it would make. It can make nothing.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"log"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed aws.json
var written []byte

type attribute struct {
	Type                                     json.RawMessage
	Computed, Optional, Required, Deprecated bool
}

type nested struct {
	NestingMode string `json:"nesting_mode"`
	MinItems    int64  `json:"min_items"`
	Block       block
}

type block struct {
	Attributes map[string]attribute
	BlockTypes map[string]nested `json:"block_types"`
}

type schema struct{ Block block }

type listed struct {
	Resources   map[string]schema `json:"resource_schemas"`
	DataSources map[string]schema `json:"data_source_schemas"`
}

var modes = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
}

func (b block) schema() *tfprotov5.SchemaBlock {
	whole := &tfprotov5.SchemaBlock{}
	for name, a := range b.Attributes {
		kind, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck // there is no other way
		if err != nil {
			log.Fatalf("aws.json: %s: %v", name, err)
		}
		whole.Attributes = append(whole.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind, Computed: a.Computed, Optional: a.Optional, Required: a.Required, Deprecated: a.Deprecated,
		})
	}
	for name, n := range b.BlockTypes {
		whole.BlockTypes = append(whole.BlockTypes, &tfprotov5.SchemaNestedBlock{
			TypeName: name, Nesting: modes[n.NestingMode], MinItems: n.MinItems, Block: n.Block.schema(),
		})
	}
	return whole
}

func all(schemas map[string]schema) map[string]*tfprotov5.Schema {
	whole := map[string]*tfprotov5.Schema{}
	for name, s := range schemas {
		whole[name] = &tfprotov5.Schema{Block: s.Block.schema()}
	}
	return whole
}

// Whatever else Terraform might ask of a provider is nil, and a panic: nothing here can make or read anything.
type provider struct {
	tfprotov5.ProviderServer
	resources, data map[string]*tfprotov5.Schema
}

func (provider) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	return &tfprotov5.GetMetadataResponse{}, nil
}

func (p provider) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	region := &tfprotov5.SchemaAttribute{Name: "region", Type: tftypes.String, Optional: true}
	return &tfprotov5.GetProviderSchemaResponse{
		Provider:          &tfprotov5.Schema{Block: &tfprotov5.SchemaBlock{Attributes: []*tfprotov5.SchemaAttribute{region}}},
		ResourceSchemas:   p.resources,
		DataSourceSchemas: p.data,
	}, nil
}

func (provider) GetResourceIdentitySchemas(context.Context, *tfprotov5.GetResourceIdentitySchemasRequest) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (provider) PrepareProviderConfig(_ context.Context, request *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: request.Config}, nil
}

func (provider) ValidateResourceTypeConfig(context.Context, *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (provider) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (provider) ConfigureProvider(context.Context, *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	return &tfprotov5.ConfigureProviderResponse{}, nil
}

// What AWS would add, nobody knows before; but for ARNs, which are made up, so that what a policy is about can be read in a plan.
func (p provider) PlanResourceChange(_ context.Context, request *tfprotov5.PlanResourceChangeRequest) (*tfprotov5.PlanResourceChangeResponse, error) {
	planned, err := fill(p.resources[request.TypeName], request.ProposedNewState, func(attribute string, kind tftypes.Type, name string) tftypes.Value {
		if attribute == "arn" && name != "" {
			return tftypes.NewValue(kind, "arn:"+request.TypeName+":"+name)
		}
		return tftypes.NewValue(kind, tftypes.UnknownValue)
	})
	return &tfprotov5.PlanResourceChangeResponse{PlannedState: planned}, err
}

// An account of the documentation's.
func (p provider) ReadDataSource(_ context.Context, request *tfprotov5.ReadDataSourceRequest) (*tfprotov5.ReadDataSourceResponse, error) {
	known := map[string]string{"account_id": "123456789012", "partition": "aws", "region": "eu-west-1"}
	known["id"] = known[map[string]string{"aws_caller_identity": "account_id", "aws_partition": "partition", "aws_region": "region"}[request.TypeName]]
	state, err := fill(p.data[request.TypeName], request.Config, func(attribute string, kind tftypes.Type, _ string) tftypes.Value {
		if value, is := known[attribute]; is {
			return tftypes.NewValue(kind, value)
		}
		return tftypes.NewValue(kind, nil)
	})
	return &tfprotov5.ReadDataSourceResponse{State: state}, err
}

// Gives every attribute that is computed, and that nobody has set, a value.
func fill(s *tfprotov5.Schema, given *tfprotov5.DynamicValue, value func(attribute string, kind tftypes.Type, name string) tftypes.Value) (*tfprotov5.DynamicValue, error) {
	whole, err := given.Unmarshal(s.ValueType())
	if err != nil || whole.IsNull() {
		return given, err
	}
	values := map[string]tftypes.Value{}
	if err := whole.As(&values); err != nil {
		return nil, err
	}
	var name string
	for _, attribute := range []string{"name_prefix", "name", "function_name"} {
		if v, is := values[attribute]; is && v.IsKnown() && !v.IsNull() {
			if err := v.As(&name); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range s.Block.Attributes {
		if a.Computed && values[a.Name].IsNull() {
			values[a.Name] = value(a.Name, a.Type, name)
		}
	}
	filled, err := tfprotov5.NewDynamicValue(s.ValueType(), tftypes.NewValue(s.ValueType(), values))
	return &filled, err
}

func (provider) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func main() {
	var l listed
	if err := json.Unmarshal(written, &l); err != nil {
		log.Fatalf("aws.json: %v", err)
	}
	p := provider{resources: all(l.Resources), data: all(l.DataSources)}
	if err := tf5server.Serve("registry.terraform.io/hashicorp/aws", func() tfprotov5.ProviderServer { return p }); err != nil {
		log.Fatal(err)
	}
}
