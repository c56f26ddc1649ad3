// An upstream's answer, read with tolerance: what is absent, null or of another type than expected
// takes its initial value, since providers differ in what they leave out. Private to the room.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/fields.h"
#include "base/json.h"

namespace tessera::api {

// Throws Error(kUpstreamBadGateway). The storage outlives the object.
json::object parse_upstream_object(std::string_view text, json::storage_ptr storage = {});

// A tree that lives for one call only, in one piece of memory: chunks come by the thousand.
struct ScratchMemory {
  unsigned char first[4096];
  json::monotonic_resource resource{first, sizeof first};
};
std::string text_or_empty(const json::object& object, std::string_view name);
std::optional<std::string> maybe_text(const json::object& object, std::string_view name);
std::int64_t int_or_zero(const json::object& object, std::string_view name);
std::optional<std::int64_t> maybe_int(const json::object& object, std::string_view name);
std::optional<double> maybe_number(const json::object& object, std::string_view name);
// The member "index", when it fits into an int.
int index_or(const json::object& object, int otherwise);
const json::array& array_or_empty(const json::object& object, std::string_view name);
const json::object& object_or_empty(const json::object& object, std::string_view name);
// Members other than these, as JSON text.
StringPairs read_extra(const json::object& object, std::initializer_list<std::string_view> known);
std::optional<Usage> read_usage(const json::object& object);
std::optional<FinishReason> read_finish_reason(const json::object& choice);
std::optional<StopReason> read_stop_reason(const json::object& choice);
std::optional<Timings> read_timings(const json::object& object);
std::optional<std::vector<std::int32_t>> read_wire_ids(const json::object& object,
                                                       std::string_view name);

}  // namespace tessera::api
