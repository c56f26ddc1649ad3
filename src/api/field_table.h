// How a request body is read: a table per request type, one row per field as in the specification,
// and one pass over the body that finds each member's row. Private to the room.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/fields.h"
#include "api/options.h"
#include "base/error.h"
#include "base/json.h"

namespace tessera::api {

// Errors that several fields can meet. A field is named by its path, such as "tools[0].type".
Error bad_value(std::string_view field, std::string_view got,
                std::initializer_list<std::string_view> allowed);
Error empty_text(std::string_view field);
Error not_positive(std::string_view field);  // received 0 where only more will do
Error not_supported_yet(std::string_view field);
Error unsupported_parameter(std::string_view field);
Error conflict(std::string_view field, std::string_view other, std::string_view rule);
Error bad_message(std::string path, std::string_view rule);

// Values, checked.
inline constexpr int kMaxInt = std::numeric_limits<int>::max();
int read_int(std::string_view field, const json::value& value, int lowest, int highest = kMaxInt);
double read_number(std::string_view field, const json::value& value, double lowest, double highest);
inline bool read_bool(std::string_view field, const json::value& value) {
  return as_bool(value, field);
}
std::string_view read_string(std::string_view field, const json::value& value,
                             std::size_t max_characters = std::string_view::npos);
const json::array& read_array(std::string_view field, const json::value& value,
                              std::size_t shortest, std::size_t longest);
StringPairs read_string_map(std::string_view field, const json::value& value, std::size_t max_pairs,
                            std::size_t max_key, std::size_t max_value);
std::int32_t read_token_id(std::string_view field, const json::value& value, int vocab_size);
std::vector<std::int32_t> read_token_ids(std::string_view field, const json::value& value,
                                         std::size_t shortest, std::size_t longest, int vocab_size);
// null, false, 0, "", [] and {}: as good as absent.
bool is_neutral(const json::value& value);

struct Reading {
  const ParseOptions& options;
  std::string_view field;
};

// An extension of ours means nothing to an external provider, who may have a field of that name: it
// is unknown there, and goes to him as it came.
enum class Scope { kAll, kNotExternal };
inline constexpr Scope kOurs = Scope::kNotExternal;

template <class R>
struct Field {
  std::string_view name;
  void (*read)(R&, const json::value&, const Reading&);  // the value is not null
  Scope scope = Scope::kAll;
};

// True if the table knows the name; then the value, unless it is null, was read.
template <class R>
bool apply(std::span<const Field<R>> table, R& reading, std::string_view name,
           const json::value& value, const ParseOptions& options) {
  for (const Field<R>& field : table) {
    if (field.name != name) continue;
    if (field.scope == Scope::kNotExternal && options.profile == Profile::kExternal) return false;
    if (!value.is_null()) field.read(reading, value, Reading{options, name});
    return true;
  }
  return false;
}

// Class D of data-plane 2.1: an error in the databricks profile, else a name for the list.
void unknown_field(std::string_view path, const ParseOptions& options,
                   std::vector<std::string>& ignored);
// The same with the value: profile kExternal keeps it.
void unknown_member(std::string_view path, std::string_view name, const json::value& value,
                    const ParseOptions& options, std::vector<std::string>& ignored,
                    StringPairs& extra);

// Entries of `extra_params` as top-level members: each value is JSON if it can be, else a string.
json::object expand_extra_params(const json::object& body);

// Calls take(name, value) for each member, those of `extra_params` included; take returns false for
// a name that no table knows.
template <class Take>
void read_members(const json::object& body, const ParseOptions& options, CommonFields& common,
                  Take take) {
  const auto read = [&](const json::object& members) {
    for (const auto& [name, value] : members) {
      if (name == "extra_params" && &members == &body) continue;
      if (take(name, value)) continue;
      unknown_member(name, name, value, options, common.ignored_fields, common.extra);
    }
  };
  read(body);
  if (body.contains("extra_params")) read(expand_extra_params(body));
}

// Chat or completions while being read: with what matters only until the last check.
struct GenerationReading {
  GenerationFields fields;
  std::optional<int> max_completion_tokens;
  bool has_stream_options = false;
  bool vendor_fields = false;
};

// Fields of data-plane 1.6 and of the classes B and C, on every task.
std::span<const Field<CommonFields>> common_fields();
// Fields that chat and completions share.
std::span<const Field<GenerationReading>> generation_fields();
int read_priority_value(const json::value& value, const Reading& at);
// Checks between fields, after the pass. `zero_max_tokens`: nothing need be generated.
GenerationFields finish_generation(GenerationReading reading, const ParseOptions& options,
                                   bool zero_max_tokens);

}  // namespace tessera::api
