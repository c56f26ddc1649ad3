// JSON schemas on their way to a provider (external-providers 1.6). Private to the room.
#pragma once

#include <string_view>

#include "base/json.h"

namespace tessera::providers {

// A tool's parameters as an object schema: {"type": "object", "properties": {}} for none, and with
// the type where it is left out. `json` is the text of an object or empty.
json::object parameters_schema(std::string_view json);

// For consumers of the OpenAPI 3.0 subset (Gemini's Schema): local references put in place, null
// branches as `nullable`, oneOf as anyOf, allOf merged, keywords that the subset lacks left out,
// types in upper case. Throws Error(kUnsupportedValue), naming `param`, for a schema that refers to
// itself more than eight levels deep, to something that is not there, or whose allOf contradict
// each other.
json::object openapi_schema(const json::object& schema, std::string_view param);

}  // namespace tessera::providers
