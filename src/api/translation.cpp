#include "api/translation.h"

#include "base/json.h"
#include "base/strings.h"

namespace tessera::api {

Error unsupported_content(const std::string& path, std::string_view what, std::string_view type) {
  return Error(ErrorKind::kUnsupportedContent,
               "Unsupported content: a " + std::string(what) + " of type " +
                   quote_for_message(type) + " cannot be put to this model.",
               join_path(path, "type"));
}

void rename_param(Error& error, std::string_view ours, std::string_view theirs) {
  const std::string quoted = "'" + error.param;
  error.param.replace(0, ours.size(), theirs);
  if (const std::size_t at = error.message.find(quoted); at != std::string::npos) {
    error.message.replace(at + 1, ours.size(), theirs);
  }
}

std::string with_prefix(std::string_view prefix, std::string_view id) {
  if (id.starts_with(prefix)) return std::string(id);
  constexpr std::string_view kChat = "chatcmpl-";
  if (id.starts_with(kChat)) id.remove_prefix(kChat.size());
  return std::string(prefix) + std::string(id);
}

const ChatChoice& first_choice(const ChatResponse& response) {
  static const ChatChoice kNone;
  return response.choices.empty() ? kNone : response.choices.front();
}

void write_event(std::string& out, std::string_view type, std::string_view json) {
  out += "event: ";
  out += type;
  out += "\ndata: ";
  out += json;
  out += "\n\n";
}

}  // namespace tessera::api
