// Templates from anyone, rendered with a conversation: text with its pieces, or a typed Error.
// A first line "#json …" replaces the conversation.
#include <boost/json.hpp>
#include <cstdlib>

#include "base/error.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  namespace json = boost::json;
  std::string_view source(reinterpret_cast<const char*>(data), size);
  static const json::array kTools = json::parse(R"([{"type":"function","function":{"name":"f",
      "description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}])")
                                        .as_array();
  ChatTemplateInput input;
  input.now_s = 1722000000;
  input.messages = json::parse(R"([{"role":"system","content":" S\n"},
      {"role":"user","content":"hi \u00e9 <|im_end|>"},
      {"role":"assistant","content":"","tool_calls":[{"id":"abcdefghi","type":"function",
       "function":{"name":"f","arguments":{"a":[1,2.5,null,true]}}}]},
      {"role":"tool","content":"42","tool_call_id":"abcdefghi"}])")
                       .as_array();
  if (source.starts_with("#json ")) {
    const std::size_t end = source.find('\n');
    boost::system::error_code error;
    const json::value value =
        json::parse(source.substr(6, end == source.npos ? end : end - 6), error);
    if (error || !value.is_array()) return 0;
    input.messages = value.get_array();
    source.remove_prefix(end == source.npos ? source.size() : end + 1);
  } else {
    input.tools = kTools;
  }
  try {
    const ChatTemplate chat_template(source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    const RenderedPrompt prompt = chat_template.render(input);
    std::size_t at = 0;
    for (const RenderedPrompt::Piece& piece : prompt.pieces) {
      if (piece.begin != at || piece.end <= piece.begin) std::abort();
      at = piece.end;
    }
    if (at != prompt.text.size()) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
