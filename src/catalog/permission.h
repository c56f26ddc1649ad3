// Who may do what with an endpoint (control-plane 2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/principal.h"

namespace tessera::catalog {

// Ordered: a higher level allows all that a lower one does.
enum class PermissionLevel { kNone, kCanView, kCanQuery, kCanManage };

std::string_view to_string(PermissionLevel level);  // "CAN_MANAGE"; "" for kNone
std::optional<PermissionLevel> parse_permission_level(std::string_view text);

// A direct entry. One per grantee and object.
struct AclEntry {
  enum class Grantee { kUser, kGroup, kServicePrincipal };
  Grantee grantee = Grantee::kUser;
  std::string name;  // user name, group name or application id
  PermissionLevel level = PermissionLevel::kNone;
  bool operator==(const AclEntry&) const = default;
};
using Acl = std::vector<AclEntry>;

// The highest of the direct entries, those of the principal's groups, and what admins inherit.
PermissionLevel effective_level(const Acl& acl, const Principal& principal);

// Replaces the level of the grantee or appends an entry.
void set_level(Acl& acl, AclEntry entry);

// Throws Error(kPermissionDenied) naming the endpoint and the level wanted.
void require_level(PermissionLevel held, PermissionLevel wanted, std::string_view endpoint_name);

}  // namespace tessera::catalog
