#include "catalog/permission.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::catalog {
namespace {

Principal user(std::string name, std::vector<std::string> groups = {"users"}) {
  Principal principal;
  principal.name = std::move(name);
  principal.groups = std::move(groups);
  return principal;
}

TEST(Permission, HighestOfDirectAndGroup) {
  const Acl acl = {{AclEntry::Grantee::kUser, "ann", PermissionLevel::kCanView},
                   {AclEntry::Grantee::kGroup, "team", PermissionLevel::kCanManage},
                   {AclEntry::Grantee::kServicePrincipal, "bot", PermissionLevel::kCanQuery}};
  EXPECT_EQ(effective_level(acl, user("ann")), PermissionLevel::kCanView);
  EXPECT_EQ(effective_level(acl, user("ann", {"users", "team"})), PermissionLevel::kCanManage);
  EXPECT_EQ(effective_level(acl, user("bob")), PermissionLevel::kNone);
  EXPECT_EQ(effective_level(acl, user("bot")), PermissionLevel::kNone);  // a user of that name
  Principal bot = user("bot");
  bot.kind = Principal::Kind::kServicePrincipal;
  EXPECT_EQ(effective_level(acl, bot), PermissionLevel::kCanQuery);
}

TEST(Permission, AdminsManageAndTheInactiveDoNothing) {
  EXPECT_EQ(effective_level({}, user("root", {"users", "admins"})), PermissionLevel::kCanManage);
  Principal gone = user("root", {"admins"});
  gone.active = false;
  EXPECT_EQ(effective_level({}, gone), PermissionLevel::kNone);
}

TEST(Permission, SetLevelKeepsOneEntryPerGrantee) {
  Acl acl;
  set_level(acl, {AclEntry::Grantee::kUser, "ann", PermissionLevel::kCanView});
  set_level(acl, {AclEntry::Grantee::kGroup, "ann", PermissionLevel::kCanView});
  set_level(acl, {AclEntry::Grantee::kUser, "ann", PermissionLevel::kCanQuery});
  ASSERT_EQ(acl.size(), 2u);
  EXPECT_EQ(acl[0].level, PermissionLevel::kCanQuery);
}

TEST(Permission, RequireNamesEndpointAndLevels) {
  EXPECT_NO_THROW(require_level(PermissionLevel::kCanManage, PermissionLevel::kCanQuery, "e"));
  try {
    require_level(PermissionLevel::kCanView, PermissionLevel::kCanManage, "e");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kPermissionDenied);
    EXPECT_NE(error.message.find("CAN_MANAGE"), std::string::npos);
    EXPECT_NE(error.message.find("CAN_VIEW"), std::string::npos);
    EXPECT_NE(error.message.find("'e'"), std::string::npos);
  }
}

TEST(Permission, WordsRoundTrip) {
  for (auto level :
       {PermissionLevel::kCanView, PermissionLevel::kCanQuery, PermissionLevel::kCanManage}) {
    EXPECT_EQ(parse_permission_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_permission_level(""), std::nullopt);
  EXPECT_EQ(parse_permission_level("can_view"), std::nullopt);
}

}  // namespace
}  // namespace tessera::catalog
