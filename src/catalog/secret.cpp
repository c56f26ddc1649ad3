#include "catalog/secret.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::catalog {
namespace {

constexpr std::string_view kPermissions[] = {"", "READ", "WRITE", "MANAGE"};

bool is_name(std::string_view text, bool at_sign) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' ||
           (at_sign && c == '@');
  });
}

[[noreturn]] void refuse(std::string_view text, std::string_view field, std::string_view marks) {
  throw Error(ErrorKind::kInvalidParameterValue,
              std::string(field) + ": received " + quote_for_message(text) +
                  ", want 1 to 128 letters, digits, '-', '_'" + std::string(marks),
              std::string(field));
}

}  // namespace

std::string_view to_string(SecretPermission permission) {
  return kPermissions[static_cast<int>(permission)];
}

std::optional<SecretPermission> parse_secret_permission(std::string_view text) {
  for (std::size_t i = 1; i < std::size(kPermissions); ++i) {
    if (kPermissions[i] == text) return static_cast<SecretPermission>(i);
  }
  return std::nullopt;
}

SecretPermission SecretScope::permission_of(const Principal& principal) const {
  if (principal.is_admin()) return SecretPermission::kManage;
  SecretPermission highest = SecretPermission::kNone;
  for (const SecretAcl& acl : acls) {
    if (acl.principal != principal.name && !principal.in_group(acl.principal)) continue;
    highest = std::max(highest, acl.permission);
  }
  return highest;
}

bool is_scope_name(std::string_view name) { return is_name(name, true); }
bool is_secret_key(std::string_view key) { return is_name(key, false); }

void validate_scope_name(std::string_view name, std::string_view field) {
  if (!is_scope_name(name)) refuse(name, field, ", '.' and '@'.");
}

void validate_secret_key(std::string_view key, std::string_view field) {
  if (!is_secret_key(key)) refuse(key, field, " and '.'.");
}

}  // namespace tessera::catalog
