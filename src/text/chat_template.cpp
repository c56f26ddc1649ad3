#include "text/chat_template.h"

#include <boost/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "base/strings.h"
#include "text/jinja_eval.h"
#include "text/jinja_parser.h"

namespace tessera {

namespace fs = std::filesystem;
namespace json = boost::json;

struct ChatTemplate::Impl {
  jinja::Block block;
  std::optional<jinja::Block> tool_use;
  std::vector<std::pair<std::string, jinja::Value>> special_tokens;
};

namespace {

constexpr std::size_t kMaxTemplateBytes = 1 << 20;
constexpr std::size_t kMaxConfigBytes = 64u << 20;

std::string sanitized(std::string_view text) {
  return utf8_valid(text) ? std::string(text) : utf8_sanitize(text);
}

jinja::Block parse(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    throw Error(ErrorKind::kBadModelFile, "the chat template has " + std::to_string(source.size()) +
                                              " bytes, at most " +
                                              std::to_string(kMaxTemplateBytes) + " are read");
  }
  return jinja::parse_template(sanitized(source));
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source,
                           std::vector<std::pair<std::string, std::string>> special_tokens,
                           std::optional<std::string_view> tool_use) {
  auto impl = std::make_unique<Impl>();
  impl->block = parse(source);
  if (tool_use) impl->tool_use = parse(*tool_use);
  for (auto& [name, token] : special_tokens) {
    impl->special_tokens.emplace_back(std::move(name), jinja::make_text(sanitized(token)));
  }
  impl_ = std::move(impl);
}

ChatTemplate::~ChatTemplate() = default;

RenderedPrompt ChatTemplate::render(const ChatTemplateInput& input) const {
  jinja::RenderInput variables;
  variables.now_s = input.now_s.value_or(tessera::now_s());
  jinja::Text text;
  try {
    const auto array = [](const std::optional<json::array>& value) {
      return value ? jinja::from_json(*value) : jinja::Value(jinja::None{});
    };
    auto& out = variables.variables;
    out = impl_->special_tokens;
    out.emplace_back("messages", jinja::from_json(input.messages));
    out.emplace_back("tools", array(input.tools));
    out.emplace_back("documents", array(input.documents));
    out.emplace_back("add_generation_prompt", input.add_generation_prompt);
    for (const auto& [name, value] : input.kwargs) {
      if (name == "messages" || name == "tools" || name == "documents") {
        throw Error(ErrorKind::kBadValue,
                    "chat_template_kwargs cannot set '" + std::string(name) + "'",
                    "chat_template_kwargs." + std::string(name));
      }
      out.emplace_back(std::string(name), jinja::from_json(value));
    }
  } catch (const jinja::Failure& failure) {
    throw Error(ErrorKind::kBadValue, "chat template input: " + failure.message, "messages");
  }
  const bool with_tools = input.tools && !input.tools->empty() && impl_->tool_use;
  text = jinja::render(with_tools ? *impl_->tool_use : impl_->block, variables);

  RenderedPrompt prompt;
  std::size_t at = 0;
  for (const jinja::Text::Range& range : text.foreign) {
    if (range.begin > at) prompt.pieces.push_back({at, range.begin, true});
    prompt.pieces.push_back({range.begin, range.end, false});
    at = range.end;
  }
  if (at < text.chars.size()) prompt.pieces.push_back({at, text.chars.size(), true});
  prompt.text = std::move(text.chars);
  return prompt;
}

namespace {

std::optional<std::string> read_text(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  const MappedFile mapped(file);
  if (mapped.size() > kMaxConfigBytes) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": has " + std::to_string(mapped.size()) +
                                              " bytes, at most " + std::to_string(kMaxConfigBytes) +
                                              " are read");
  }
  return std::string(reinterpret_cast<const char*>(mapped.data()), mapped.size());
}

// The chat_template member of a JSON file: a string, or a list of {name, template}.
std::optional<ChatTemplateSource> template_member(const fs::path& file) {
  const std::optional<std::string> text = read_text(file);
  if (!text) return std::nullopt;
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": " + what);
  };
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  const json::value root = json::parse(*text, error, {}, options);
  if (error) bad("is not valid JSON: " + error.message());
  if (!root.is_object()) bad("must be a JSON object");
  const json::value* member = root.get_object().if_contains("chat_template");
  if (member == nullptr || member->is_null()) return std::nullopt;
  if (member->is_string()) {
    return ChatTemplateSource{std::string(member->get_string()), std::nullopt};
  }
  if (!member->is_array()) bad("key 'chat_template' must be a string or a list");
  std::optional<std::string> standard, tool_use;
  for (const json::value& item : member->get_array()) {
    const json::object* entry = item.if_object();
    const json::value* name = entry == nullptr ? nullptr : entry->if_contains("name");
    const json::value* source = entry == nullptr ? nullptr : entry->if_contains("template");
    if (name == nullptr || !name->is_string() || source == nullptr || !source->is_string()) {
      bad("key 'chat_template' must list objects with 'name' and 'template'");
    }
    if (name->get_string() == "default") standard = source->get_string();
    if (name->get_string() == "tool_use") tool_use = source->get_string();
  }
  if (!standard) bad("key 'chat_template' lists several templates, none named 'default'");
  return ChatTemplateSource{std::move(*standard), std::move(tool_use)};
}

}  // namespace

std::optional<ChatTemplateSource> find_chat_template(const fs::path& folder) {
  if (auto standard = read_text(folder / "chat_template.jinja")) {
    return ChatTemplateSource{std::move(*standard),
                              read_text(folder / "additional_chat_templates" / "tool_use.jinja")};
  }
  if (auto source = template_member(folder / "chat_template.json")) return source;
  return template_member(folder / "tokenizer_config.json");
}

}  // namespace tessera
