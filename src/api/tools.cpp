#include "api/tools.h"

#include <algorithm>

#include "base/strings.h"

namespace tessera::api {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxDescription = 16u << 10;
constexpr std::size_t kMaxSchema = 64u << 10;
constexpr std::size_t kMaxTools = 256u << 10;  // bytes of all tools together

Error tool_schema(const std::string& path, std::string_view tool, std::string_view reason) {
  Error error(ErrorKind::kBadValue,
              "Invalid schema for function " + quote_for_message(tool) + " in " +
                  quote_for_message(path) + ": " + std::string(reason) + ".",
              path);
  error.code = "invalid_function_parameters";
  return error;
}

Error bad_choice(std::string path, std::string_view rule) {
  return Error(ErrorKind::kBadValue,
               "Invalid value for " + quote_for_message(path) + ": " + std::string(rule) + ".",
               std::move(path));
}

bool external(const Reading& at) { return at.options.profile == Profile::kExternal; }

// OpenAI's alphabet of function and schema names.
std::string read_name(const json::object& object, const std::string& path) {
  const std::string name = require_string(object, "name", path);
  const bool fine =
      !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, [](unsigned char c) {
        return (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '-';
      });
  if (fine) return name;
  const std::string name_path = join_path(path, "name");
  throw Error(ErrorKind::kBadValue,
              "Invalid value for " + quote_for_message(name_path) + ": received " +
                  quote_for_message(name) +
                  ", but it must be 1 to 64 letters, digits, '_' or '-' long.",
              name_path);
}

Tool read_function(const json::object& function, const std::string& path, const Reading& at) {
  static constexpr std::string_view kKnown[] = {"name", "description", "parameters", "strict"};
  for (const auto& [name, value] : function) {
    if (external(at) || std::ranges::find(kKnown, std::string_view(name)) != std::end(kKnown)) {
      continue;
    }
    std::vector<std::string> ignored;
    unknown_field(join_path(path, name), at.options, ignored);
  }
  Tool tool{.name = read_name(function, path)};
  if (const json::value* text = find_field(function, "description")) {
    tool.description = read_string(join_path(path, "description"), *text,
                                   external(at) ? std::string_view::npos : kMaxDescription);
  }
  tool.strict = get_bool(function, "strict", path);
  const json::value* parameters = find_field(function, "parameters");
  if (parameters == nullptr) return tool;
  const std::string schema_path = join_path(path, "parameters");
  const json::object* schema = parameters->if_object();
  if (schema == nullptr) {
    throw tool_schema(schema_path, tool.name,
                      "it must be an object, not " + std::string(type_name(*parameters)));
  }
  const json::value* type = find_field(*schema, "type");
  const bool is_object = type == nullptr || (type->is_string() && type->get_string() == "object");
  if (!is_object && !external(at)) {
    throw tool_schema(join_path(schema_path, "type"), tool.name, "it must be 'object'");
  }
  if (!schema->empty()) tool.parameters = tessera::to_json(*parameters);
  return tool;
}

void add_tool(std::vector<Tool>& tools, Tool tool, const std::string& path) {
  if (std::ranges::find(tools, tool.name, &Tool::name) != tools.end()) {
    throw bad_choice(join_path(path, "name"),
                     "the name " + quote_for_message(tool.name) + " is given twice");
  }
  tools.push_back(std::move(tool));
}

void check_size(const std::vector<Tool>& tools, const Reading& at) {
  if (external(at)) return;
  std::size_t bytes = 0;
  for (const Tool& tool : tools) {
    bytes += tool.name.size() + tool.description.size() + tool.parameters.size();
  }
  if (bytes <= kMaxTools) return;
  throw bad_choice(std::string(at.field), "all tools together have " + std::to_string(bytes) +
                                              " bytes, but at most " + std::to_string(kMaxTools) +
                                              " are allowed");
}

Error one_way(std::string_view field, std::string_view other) {
  return conflict(field, other, "the second is the newer form of the first; give one of them");
}

// "allowed_tools": a part of the tools, with a mode (OpenAI "Tool choice").
void read_allowed(ToolReading& r, const json::object& object, const std::string& path) {
  const json::object& allowed = require_object(object, "allowed_tools", path);
  const std::string inner = join_path(path, "allowed_tools");
  const std::string mode = require_string(allowed, "mode", inner);
  if (mode != "auto" && mode != "required") {
    throw bad_value(join_path(inner, "mode"), mode, {"auto", "required"});
  }
  r.choice->mode = mode == "auto" ? ToolChoice::Mode::kAuto : ToolChoice::Mode::kRequired;
  const json::array& tools = require_array(allowed, "tools", inner);
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string tool_path = index_path(join_path(inner, "tools"), i);
    const json::object& tool = as_object(tools[i], tool_path);
    r.allowed.push_back(require_string(require_object(tool, "function", tool_path), "name",
                                       join_path(tool_path, "function")));
  }
  if (r.allowed.empty()) throw bad_choice(join_path(inner, "tools"), "it must not be empty");
}

