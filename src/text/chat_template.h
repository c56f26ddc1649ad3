// Messages to prompt text by the model's own Jinja template. Immutable, safe from any thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace tessera {

struct ChatTemplateInput {
  // OpenAI messages after preparation (content flattened to text, tool arguments as objects):
  // {"role","content","name"?,"tool_calls"?,"tool_call_id"?}.
  boost::json::array messages;
  std::optional<boost::json::array> tools;
  std::optional<boost::json::array> documents;
  bool add_generation_prompt = true;
  boost::json::object kwargs;         // chat_template_kwargs
  std::optional<std::int64_t> now_s;  // for strftime_now; the clock when absent
};

// Rendered text with the origin of each stretch: true where it came from the template itself,
// false where it came from message content.
struct RenderedPrompt {
  std::string text;
  struct Piece {
    std::size_t begin, end;
    bool from_template;
  };
  std::vector<Piece> pieces;
};

class ChatTemplate {
 public:
  // Parses; throws Error(kBadModelFile) with line and column. A `tool_use` template, where a model
  // has one, renders the requests that bring tools.
  ChatTemplate(std::string_view source,
               std::vector<std::pair<std::string, std::string>> special_tokens,
               std::optional<std::string_view> tool_use = std::nullopt);
  ~ChatTemplate();

  // Throws Error(kBadMessage) for raise_exception(msg), Error(kBadValue) for run-time errors and
  // limits (template 1 MiB, output 64 MiB, 10^6 loop iterations, recursion 64, 3 seconds of one
  // core).
  RenderedPrompt render(const ChatTemplateInput& input) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

struct ChatTemplateSource {
  std::string standard;                 // named "default" where there are several
  std::optional<std::string> tool_use;  // for requests with tools
};

// chat_template.jinja (beside it additional_chat_templates/tool_use.jinja), chat_template.json or
// tokenizer_config.json of a model folder (§3.1); nullopt when the folder has none. Throws
// Error(kBadModelFile) naming the file, also when several are there but none is "default".
std::optional<ChatTemplateSource> find_chat_template(const std::filesystem::path& folder);

}  // namespace tessera
