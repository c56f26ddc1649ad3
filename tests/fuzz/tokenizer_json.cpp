// A hostile tokenizer.json, then a hostile text for it: the input is JSON, 0xFF, text.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\xFF');
  const std::string_view text =
      cut == std::string_view::npos ? std::string_view("a B\n1 \xC3\xA9 <s>") : input.substr(cut + 1);
  try {
    const auto tokenizer = make_tokenizer(input.substr(0, cut));
    const TextSpan spans[] = {{text.substr(0, text.size() / 2), true},
                              {text.substr(text.size() / 2), false}};
    std::vector<std::int32_t> ids = tokenizer->encode(text, {});
    for (const std::int32_t id : tokenizer->encode_spans(spans)) ids.push_back(id);
    for (const char c : text) ids.push_back(c);  // also ids that no text gives
    tokenizer->decode(ids, false);
    Detokenizer detokenizer(*tokenizer, true, true);
    for (const std::int32_t id : ids) detokenizer.push(id);
    detokenizer.finish();
  } catch (const Error&) {
  }
  return 0;
}
