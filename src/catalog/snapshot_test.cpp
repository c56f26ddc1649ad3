#include "catalog/snapshot.h"

#include <gtest/gtest.h>

#include <thread>

namespace tessera::catalog {
namespace {

std::shared_ptr<const Endpoint> endpoint(std::string name, std::string id) {
  auto made = std::make_shared<Endpoint>();
  made->name = std::move(name);
  made->id = std::move(id);
  return made;
}

TEST(Snapshot, FindsByNameIdAndTombstone) {
  Snapshot snapshot({endpoint("b", "02"), endpoint("a", "01")}, {}, shipped_tombstones());
  EXPECT_EQ(snapshot.endpoints()[0]->name, "a");
  EXPECT_EQ(snapshot.find_endpoint("b")->id, "02");
  EXPECT_EQ(snapshot.find_endpoint_by_id("01")->name, "a");
  EXPECT_EQ(snapshot.find_endpoint("c"), nullptr);
  EXPECT_EQ(snapshot.find_endpoint("B"), nullptr);
  const Tombstone* stone = snapshot.find_tombstone("databricks-llama-2-70b-chat");
  ASSERT_NE(stone, nullptr);
  EXPECT_EQ(stone->lifecycle.state, LifecycleState::kRedirect);
  EXPECT_NE(retired_message(*stone).find("databricks-meta-llama-3-3-70b-instruct"),
            std::string::npos);
  EXPECT_FALSE(snapshot.any_ready());
}

TEST(Snapshot, TokensExpireAndBelongToActivePrincipals) {
  auto ann = std::make_shared<Principal>();
  ann->name = "ann";
  auto gone = std::make_shared<Principal>();
  gone->active = false;
  Snapshot snapshot(
      {},
      {{{"aa", 1, "", 0, 1000}, ann}, {{"bb", 1, "", 0, -1}, ann}, {{"cc", 2, "", 0, -1}, gone}},
      {});
  EXPECT_EQ(snapshot.authenticate("aa", 999)->name, "ann");
  EXPECT_EQ(snapshot.authenticate("aa", 1000), nullptr);
  EXPECT_EQ(snapshot.authenticate("bb", 1'000'000)->name, "ann");
  EXPECT_EQ(snapshot.authenticate("cc", 0), nullptr);
  EXPECT_EQ(snapshot.authenticate("dd", 0), nullptr);
}

TEST(SnapshotHolder, ReadersAndWriterTogether) {
  SnapshotHolder holder;
  ASSERT_NE(holder.get(), nullptr);
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) {
      holder.publish(
          std::make_shared<const Snapshot>(Snapshot::Endpoints{endpoint("e", std::to_string(i))},
                                           std::vector<TokenEntry>{}, std::vector<Tombstone>{}));
    }
  });
  for (int i = 0; i < 1000; ++i) {
    auto snapshot = holder.get();
    const Endpoint* found = snapshot->find_endpoint("e");
    if (found) {
      EXPECT_FALSE(found->id.empty());
    }
  }
  writer.join();
  EXPECT_EQ(holder.get()->find_endpoint("e")->id, "999");
}

}  // namespace
}  // namespace tessera::catalog
