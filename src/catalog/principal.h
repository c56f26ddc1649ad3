// Somebody who makes requests. Immutable once in a snapshot.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::catalog {

inline constexpr std::string_view kAdminsGroup = "admins";
inline constexpr std::string_view kUsersGroup = "users";  // everybody is a member

struct Principal {
  enum class Kind { kUser, kServicePrincipal };
  std::int64_t id = 0;
  Kind kind = Kind::kUser;
  std::string name;  // user name (e-mail) or application id
  std::string display_name;
  std::vector<std::string> groups;  // display names, kUsersGroup included
  bool active = true;

  bool in_group(std::string_view group) const;
  bool is_admin() const { return in_group(kAdminsGroup); }
};

std::string_view to_string(Principal::Kind kind);  // "User", "ServicePrincipal"

// A personal access token as it is kept: its text is never stored. `id` is the SHA-256 of the text
// in lower-case hex, which is also how a request's token is looked up.
struct Token {
  std::string id;
  std::int64_t principal_id = 0;
  std::string comment;
  std::int64_t creation_time_ms = 0;
  std::int64_t expiry_time_ms = -1;  // -1: never

  bool expired(std::int64_t now_ms) const {
    return expiry_time_ms >= 0 && expiry_time_ms <= now_ms;
  }
};

}  // namespace tessera::catalog
