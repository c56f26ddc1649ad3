#include "providers/schema.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

constexpr int kDeepestReference = 8;
constexpr int kMostNodes = 10'000;  // references and branches multiply what is written once
constexpr int kDeepest = 64;  // our parser's limit is 256 levels; no tool's parameters need that

// https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Schema; the values are copied as is.
constexpr std::string_view kPlainKeywords[] = {
    "title",         "description",   "nullable",         "default",   "minItems", "maxItems",
    "minimum",       "maximum",       "minLength",        "maxLength", "pattern",  "required",
    "minProperties", "maxProperties", "propertyOrdering", "example",
};
constexpr std::string_view kFormats[] = {"date-time", "enum", "int32", "int64", "float", "double"};

class OpenApiCleaner {
 public:
  OpenApiCleaner(const json::object& root, std::string_view param) : root_(root), param_(param) {}

  json::object clean(const json::value& schema, int depth, int references) const {
    // `true`: anything. The subset says it by saying nothing.
    if (!schema.is_object()) return {};
    if (depth > kDeepest) throw refuse("is nested too deeply");
    if (++nodes_ > kMostNodes) throw refuse("becomes too large without references");
    const json::object& from = schema.get_object();
    if (const json::value* reference = from.if_contains("$ref")) {
      if (references >= kDeepestReference) throw refuse("refers to itself too deeply");
      json::object resolved = clean(resolve(*reference), depth + 1, references + 1);
      // What stands beside a reference adds to it (JSON Schema 2020-12).
      json::object beside = from;
      beside.erase("$ref");
      for (auto& [key, value] : clean(beside, depth + 1, references)) resolved[key] = value;
      return resolved;
    }
    json::object to;
    write_type(from, to, depth, references);
    copy_plain(from, to);
    write_enum(from, to);
    if (const json::value* properties = from.if_contains("properties");
        properties != nullptr && properties->is_object()) {
      json::object& cleaned = to["properties"].emplace_object();
      for (const auto& [name, property] : properties->get_object()) {
        cleaned[name] = clean(property, depth + 1, references);
      }
    }
    if (const json::value* items = from.if_contains("items")) {
      to["items"] = clean(*items, depth + 1, references);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (const json::value* branches = from.if_contains(keyword);
          branches != nullptr && branches->is_array()) {
        write_branches(branches->get_array(), to, depth, references);
      }
    }
    if (const json::value* parts = from.if_contains("allOf");
        parts != nullptr && parts->is_array()) {
      for (const json::value& part : parts->get_array()) {
        merge(clean(part, depth + 1, references), to);
      }
    }
    drop_unknown_required(to);
    return to;
  }

 private:
  Error refuse(std::string_view what) const {
    return Error(ErrorKind::kUnsupportedValue,
                 "Unsupported value: the JSON schema in '" + std::string(param_) + "' " +
                     std::string(what) + " for this provider.",
                 std::string(param_));
  }

  const json::value& resolve(const json::value& reference) const {
    if (!reference.is_string()) throw refuse("has a '$ref' that is not a string");
    const std::string_view text = reference.get_string();
    if (text == "#") throw refuse("refers to itself too deeply");
    if (!text.starts_with("#/")) throw refuse("refers to another document");
    const json::value* at = find(text.substr(2));
    if (at == nullptr)
      throw refuse("refers to " + quote_for_message(text) + ", which is not there");
    return *at;
  }

  // RFC 6901, from the schema's root.
  const json::value* find(std::string_view pointer) const {
    const json::value* at = nullptr;
    const json::object* object = &root_;
    for (const std::string_view token : split(pointer, '/')) {
      if (object == nullptr) return nullptr;
      std::string name = url_decode(token).value_or(std::string(token));
      for (const auto& [escape, character] : {std::pair("~1", "/"), std::pair("~0", "~")}) {
        for (std::size_t i = name.find(escape); i != name.npos; i = name.find(escape, i + 1)) {
          name.replace(i, 2, character);
        }
      }
      at = object->if_contains(name);
      object = at == nullptr ? nullptr : at->if_object();
    }
    return at;
  }

  static void copy_plain(const json::object& from, json::object& to) {
    for (const auto& [key, value] : from) {
      if (contains(kPlainKeywords, key)) to[key] = value;
      if (key == "format" && value.is_string() && contains(kFormats, value.get_string())) {
        to[key] = value;
      }
    }
  }

