#include "gateway/traffic.h"

#include <gtest/gtest.h>

#include <map>

namespace tessera::gateway {
namespace {

catalog::EndpointConfig config(std::vector<std::pair<std::string, int>> shares,
                               const std::string& dead = {}) {
  catalog::EndpointConfig config;
  for (const auto& [name, share] : shares) {
    catalog::ServedEntity entity;
    entity.name = name;
    if (name != dead) entity.sockets = {"x"};
    config.entities.push_back(entity);
    config.traffic.routes.push_back({name, share});
  }
  return config;
}

std::string names(const std::vector<const catalog::ServedEntity*>& order) {
  std::string out;
  for (const auto* entity : order) out += entity->name;
  return out;
}

TEST(Traffic, FollowsThePercentages) {
  const catalog::EndpointConfig split = config({{"a", 70}, {"b", 30}, {"c", 0}});
  std::map<std::string, int> count;
  for (int i = 0; i < 10'000; ++i) {
    ++count[names(order_entities(split, draw("request-" + std::to_string(i)), false))];
  }
  EXPECT_NEAR(count["a"], 7000, 200);
  EXPECT_NEAR(count["b"], 3000, 200);
  EXPECT_EQ(count["c"], 0);
}

TEST(Traffic, TheSameIdGoesTheSameWay) {
  EXPECT_EQ(draw("6f0c"), draw("6f0c"));
  EXPECT_NE(draw("6f0c"), draw("6f0d"));
}

TEST(Traffic, FallbackFollowsTheConfiguredOrder) {
  const catalog::EndpointConfig split = config({{"a", 0}, {"b", 100}, {"c", 0}});
  EXPECT_EQ(names(order_entities(split, 17, true)), "bac");
  EXPECT_EQ(names(order_entities(split, 17, false)), "b");
}

TEST(Traffic, TheShareOfADeadEntityGoesToTheOthersOnlyWithFallback) {
  const catalog::EndpointConfig split = config({{"a", 50}, {"b", 50}}, "a");
  EXPECT_EQ(names(order_entities(split, 10, false)), "a");
  EXPECT_EQ(names(order_entities(split, 10, true)), "b");
  const catalog::EndpointConfig all_dead = config({{"a", 100}}, "a");
  EXPECT_EQ(names(order_entities(all_dead, 10, true)), "a");
  // Only entities without traffic live.
  EXPECT_EQ(names(order_entities(config({{"a", 100}, {"b", 0}}, "a"), 10, true)), "b");
}

TEST(Traffic, NoRoutesNoEntity) {
  EXPECT_TRUE(order_entities(config({{"a", 0}}), 5, false).empty());
}

}  // namespace
}  // namespace tessera::gateway
