#include "providers/turns.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace tessera::providers {
namespace {

using api::ChatMessage;
using api::ContentPart;

bool is_blank(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; });
}

Error refuse_part(const TurnRules& rules, std::string_view what, std::string path) {
  return Error(ErrorKind::kUnsupportedContent,
               "Unsupported content: " + std::string(what) + " cannot be sent to the provider '" +
                   std::string(rules.provider) + "'.",
               std::move(path));
}

// What Anthropic's prompt caching marks parts with; it comes as an extra member of a part.
std::string cache_control_of(const ContentPart& part) {
  if (part.json.find("cache_control") == std::string::npos) return {};
  const json::value tree = parse_json(part.json);
  const json::object* object = tree.if_object();
  const json::value* member = object == nullptr ? nullptr : find_field(*object, "cache_control");
  return member != nullptr && member->is_object() ? tessera::to_json(*member) : std::string();
}

Block image_block(const ContentPart& part, const TurnRules& rules, const std::string& path) {
  const std::string url_path = join_path(path, "image_url.url");
  if (!rules.images) throw refuse_part(rules, "an image", path);
  Block block{.kind = Block::Kind::kImage, .detail = part.detail, .path = path};
  if (rules.cloud_urls && part.url.starts_with("gs://")) {
    block.url = part.url;
    return block;
  }
  if (part.url.starts_with("http://") || part.url.starts_with("https://")) {
    if (!rules.fetches_urls) {
      throw Error(ErrorKind::kUnsupportedContent,
                  "Unsupported content: the provider '" + std::string(rules.provider) +
                      "' does not fetch images; send a data: URI.",
                  url_path);
    }
    block.url = part.url;
    return block;
  }
  DataUri image = read_image_uri(part.url, url_path);
  block.media_type = std::move(image.media_type);
  block.data = std::move(image.data);
  return block;
}

// {"type": "file", "file": {"file_data": "data:application/pdf;base64,…"}}
Block document_block(const ContentPart& part, const TurnRules& rules, const std::string& path) {
  if (!rules.documents) throw refuse_part(rules, "a file", path);
  const json::object object = parse_json_object(part.json);
  const json::object& file = require_object(object, "file", path);
  const std::string file_path = join_path(path, "file");
  const std::string data_path = join_path(file_path, "file_data");
  DataUri uri = read_data_uri(require_string(file, "file_data", file_path), data_path);
  if (uri.media_type != "application/pdf") {
    throw Error(
        ErrorKind::kUnsupportedContent,
        "Unsupported content: a file must be a PDF, not " + quote_for_message(uri.media_type) + ".",
        data_path);
  }
  return {.kind = Block::Kind::kDocument,
          .media_type = std::move(uri.media_type),
          .data = std::move(uri.data),
          .path = path};
}

// {"type": "input_audio", "input_audio": {"data": "…", "format": "wav" | "mp3"}}
Block audio_block(const ContentPart& part, const std::string& path) {
  const json::object object = parse_json_object(part.json);
  const json::object& audio = require_object(object, "input_audio", path);
  const std::string audio_path = join_path(path, "input_audio");
  const std::string format = require_string(audio, "format", audio_path);
  if (format != "wav" && format != "mp3") {
    throw Error(
        ErrorKind::kUnsupportedContent,
        "Unsupported content: audio must be 'wav' or 'mp3', not " + quote_for_message(format) + ".",
        join_path(audio_path, "format"));
  }
  return {.kind = Block::Kind::kDocument,
          .media_type = format == "wav" ? "audio/wav" : "audio/mpeg",
          .data = require_string(audio, "data", audio_path),
          .path = path};
}

// Blocks of a message's content, blank text left out.
std::vector<Block> content_blocks(const ChatMessage& message, const TurnRules& rules,
                                  const std::string& message_path) {
  std::vector<Block> blocks;
  const std::string content_path = join_path(message_path, "content");
  if (message.parts.empty()) {
    if (message.content && !is_blank(*message.content)) {
      blocks.push_back({.text = *message.content, .path = content_path});
    }
    return blocks;
  }
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    const ContentPart& part = message.parts[i];
    const std::string path = index_path(content_path, i);
    switch (part.kind) {
      case ContentPart::Kind::kText:
      case ContentPart::Kind::kRefusal:
        if (is_blank(part.text)) continue;
        blocks.push_back({.text = part.text, .path = path});
        break;
      case ContentPart::Kind::kImage:
        blocks.push_back(image_block(part, rules, path));
        break;
      case ContentPart::Kind::kFile:
        blocks.push_back(document_block(part, rules, path));
        break;
      case ContentPart::Kind::kReasoning:
        continue;  // the message's thinking_blocks and reasoning_content have it
      case ContentPart::Kind::kAudio:
        if (!rules.audio) throw refuse_part(rules, "audio", path);
        blocks.push_back(audio_block(part, path));
        break;
      case ContentPart::Kind::kOther:
        throw refuse_part(rules, "a part of this type", join_path(path, "type"));
    }
    blocks.back().cache_control = cache_control_of(part);
  }
  return blocks;
}