  void write_type(const json::object& from, json::object& to, int depth, int references) const {
    const json::value* type = from.if_contains("type");
    if (type == nullptr) return;
    if (type->is_string()) {
      if (type->get_string() == "null") {
        to["nullable"] = true;
      } else {
        to["type"] = to_upper(type->get_string());
      }
      return;
    }
    if (!type->is_array()) return;
    std::vector<std::string_view> types;
    for (const json::value& one : type->get_array()) {
      if (!one.is_string()) continue;
      if (one.get_string() == "null") {
        to["nullable"] = true;
      } else {
        types.push_back(one.get_string());
      }
    }
    if (types.size() == 1) to["type"] = to_upper(types[0]);
    if (types.size() < 2) return;
    // Several types: a branch for each, with the keywords of the whole.
    json::array branches;
    for (const std::string_view one : types) {
      json::object branch = from;
      branch["type"] = one;
      for (const char* key : {"description", "title", "default"}) branch.erase(key);
      branches.push_back(clean(branch, depth + 1, references));
    }
    to["anyOf"] = std::move(branches);
  }

  static void write_enum(const json::object& from, json::object& to) {
    json::array values;
    if (const json::value* list = from.if_contains("enum"); list != nullptr && list->is_array()) {
      values = list->get_array();
    } else if (const json::value* one = from.if_contains("const");
               one != nullptr && one->is_string()) {
      values.push_back(*one);
    }
    const json::value* type = to.if_contains("type");
    const bool on_string = type == nullptr || *type == json::value("STRING");
    json::array texts;
    for (const json::value& value : values) {
      if (value.is_null()) {
        to["nullable"] = true;
      } else if (value.is_string()) {
        texts.push_back(value);
      } else {
        texts.emplace_back(tessera::to_json(value));
      }
    }
    // The subset has enumerations of strings only; of another type the values cannot be said.
    const bool of_strings = std::ranges::all_of(
        values, [](const json::value& v) { return v.is_string() || v.is_null(); });
    if (texts.empty() || !on_string || (type == nullptr && !of_strings)) return;
    to["type"] = "STRING";
    to["enum"] = std::move(texts);
  }

  void write_branches(const json::array& branches, json::object& to, int depth,
                      int references) const {
    json::array cleaned;
    for (const json::value& branch : branches) {
      const json::value* type =
          branch.is_object() ? branch.get_object().if_contains("type") : nullptr;
      if (type != nullptr && *type == json::value("null")) {
        to["nullable"] = true;
      } else {
        cleaned.push_back(clean(branch, depth + 1, references));
      }
    }
    if (cleaned.size() == 1) return merge(std::move(cleaned[0].get_object()), to);
    if (!cleaned.empty()) to["anyOf"] = std::move(cleaned);
  }

  void merge(json::object part, json::object& to) const {
    for (auto& [key, value] : part) {
      json::value* there = to.if_contains(key);
      if (there == nullptr) {
        to[key] = std::move(value);
      } else if (key == "properties") {
        for (auto& [name, property] : value.get_object()) {
          json::value* known = there->get_object().if_contains(name);
          if (known != nullptr && *known != property) {
            throw refuse("has 'allOf' parts that differ in the property " +
                         quote_for_message(std::string_view(name)));
          }
          there->get_object()[name] = std::move(property);
        }
      } else if (key == "required" && there->is_array() && value.is_array()) {
        for (json::value& name : value.get_array()) {
          if (!contains(there->get_array(), name)) there->get_array().push_back(std::move(name));
        }
      } else if (key == "type" && *there != value) {
        throw refuse("has 'allOf' parts of different types");
      }
      // Descriptions and bounds: the outer one stands.
    }
  }

  static bool contains(const json::array& list, const json::value& value) {
    return std::ranges::find(list, value) != list.end();
  }
  template <class List>
  static bool contains(const List& list, std::string_view name) {
    return std::ranges::find(list, name) != std::end(list);
  }

  // A required name without a property is refused upstream.
  static void drop_unknown_required(json::object& to) {
    json::value* required = to.if_contains("required");
    if (required == nullptr) return;
    const json::value* properties = to.if_contains("properties");
    json::array known;
    if (required->is_array() && properties != nullptr) {
      for (const json::value& name : required->get_array()) {
        if (name.is_string() && properties->get_object().contains(name.get_string())) {
          known.push_back(name);
        }
      }
    }
    if (known.empty()) {
      to.erase("required");
    } else {
      *required = std::move(known);
    }
  }

  const json::object& root_;
  std::string_view param_;
  mutable int nodes_ = 0;
};

}  // namespace

json::object parameters_schema(std::string_view json) {
  json::object schema;
  if (!json.empty()) schema = parse_json_object(json);
  if (schema.empty()) return {{"type", "object"}, {"properties", json::object()}};
  if (!schema.contains("type")) schema["type"] = "object";
  return schema;
}

json::object openapi_schema(const json::object& schema, std::string_view param) {
  return OpenApiCleaner(schema, param).clean(schema, 0, 0);
}

}  // namespace tessera::providers
