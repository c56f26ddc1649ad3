// A hostile tokenizer.model (SentencePiece or ranks), then a text for it: the input's own end and a
// mixed one. A first byte that is odd selects the configuration with every switch turned.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  if (size == 0) return 0;
  const std::string_view model(reinterpret_cast<const char*>(data) + 1, size - 1);
  const char* config =
      data[0] % 2 == 0 ? "" : R"({"legacy":false,"add_bos_token":false,"add_eos_token":true,
                             "bos_token":"<s>","eos_token":{"content":"</s>"},
                             "added_tokens_decoder":{"3":{"content":"<x>","special":true},
                                                     "400":{"content":"a b","rstrip":true}}})";
  const std::string mixed =
      "Hello w\xC3\xB6rld  <s>a b\n\xE2\x96\x81\xEF\xBC\xA1\xEF\xAC\x81 e\xCC\x81 12345 "
      "\xE4\xBD\xA0\xF0\x9F\x91\x8D\xFF" +
      std::string(100, 'a');
  try {
    const auto tokenizer = make_tokenizer_from_model(model, config);
    const std::string_view tail =
        model.substr(model.size() - std::min<std::size_t>(model.size(), 256));
    for (const std::string_view text : {std::string_view(mixed), tail}) {
      std::vector<std::int32_t> ids = tokenizer->encode(text, {});
      for (const char c : text) ids.push_back(c);  // also ids that no text gives
      if (!utf8_valid(tokenizer->decode(ids, false))) std::abort();
      Detokenizer detokenizer(*tokenizer, true, true);
      std::string streamed;
      for (const std::int32_t id : ids) streamed += detokenizer.push(id);
      streamed += detokenizer.finish();
      if (!utf8_valid(streamed)) std::abort();
    }
  } catch (const Error&) {
  }
  return 0;
}