// The reasoning among an assistant's parts, as a list; "" when there is none.
std::string reasoning_parts(const ChatMessage& message) {
  std::string list;
  for (const ContentPart& part : message.parts) {
    if (part.kind != ContentPart::Kind::kReasoning || part.json.empty()) continue;
    list += (list.empty() ? '[' : ',');
    list += part.json;
  }
  if (!list.empty()) list += ']';
  return list;
}

class TurnBuilder {
 public:
  explicit TurnBuilder(const TurnRules& rules)
      : rules_(rules), ids_(rules.id_extra, rules.max_id_length) {}

  void add(const ChatMessage& message, std::size_t index) {
    const std::string path = index_path("messages", index);
    if (message.role == "system") {
      add_system(message, path);
    } else if (message.role == "assistant") {
      add_assistant(message, path);
    } else if (message.role == "tool") {
      add_result(message, path);
    } else {
      add_user(message, path);
    }
  }

  Conversation take() { return std::move(out_); }

 private:
  void add_system(const ChatMessage& message, const std::string& path) {
    TurnRules text_only = rules_;
    text_only.images = text_only.documents = false;
    for (Block& block : content_blocks(message, text_only, path)) {
      out_.system.push_back(std::move(block));
    }
  }

  void add_assistant(const ChatMessage& message, const std::string& path) {
    Turn turn{.assistant = true,
              .blocks = content_blocks(message, rules_, path),
              .thinking_blocks = message.thinking_blocks,
              .reasoning_content = message.reasoning_content};
    if (turn.thinking_blocks.empty()) turn.thinking_blocks = reasoning_parts(message);
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
      const api::ToolCall& call = message.tool_calls[i];
      const std::string call_path = index_path(join_path(path, "tool_calls"), i);
      names_[call.id] = call.name;
      order_.emplace(call.id, order_.size());
      if (std::ranges::find(out_.used_tools, call.name) == out_.used_tools.end()) {
        out_.used_tools.push_back(call.name);
      }
      turn.blocks.push_back(
          {.kind = Block::Kind::kToolCall,
           .id = ids_(call.id),
           .name = call.name,
           .arguments = arguments_object(call.arguments, call_path + ".function.arguments"),
           .path = call_path});
      out_.has_tool_blocks = true;
    }
    if (turn.blocks.empty() && turn.thinking_blocks.empty()) return;
    append(std::move(turn));
  }

  void add_result(const ChatMessage& message, const std::string& path) {
    const auto name = names_.find(message.tool_call_id);
    if (name == names_.end()) {
      throw Error(ErrorKind::kBadMessage,
                  "Invalid message: no earlier assistant message has a call with the id " +
                      quote_for_message(message.tool_call_id) + ".",
                  join_path(path, "tool_call_id"));
    }
    Block result{.kind = Block::Kind::kToolResult,
                 .id = ids_(message.tool_call_id),
                 .name = name->second,
                 .content = content_blocks(message, rules_, path),
                 .path = path};
    out_.has_tool_blocks = true;
    Turn& turn = user_turn(/*for_result=*/true);
    // In the order of the calls, before all else; of two results for a call the last one counts.
    const std::size_t rank = order_.at(message.tool_call_id);
    auto at = turn.blocks.begin();
    for (; at != turn.blocks.end() && at->kind == Block::Kind::kToolResult; ++at) {
      if (at->id == result.id) {
        *at = std::move(result);
        return;
      }
      if (rank_of(at->id) > rank) break;
    }
    turn.blocks.insert(at, std::move(result));
    ranks_[ids_(message.tool_call_id)] = rank;
  }

  void add_user(const ChatMessage& message, const std::string& path) {
    std::vector<Block> blocks = content_blocks(message, rules_, path);
    if (blocks.empty()) {
      throw Error(ErrorKind::kBadMessage,
                  "Invalid message: a user's message must not be blank for the provider '" +
                      std::string(rules_.provider) + "'.",
                  join_path(path, "content"));
    }
    Turn& turn = user_turn(false);
    std::ranges::move(blocks, std::back_inserter(turn.blocks));
  }

  // The turn that the next user's or tool's message belongs to.
  Turn& user_turn(bool for_result) {
    const bool open = !out_.turns.empty() && !out_.turns.back().assistant;
    const bool after_results = open && !out_.turns.back().blocks.empty() &&
                               out_.turns.back().blocks.back().kind == Block::Kind::kToolResult;
    if (!open || !(rules_.merge_same_role || for_result || after_results)) {
      out_.turns.push_back({});
    }
    return out_.turns.back();
  }

  void append(Turn turn) {
    if (!out_.turns.empty() && out_.turns.back().assistant && rules_.merge_same_role) {
      Turn& last = out_.turns.back();
      // Thinking stands at the start of a turn; a later message's would not.
      if (last.thinking_blocks.empty() && last.blocks.empty()) {
        last.thinking_blocks = std::move(turn.thinking_blocks);
      }
      std::ranges::move(turn.blocks, std::back_inserter(last.blocks));
      return;
    }
    out_.turns.push_back(std::move(turn));
  }

  std::size_t rank_of(const std::string& id) const {
    const auto found = ranks_.find(id);
    return found == ranks_.end() ? 0 : found->second;
  }

  const TurnRules& rules_;
  IdMap ids_;
  Conversation out_;
  std::map<std::string, std::string> names_;  // of functions, by the client's id
  std::map<std::string, std::size_t> order_;  // of calls, by the client's id
  std::map<std::string, std::size_t> ranks_;  // the same, by the provider's id
};

}  // namespace

