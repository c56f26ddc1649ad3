// A conversation as most providers want it (external-providers 1.5): system text apart, then turns
// of user and assistant that alternate, made of blocks; the results of tool calls grouped before
// the text of the user's turn.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/chat.h"
#include "catalog/served_entity.h"

namespace tessera::providers {

struct Block {
  enum class Kind { kText, kImage, kDocument, kToolCall, kToolResult };
  Kind kind = Kind::kText;
  std::string text;            // kText
  std::string media_type;      // kImage, kDocument given as data: what its bytes are, "image/png"
  std::string data;            // kImage, kDocument: base64; empty when it is given by `url`
  std::string url;             // kImage: http(s), only where TurnRules::fetches_urls
  std::string detail;          // kImage
  std::string id;              // kToolCall, kToolResult: of the call, as the provider may read it
  std::string name;            // kToolCall, kToolResult: the function's
  std::string arguments;       // kToolCall: compact JSON text of an object
  std::vector<Block> content;  // kToolResult: kText and kImage; empty when nothing was returned
  std::string cache_control;   // JSON text of an object, of any block; mostly empty
  std::string path;            // "messages[2].content[0]", for errors about it
};

struct Turn {
  bool assistant = false;
  std::vector<Block> blocks;  // never empty; a user's: tool results first
  std::string
      thinking_blocks;  // assistant: JSON text of an array, replayed, in any provider's form
  std::string reasoning_content;  // assistant: replayed text without signature; mostly empty
};

struct Conversation {
  std::vector<Block> system;  // kText, system and developer messages in order, none blank
  std::vector<Turn> turns;
  bool has_tool_blocks = false;
  // The first use of each function by the history, in order: for providers that want the tools of
  // the history declared.
  std::vector<std::string> used_tools;

  std::string system_text() const;  // joined with '\n'
};

// What a provider can take.
struct TurnRules {
  std::string_view provider;      // for messages
  bool images = true;             // else kUnsupportedContent
  bool documents = false;         // `file` parts with a PDF
  bool fetches_urls = true;       // reads http(s) images itself
  bool cloud_urls = false;        // and gs:// ones
  bool audio = false;             // input_audio parts; they become kDocument with an audio type
  bool merge_same_role = true;    // two user messages in a row become one turn
  std::string_view id_extra;      // characters that ids may have beside [A-Za-z0-9_-]
  std::size_t max_id_length = 0;  // 0: any
};

// Blank text is left out, an assistant turn without any block too; arguments become compact JSON,
// "" becomes {}. Throws Error(kBadMessage | kUnsupportedContent) naming the message: an unknown
// tool_call_id, arguments that are no JSON object, a user message that says nothing, an image of
// unknown kind, a part that the provider cannot read.
Conversation to_turns(const api::ChatRequest& request, const TurnRules& rules);

// The policy image_url_policy of the endpoint, applied to what the provider can do.
bool may_send_urls(const catalog::ExternalModel& model, bool provider_fetches);

// The kind of image that the bytes are: "image/png", "image/jpeg", "image/gif", "image/webp"; ""
// for others. Needs the first 12 bytes.
std::string_view sniff_image(std::string_view bytes);

// data:[<type>];base64,<data>, white space removed. Throws Error(kUnsupportedContent) at `path`.
struct DataUri {
  std::string media_type;  // in lower case
  std::string data;        // base64
};
DataUri read_data_uri(std::string_view uri, std::string_view path);
// The same, for an image: the type is what the bytes say.
DataUri read_image_uri(std::string_view uri, std::string_view path);

// Compact JSON of arguments that must be an object; "" is {}. Throws Error(kBadMessage) at `path`.
std::string arguments_object(std::string_view arguments, std::string_view path);

// Ids in the provider's alphabet: other characters become '_', what is too long or would collide
// ends with a hash. One per request: the same id gives the same answer.
class IdMap {
 public:
  IdMap(std::string_view extra_characters, std::size_t max_length)
      : extra_(extra_characters), max_length_(max_length) {}
  const std::string& operator()(std::string_view id);

 private:
  std::string_view extra_;
  std::size_t max_length_;
  std::map<std::string, std::string, std::less<>> known_;
};

// "call_" + 24 base62 characters, another for each index: ids of calls whose provider gives none.
std::string synthesised_call_id(std::uint64_t seed, std::size_t index);

}  // namespace tessera::providers
