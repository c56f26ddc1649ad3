#include "catalog/permission.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace tessera::catalog {
namespace {

constexpr std::string_view kLevels[] = {"", "CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"};

bool concerns(const AclEntry& entry, const Principal& principal) {
  switch (entry.grantee) {
    case AclEntry::Grantee::kUser:
      return principal.kind == Principal::Kind::kUser && entry.name == principal.name;
    case AclEntry::Grantee::kServicePrincipal:
      return principal.kind == Principal::Kind::kServicePrincipal && entry.name == principal.name;
    case AclEntry::Grantee::kGroup:
      return principal.in_group(entry.name);
  }
  return false;
}

}  // namespace

bool Principal::in_group(std::string_view group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

std::string_view to_string(Principal::Kind kind) {
  return kind == Principal::Kind::kUser ? "User" : "ServicePrincipal";
}

std::string_view to_string(PermissionLevel level) { return kLevels[static_cast<int>(level)]; }

std::optional<PermissionLevel> parse_permission_level(std::string_view text) {
  for (std::size_t i = 1; i < std::size(kLevels); ++i) {
    if (kLevels[i] == text) return static_cast<PermissionLevel>(i);
  }
  return std::nullopt;
}

PermissionLevel effective_level(const Acl& acl, const Principal& principal) {
  if (!principal.active) return PermissionLevel::kNone;
  if (principal.is_admin()) return PermissionLevel::kCanManage;
  auto level = PermissionLevel::kNone;
  for (const AclEntry& entry : acl) {
    if (entry.level > level && concerns(entry, principal)) level = entry.level;
  }
  return level;
}

void set_level(Acl& acl, AclEntry entry) {
  for (AclEntry& old : acl) {
    if (old.grantee == entry.grantee && old.name == entry.name) {
      old.level = entry.level;
      return;
    }
  }
  acl.push_back(std::move(entry));
}

void require_level(PermissionLevel held, PermissionLevel wanted, std::string_view endpoint_name) {
  if (held >= wanted) return;
  throw Error(
      ErrorKind::kPermissionDenied,
      "You need " + std::string(to_string(wanted)) + " on serving endpoint '" +
          std::string(endpoint_name) + "'" +
          (held == PermissionLevel::kNone ? " and have no permission on it."
                                          : " and have " + std::string(to_string(held)) + "."));
}

}  // namespace tessera::catalog