void keep_allowed(std::vector<Tool>& tools, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::ranges::find(tools, names[i], &Tool::name) == tools.end()) {
      throw bad_choice(index_path("tool_choice.allowed_tools.tools", i) + ".function.name",
                       "no tool is named " + quote_for_message(names[i]));
    }
  }
  std::erase_if(
      tools, [&](const Tool& tool) { return std::ranges::find(names, tool.name) == names.end(); });
}

}  // namespace

void read_tools(ToolReading& r, const json::value& value, const Reading& at) {
  const json::array& array = read_array(at.field, value, 0, at.options.max_tools);
  if (r.legacy && !array.empty()) throw one_way("functions", "tools");
  std::vector<Tool> tools;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string path = index_path(at.field, i);
    const json::object& object = as_object(array[i], path);
    const std::string type = require_string(object, "type", path);
    if (type != "function") {
      Error error = bad_value(join_path(path, "type"), type, {"function"});
      error.kind = ErrorKind::kUnsupportedValue;
      throw error;
    }
    const std::string function_path = join_path(path, "function");
    Tool tool = read_function(require_object(object, "function", path), function_path, at);
    if (external(at)) tool.json = tessera::to_json(array[i]);
    add_tool(tools, std::move(tool), function_path);
  }
  check_size(tools, at);
  if (!r.legacy) r.tools = std::move(tools);
}

void read_functions(ToolReading& r, const json::value& value, const Reading& at) {
  const json::array& array = read_array(at.field, value, 0, at.options.max_tools);
  if (array.empty()) return;
  if (r.tools && !r.tools->empty()) throw one_way("functions", "tools");
  r.legacy = true;
  r.tools.emplace();
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string path = index_path(at.field, i);
    add_tool(*r.tools, read_function(as_object(array[i], path), path, at), path);
  }
  check_size(*r.tools, at);
}

void read_tool_choice(ToolReading& r, const json::value& value, const Reading& at) {
  using enum ToolChoice::Mode;
  const std::string path(at.field);
  if (r.legacy_choice) throw one_way("function_call", "tool_choice");
  r.choice.emplace();
  if (value.is_string()) {
    const std::string_view mode = value.get_string();
    if (mode == "none") {
      r.choice->mode = kNone;
    } else if (mode == "required") {
      r.choice->mode = kRequired;
    } else if (mode != "auto") {
      throw bad_value(path, mode, {"none", "auto", "required"});
    }
    return;
  }
  if (!value.is_object()) throw_wrong_type(path, "a string or an object", value);
  const json::object& object = value.get_object();
  const std::string type = require_string(object, "type", path);
  if (type == "allowed_tools") return read_allowed(r, object, path);
  if (type != "function") {
    throw bad_value(join_path(path, "type"), type, {"function", "allowed_tools"});
  }
  r.choice->mode = kNamed;
  r.choice->name =
      require_string(require_object(object, "function", path), "name", join_path(path, "function"));
}

void read_function_call(ToolReading& r, const json::value& value, const Reading& at) {
  const std::string path(at.field);
  if (r.choice) throw one_way("function_call", "tool_choice");
  r.legacy_choice = true;
  r.choice.emplace();
  if (value.is_object()) {
    r.choice->mode = ToolChoice::Mode::kNamed;
    r.choice->name = require_string(value.get_object(), "name", path);
    return;
  }
  const std::string_view mode = as_string(value, path);
  if (mode != "none" && mode != "auto") throw bad_value(path, mode, {"none", "auto"});
  if (mode == "none") r.choice->mode = ToolChoice::Mode::kNone;
}

