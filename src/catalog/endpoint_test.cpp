#include "catalog/endpoint.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::catalog {
namespace {

ServedEntity registered(std::string version = "1") {
  ServedEntity entity;
  entity.entity_name = "main.llm.my_model";
  entity.entity_version = std::move(version);
  return entity;
}

// The message of the Error that `act` throws; empty when it throws none.
template <class F>
std::string refusal(F act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kInvalidParameterValue);
    return error.message;
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(EndpointName, BoundariesOfLengthAndAlphabet) {
  for (std::string good : {"a", "0", "A-b_9", "databricks"}) {
    EXPECT_EQ(refusal([&] { validate_endpoint_name(good); }), "") << good;
  }
  EXPECT_EQ(refusal([] { validate_endpoint_name(std::string(63, 'x')); }), "");
  for (std::string bad : {"", "-a", "_a", "a.b", "a b", "a/b", "é", "pt", "chat", "models",
                          "get-model-optimization-info", "databricks-mine"}) {
    EXPECT_NE(refusal([&] { validate_endpoint_name(bad); }), "") << bad;
  }
  EXPECT_TRUE(contains(refusal([] { validate_endpoint_name(std::string(64, 'x')); }), "63"));
  EXPECT_EQ(refusal([] { validate_endpoint_name("databricks-x", true); }), "");
}

TEST(Config, FillsNamesTrafficAndWorkload) {
  EndpointConfig config;
  config.entities = {registered("3")};
  config.entities[0].max_provisioned_throughput = 980;
  complete_and_validate(config);
  EXPECT_EQ(config.entities[0].name, "my_model-3");
  EXPECT_EQ(config.entities[0].workload_size, "Small");
  EXPECT_EQ(config.entities[0].workload_type, "CPU");
  EXPECT_EQ(config.entities[0].min_provisioned_throughput, 0);
  ASSERT_EQ(config.traffic.routes.size(), 1u);
  EXPECT_EQ(config.traffic.routes[0], (Route{"my_model-3", 100}));
}

TEST(Config, ExternalNamesLoseForeignCharacters) {
  ServedEntity entity;
  entity.kind = EntityKind::kExternalModel;
  entity.external_model = ExternalModel{"openai", "org/gpt-4.1:x", Task::kChat, {}, {}};
  EXPECT_EQ(default_entity_name(entity), "org-gpt-4-1-x");
}

TEST(Config, RefusesWhatTheSummaryForbids) {
  struct Case {
    const char* name;
    void (*spoil)(EndpointConfig&);
    const char* named;
  } cases[] = {
      {"no entities", [](EndpointConfig& c) { c.entities.clear(); }, "served_entities"},
      {"sixteen entities",
       [](EndpointConfig& c) {
         for (int i = 2; i < 17; ++i) c.entities.push_back(registered(std::to_string(i)));
       },
       "16"},
      {"several without traffic", [](EndpointConfig& c) { c.entities.push_back(registered("2")); },
       "traffic_config"},
      {"duplicate names", [](EndpointConfig& c) { c.entities.push_back(registered("1")); },
       "served_entities[1].name"},
      {"sum",
       [](EndpointConfig& c) {
         c.traffic.routes = {{"my_model-1", 99}};
       },
       "99"},
      {"target",
       [](EndpointConfig& c) {
         c.traffic.routes = {{"nobody", 100}};
       },
       "nobody"},
      {"two routes",
       [](EndpointConfig& c) {
         c.traffic.routes = {{"my_model-1", 50}, {"my_model-1", 50}};
       },
       "two routes"},
      {"percentage",
       [](EndpointConfig& c) {
         c.traffic.routes = {{"my_model-1", 101}};
       },
       "101"},
      {"size and concurrency",
       [](EndpointConfig& c) {
         c.entities[0].workload_size = "Small";
         c.entities[0].max_provisioned_concurrency = 4;
       },
       "workload_size"},
      {"concurrency step", [](EndpointConfig& c) { c.entities[0].max_provisioned_concurrency = 6; },
       "multiples of 4"},
      {"min above max",
       [](EndpointConfig& c) {
         c.entities[0].min_provisioned_throughput = 1960;
         c.entities[0].max_provisioned_throughput = 980;
       },
       "max_provisioned_throughput"},
      {"max missing", [](EndpointConfig& c) { c.entities[0].min_provisioned_throughput = 980; },
       "max_provisioned_throughput"},
      {"units and throughput",
       [](EndpointConfig& c) {
         c.entities[0].provisioned_model_units = 1;
         c.entities[0].max_provisioned_throughput = 980;
       },
       "provisioned_model_units"},
      {"type", [](EndpointConfig& c) { c.entities[0].workload_type = "TPU"; }, "TPU"},
      {"version", [](EndpointConfig& c) { c.entities[0].entity_version = "latest"; }, "latest"},
      {"entity name", [](EndpointConfig& c) { c.entities[0].name = "a.b"; }, "a.b"},
      {"mixed kinds",
       [](EndpointConfig& c) {
         ServedEntity external;
         external.kind = EntityKind::kExternalModel;
         external.external_model =
             ExternalModel{"openai", "x", Task::kChat, {}, {{"openai_api_key", {.value = "k"}}}};
         c.entities.push_back(external);
       },
       "external"},
  };
  for (const Case& c : cases) {
    EndpointConfig config;
    config.entities = {registered()};
    c.spoil(config);
    const std::string message = refusal([&] { complete_and_validate(config); });
    EXPECT_TRUE(contains(message, c.named)) << c.name << ": " << message;
  }
}

TEST(Merge, AbsentFieldsKeepTheirValue) {
  Endpoint endpoint;
  endpoint.name = "e";
  EndpointConfig first;
  first.entities = {registered("1"), registered("2")};
  first.traffic.routes = {{"my_model-1", 60}, {"my_model-2", 40}};
  complete_and_validate(first);
  endpoint.active = first;

  EndpointConfig merged =
      merge(endpoint, {std::nullopt, TrafficConfig{{{"my_model-1", 0}, {"my_model-2", 100}}}});
  EXPECT_EQ(merged.entities.size(), 2u);
  EXPECT_EQ(merged.traffic.percentage_of("my_model-2"), 100);

  // The same names in another order keep the routes; a single new entity gets everything.
  merged = merge(endpoint, {std::vector{registered("2"), registered("1")}, std::nullopt});
  EXPECT_EQ(merged.traffic.percentage_of("my_model-1"), 60);
  merged = merge(endpoint, {std::vector{registered("3")}, std::nullopt});
  EXPECT_EQ(merged.traffic.percentage_of("my_model-3"), 100);
  EXPECT_NE(refusal([&] {
              merge(endpoint, {std::vector{registered("3"), registered("4")}, std::nullopt});
            }),
            "");
  EXPECT_NE(refusal([] { merge(Endpoint{}, {}); }), "");
}

TEST(Tags, Boundaries) {
  EXPECT_EQ(refusal([] { validate_tags({{std::string(127, 'k'), std::string(255, 'v')}}); }), "");
  EXPECT_NE(refusal([] { validate_tags({{std::string(128, 'k'), ""}}); }), "");
  EXPECT_NE(refusal([] { validate_tags({{"k", std::string(256, 'v')}}); }), "");
  EXPECT_NE(refusal([] { validate_tags({{"", ""}}); }), "");
  EXPECT_NE(refusal([] { validate_tags({{"k", "1"}, {"k", "2"}}); }), "");
  std::vector<Tag> many;
  for (int i = 0; i < 21; ++i) many.push_back({std::to_string(i), ""});
  EXPECT_NE(refusal([&] { validate_tags(many); }), "");
}

TEST(Limits, ProfilesDiffer) {
  EXPECT_EQ(limits_of(ApiProfile::kDatabricks).max_n, 5);
  EXPECT_TRUE(limits_of(ApiProfile::kDatabricks).reject_unknown_fields);
  EXPECT_EQ(limits_of(ApiProfile::kOpen).max_n, 128);
  EXPECT_FALSE(limits_of(ApiProfile::kOpen).reject_unknown_fields);
}

}  // namespace
}  // namespace tessera::catalog