std::string Conversation::system_text() const {
  std::string text;
  for (const Block& block : system) {
    if (!text.empty()) text += '\n';
    text += block.text;
  }
  return text;
}

Conversation to_turns(const api::ChatRequest& request, const TurnRules& rules) {
  TurnBuilder builder(rules);
  for (std::size_t i = 0; i < request.messages.size(); ++i) builder.add(request.messages[i], i);
  return builder.take();
}

bool may_send_urls(const catalog::ExternalModel& model, bool provider_fetches) {
  const std::string_view policy = model.option("image_url_policy");
  if (policy == "reject" || policy == "inline") return false;  // inlined before it comes to us
  return provider_fetches;
}

std::string_view sniff_image(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\x89PNG"sv)) return "image/png";
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return "image/jpeg";
  if (bytes.starts_with("GIF8"sv)) return "image/gif";
  if (bytes.starts_with("RIFF"sv) && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP"sv) {
    return "image/webp";
  }
  return {};
}

DataUri read_data_uri(std::string_view uri, std::string_view path) {
  const auto refuse = [&](std::string_view what) {
    return Error(ErrorKind::kUnsupportedContent,
                 "Unsupported content: " + std::string(what) + ", received " +
                     quote_for_message(utf8_prefix(uri, 40)) + ".",
                 std::string(path));
  };
  if (!iequals(uri.substr(0, 5), "data:")) {
    throw refuse("the URL must begin with 'https://', 'http://' or 'data:'");
  }
  const std::size_t comma = uri.find(',');
  const std::string head = to_lower(uri.substr(5, comma == std::string_view::npos ? 0 : comma - 5));
  if (!head.ends_with(";base64"))
    throw refuse("a data: URI must have the form 'data:<type>;base64,<data>'");
  DataUri read{.media_type = std::string(trim(head.substr(0, head.find(';'))))};
  if (read.media_type == "image/jpg") read.media_type = "image/jpeg";
  const std::string_view data = uri.substr(comma + 1);
  read.data.reserve(data.size());
  bool valid = true;
  for (const char c : data) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isspace(byte) != 0) continue;
    valid = valid && (std::isalnum(byte) != 0 || c == '+' || c == '/' || c == '=');
    read.data += c;
  }
  if (!valid || read.data.empty()) throw refuse("the data of a data: URI must be base64");
  while (read.data.size() % 4 != 0) read.data += '=';
  return read;
}

DataUri read_image_uri(std::string_view uri, std::string_view path) {
  DataUri read = read_data_uri(uri, path);
  // 24 characters are 18 bytes.
  const std::optional<std::string> start = base64_decode(read.data.substr(0, 24));
  const std::string_view type = start ? sniff_image(*start) : std::string_view();
  if (type.empty()) {
    throw Error(ErrorKind::kUnsupportedContent,
                "Unsupported content: an image must be PNG, JPEG, GIF or WEBP; the bytes of this " +
                    quote_for_message(read.media_type) + " are none of them.",
                std::string(path));
  }
  read.media_type = type;
  return read;
}

std::string arguments_object(std::string_view arguments, std::string_view path) {
  if (is_blank(arguments)) return "{}";
  try {
    const json::value tree = parse_json(arguments);
    if (tree.is_object()) return tessera::to_json(tree);
  } catch (const Error&) {
    // told below
  }
  throw Error(
      ErrorKind::kBadMessage,
      "Invalid message: the arguments of a call must be the text of a JSON object, received " +
          quote_for_message(arguments) + ".",
      std::string(path));
}

const std::string& IdMap::operator()(std::string_view id) {
  if (const auto found = known_.find(id); found != known_.end()) return found->second;
  std::string mapped(id);
  for (char& c : mapped) {
    const bool allowed = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' ||
                         extra_.find(c) != std::string_view::npos;
    if (!allowed) c = '_';
  }
  const bool too_long = max_length_ != 0 && mapped.size() > max_length_;
  const bool taken =
      std::ranges::any_of(known_, [&](const auto& entry) { return entry.second == mapped; });
  if (mapped.empty() || too_long || taken) {
    const std::string tail = "_" + sha256_hex(id).substr(0, 12);
    if (max_length_ != 0) mapped.resize(std::min(mapped.size(), max_length_ - tail.size()));
    mapped += tail;
  }
  return known_.emplace(std::string(id), std::move(mapped)).first->second;
}

std::string synthesised_call_id(std::uint64_t seed, std::size_t index) {
  static constexpr std::string_view kBase62 =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const Digest256 digest = sha256(std::to_string(seed) + '/' + std::to_string(index));
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kBase62[digest[static_cast<std::size_t>(i)] % kBase62.size()];
  return id;
}

}  // namespace tessera::providers