void finish_tools(ToolReading r, ChatRequest& request) {
  using enum ToolChoice::Mode;
  const bool given = r.tools.has_value();
  if (given) request.tools = std::move(*r.tools);
  request.legacy_functions = r.legacy;
  request.tool_choice = std::move(r.choice);
  if (!request.tool_choice) return;
  const std::string field = r.legacy_choice ? "function_call" : "tool_choice";
  ToolChoice& choice = *request.tool_choice;
  if (!r.allowed.empty()) keep_allowed(request.tools, r.allowed);
  if (!given && choice.mode != kNone) {
    throw bad_choice(field, "it must be 'none' when there are no 'tools'");
  }
  if (choice.mode == kNamed &&
      std::ranges::find(request.tools, choice.name, &Tool::name) == request.tools.end()) {
    throw bad_choice(r.legacy_choice ? "function_call.name" : "tool_choice.function.name",
                     "no tool is named " + quote_for_message(choice.name));
  }
  if (request.tools.empty()) request.tool_choice.reset();
}

std::optional<ResponseFormat> read_response_format(const json::value& value, const Reading& at) {
  const std::string path(at.field);
  const json::object& object = as_object(value, path);
  const std::string type = require_string(object, "type", path);
  if (type == "text") return std::nullopt;
  ResponseFormat format;
  if (type == "json_object") {
    format.kind = ResponseFormat::Kind::kJsonObject;
    return format;
  }
  if (type != "json_schema") {
    throw bad_value(join_path(path, "type"), type, {"text", "json_object", "json_schema"});
  }
  format.kind = ResponseFormat::Kind::kJsonSchema;
  const std::string inner = join_path(path, "json_schema");
  const json::object& wanted = require_object(object, "json_schema", path);
  format.name = read_name(wanted, inner);
  format.description = get_string(wanted, "description", inner).value_or("");
  format.strict = get_bool(wanted, "strict", inner);
  format.schema = tessera::to_json(json::value(require_object(wanted, "schema", inner)));
  if (!external(at)) {
    read_string(join_path(inner, "schema"), json::value(format.schema), kMaxSchema);
  }
  return format;
}

std::string_view to_string(ToolChoice::Mode mode) {
  switch (mode) {
    case ToolChoice::Mode::kAuto:
      return "auto";
    case ToolChoice::Mode::kNone:
      return "none";
    case ToolChoice::Mode::kRequired:
      return "required";
    case ToolChoice::Mode::kNamed:
      break;
  }
  return "function";
}

void write_tools(JsonWriter& w, const ChatRequest& request) {
  if (request.tools.empty()) return;
  w.key("tools").begin_array();
  for (const Tool& tool : request.tools) {
    if (!tool.json.empty()) {
      w.raw(tool.json);
      continue;
    }
    w.begin_object().member("type", "function").key("function").begin_object();
    w.member("name", tool.name);
    if (!tool.description.empty()) w.member("description", tool.description);
    if (!tool.parameters.empty()) w.key("parameters").raw(tool.parameters);
    if (tool.strict) w.member("strict", *tool.strict);
    w.end_object().end_object();
  }
  w.end_array();
  if (request.tool_choice) {
    w.key("tool_choice");
    const std::string_view mode = to_string(request.tool_choice->mode);
    if (request.tool_choice->mode == ToolChoice::Mode::kNamed) {
      w.begin_object().member("type", mode).key("function").begin_object();
      w.member("name", request.tool_choice->name).end_object().end_object();
    } else {
      w.value(mode);
    }
  }
  if (request.parallel_tool_calls) w.member("parallel_tool_calls", *request.parallel_tool_calls);
}

void write_response_format(JsonWriter& w, const ResponseFormat& format) {
  using enum ResponseFormat::Kind;
  if (format.kind == kText) return;
  w.key("response_format").begin_object();
  if (format.kind == kJsonObject) {
    w.member("type", "json_object").end_object();
    return;
  }
  w.member("type", "json_schema").key("json_schema").begin_object().member("name", format.name);
  if (!format.description.empty()) w.member("description", format.description);
  w.key("schema").raw(format.schema);
  if (format.strict) w.member("strict", *format.strict);
  w.end_object().end_object();
}

void write_tool_calls(JsonWriter& w, const std::vector<ToolCall>& calls) {
  if (calls.empty()) return;
  w.key("tool_calls").begin_array();
  for (const ToolCall& call : calls) {
    w.begin_object().member("id", call.id).member("type", "function").key("function");
    w.begin_object().member("name", call.name).member("arguments", call.arguments);
    w.end_object();
    if (!call.extra_content.empty()) w.key("extra_content").raw(call.extra_content);
    w.end_object();
  }
  w.end_array();
}

}  // namespace tessera::api
