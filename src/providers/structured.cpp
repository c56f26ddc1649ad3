#include "providers/structured.h"

#include "base/error.h"
#include "providers/schema.h"

namespace tessera::providers {
namespace {

constexpr const char* kWrapped = "json_wrapped";

bool is_object_schema(const json::object& schema) {
  const json::value* type = find_field(schema, "type");
  return type == nullptr || (type->is_string() && type->get_string() == "object");
}

// References stay where they point: definitions move to the new root.
json::object wrapped(json::object schema) {
  json::object outer{{"type", "object"}};
  for (const char* name : {"$defs", "definitions"}) {
    if (json::value* definitions = schema.if_contains(name)) {
      outer[name] = std::move(*definitions);
      schema.erase(name);
    }
  }
  outer["properties"] = json::object{{"value", std::move(schema)}};
  outer["required"] = json::array{"value"};
  return outer;
}

}  // namespace

json::object json_tool_schema(const api::ResponseFormat& format, Memo& memo) {
  memo.json_tool = true;
  if (format.kind != api::ResponseFormat::Kind::kJsonSchema || format.schema.empty()) {
    return {{"type", "object"}, {"additionalProperties", true}};
  }
  json::object schema = parse_json_object(format.schema);
  if (is_object_schema(schema)) return parameters_schema(format.schema);
  memo.notes[kWrapped] = "true";
  return wrapped(std::move(schema));
}

std::string json_tool_answer(const json::value& arguments, const Memo& memo) {
  if (memo.notes.contains(kWrapped) && arguments.is_object()) {
    if (const json::value* value = arguments.get_object().if_contains("value")) {
      return tessera::to_json(*value);
    }
  }
  return tessera::to_json(arguments);
}

bool json_tool_streams(const Memo& memo) { return !memo.notes.contains(kWrapped); }

void check_tool_names(const api::ChatRequest& request) {
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    if (request.tools[i].name != kJsonTool) continue;
    throw Error(ErrorKind::kBadValue,
                "Invalid value for 'tools': the name '" + std::string(kJsonTool) +
                    "' is kept for structured output.",
                index_path("tools", i) + ".function.name");
  }
}

}  // namespace tessera::providers
