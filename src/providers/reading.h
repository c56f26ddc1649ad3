// Upstream answers read with tolerance: what is absent, null or of another type than expected is
// as good as not said. Private to the room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/fields.h"
#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {

// Throws Error(kProviderBadResponse) unless the text is a JSON object.
json::object read_answer(std::string_view provider, std::string_view body);

// A member by its dotted path ("meta.billed_units"); nullptr when it is not there or null.
const json::value* value_at(const json::object& object, std::string_view path);
std::string text_at(const json::object& object, std::string_view path);  // "" when it is no string
std::string id_at(const json::object& object, std::string_view path);    // a string or an integer
// A count of tokens; providers send 37.0, too. Rounded, never below 0.
std::optional<std::int64_t> count_at(const json::object& object, std::string_view path);
std::optional<double> number_at(const json::object& object, std::string_view path);
bool flag_at(const json::object& object, std::string_view path);                // false when absent
const json::array& list_at(const json::object& object, std::string_view path);  // empty, too
const json::object& object_at(const json::object& object, std::string_view path);  // empty, too

// Prompt and completion counts as our usage.
api::Usage usage_of(std::int64_t prompt_tokens, std::int64_t completion_tokens);
// What Bedrock tells of an invocation, whoever's model it is: in the headers of a plain answer, in
// the last event of a stream.
std::optional<api::Usage> usage_of_invocation(const WireResponse& wire);
std::optional<api::Usage> usage_of_invocation(const json::object& event);

// An id for an answer whose provider gives none: prefix + 32 hex digits.
std::string make_id(std::string_view prefix, const Memo& memo);
// `chosen` unless it is empty.
std::string or_else(std::string chosen, std::string_view otherwise);

}  // namespace tessera::providers
