// Secret scopes and who may do what with them (control-plane 3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/principal.h"

namespace tessera::catalog {

// Ordered: a higher permission allows all that a lower one does.
enum class SecretPermission { kNone, kRead, kWrite, kManage };

std::string_view to_string(SecretPermission permission);  // "MANAGE"; "" for kNone
std::optional<SecretPermission> parse_secret_permission(std::string_view text);

struct SecretAcl {
  std::string principal;  // user, group or application id
  SecretPermission permission = SecretPermission::kNone;
};

struct SecretScope {
  std::string name;
  std::int64_t created_at_ms = 0;
  std::string created_by;
  std::vector<SecretAcl> acls;

  // Admins may do all; others the highest of what they and their groups were given.
  SecretPermission permission_of(const Principal& principal) const;
};

struct SecretMetadata {
  std::string key;
  std::int64_t last_updated_ms = 0;
};

// 1–128 of [A-Za-z0-9_.-], scopes also '@'.
bool is_scope_name(std::string_view name);
bool is_secret_key(std::string_view key);
// Throw Error(kInvalidParameterValue) naming `field`.
void validate_scope_name(std::string_view name, std::string_view field);
void validate_secret_key(std::string_view key, std::string_view field);

}  // namespace tessera::catalog
