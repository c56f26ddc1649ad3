#include "text/sentencepiece_normalizer.h"

#include "text/utf8.h"

namespace tessera {

namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

struct Step {
  std::string_view text;  // what the front of the input becomes
  std::size_t length;     // bytes of the input
};

Step next_step(const SentencePieceNormalizer& rules, std::string_view input) {
  if (rules.user_defined) {
    std::int32_t ignored;
    const std::size_t end = rules.user_defined->longest_match(input, 0, ignored);
    if (end != std::string_view::npos) return {input.substr(0, end), end};
  }
  if (rules.charsmap) {
    if (const auto rule = rules.charsmap->longest(input)) return {rule->replacement, rule->length};
  }
  const std::size_t length = lead_length(input[0]);
  return {input.substr(0, length), length};
}

}  // namespace

std::string SentencePieceNormalizer::apply(std::string_view input) const {
  if (remove_extra_whitespaces) {
    while (!input.empty()) {
      const Step step = next_step(*this, input);
      if (step.text != " ") break;
      input.remove_prefix(step.length);
    }
  }
  std::string out;
  if (input.empty()) return out;
  const std::string_view space = escape_whitespaces ? kSpaceMark : std::string_view(" ");
  out.reserve(input.size() + input.size() / 2 + space.size());
  if (add_dummy_prefix && !prefix_is_suffix) out += space;
  bool after_space = remove_extra_whitespaces;
  while (!input.empty()) {
    Step step = next_step(*this, input);
    input.remove_prefix(step.length);
    while (after_space && step.text.starts_with(' ')) step.text.remove_prefix(1);
    for (const char c : step.text) {
      if (c == ' ') {
        out += space;
      } else {
        out += c;
      }
    }
    if (!step.text.empty()) after_space = step.text.ends_with(' ');
    if (!remove_extra_whitespaces) after_space = false;
  }
  if (remove_extra_whitespaces) {
    while (out.ends_with(space)) out.resize(out.size() - space.size());
  }
  if (add_dummy_prefix && prefix_is_suffix) out += space;
  return out;
}

}  // namespace tessera
