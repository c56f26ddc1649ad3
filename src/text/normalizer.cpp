#include "text/normalizer.h"

#include "base/error.h"
#include "text/utf8.h"

namespace tessera {

std::vector<std::pair<std::size_t, std::size_t>> TextPattern::find_all(std::string_view text,
                                                                       std::size_t& budget) const {
  std::vector<std::pair<std::size_t, std::size_t>> matches;
  if (const auto* literal = std::get_if<std::string>(&pattern)) {
    if (literal->empty()) return matches;
    for (std::size_t at = text.find(*literal); at != std::string_view::npos;
         at = text.find(*literal, at + literal->size())) {
      matches.emplace_back(at, at + literal->size());
    }
    return matches;
  }
  const Regex& regex = std::get<Regex>(pattern);
  std::size_t from = 0, last_end = std::string_view::npos;
  while (from <= text.size()) {
    const auto match = regex.find(text, from, budget);
    if (!match) break;
    // An empty match right behind the previous match is not a match of its own.
    if (match->first != match->second || match->second != last_end) matches.push_back(*match);
    last_end = match->second;
    from = match->second;
    if (match->first == match->second) {
      if (from >= text.size()) break;
      from += lead_length(text[from]);
    }
  }
  return matches;
}

void check_growth(std::size_t bytes_before, std::size_t bytes_after) {
  // NFKD, the hungriest of the honest rules, makes 11 bytes of one.
  if (bytes_after <= 64 * bytes_before + 4096) return;
  throw Error(ErrorKind::kBadValue, "The tokenizer's rules turn " + std::to_string(bytes_before) +
                                        " bytes of text into " + std::to_string(bytes_after) +
                                        "; at most 64 times as many are possible.");
}

std::string replace_all(std::string_view text, const TextPattern& pattern,
                        std::string_view content) {
  std::string out;
  std::size_t done = 0;
  const auto matches = pattern.find_all(text);
  check_growth(text.size(), matches.size() * content.size());
  for (const auto& [begin, end] : matches) {
    out.append(text.substr(done, begin - done)).append(content);
    done = end;
  }
  return out.append(text.substr(done));
}

namespace {

using namespace normalizers;

// Cc, Cf and Co; unassigned characters stay, as in the reference library.
constexpr std::uint32_t kControlLike = kOther & ~1u;

// The block starting at 2B920 is the reference library's: U+2B820..2B91F stay with their
// neighbours there.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::string bert(std::string_view text, const Bert& step) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  bool ascii = true;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const char32_t c = next_code_point(text, i);
    if (c < 0x80) {
      char byte = static_cast<char>(c);
      if (step.clean_text) {
        if (byte == '\t' || byte == '\n' || byte == '\r') {
          byte = ' ';
        } else if (byte < ' ' || byte == 0x7F) {
          continue;
        }
      }
      // Lower-casing ASCII commutes with the later steps.
      if (step.lowercase && byte >= 'A' && byte <= 'Z') byte += 'a' - 'A';
      out += byte;
      continue;
    }
    if (step.clean_text) {
      if (c == 0xFFFD || (category_bit_unicode8(c) & kControlLike)) continue;
      if (is_white_space(c)) {
        out += ' ';
        continue;
      }
    }
    ascii = false;
    if (step.handle_chinese_chars && is_chinese(c)) {
      out.append(" ").append(text.substr(begin, i - begin)).append(" ");
    } else {
      out.append(text.substr(begin, i - begin));
    }
  }
  if (ascii) return out;
  const auto each = [](std::string_view in, auto&& f) {
    std::string result;
    result.reserve(in.size());
    for (std::size_t i = 0; i < in.size();) f(result, next_code_point(in, i));
    return result;
  };
  if (step.strip_accents) {
    out = each(normalize(out, NormalForm::kNfd), [](std::string& to, char32_t c) {
      if (!(category_bit_unicode8(c) & kNonspacingMark)) append_utf8(to, c);
    });
  }
  if (step.lowercase) {
    out = each(out, [](std::string& to, char32_t c) { append_lower(to, c); });
  }
  return out;
}

std::string precompiled(std::string_view text, const Charsmap& charsmap) {
  std::string out;
  out.reserve(text.size());
  for_each_grapheme(text, [&](std::string_view grapheme) {
    if (grapheme.size() < 6) {
      if (const auto rule = charsmap.shortest(grapheme)) {
        out += rule->replacement;
        return;
      }
    }
    for (std::size_t i = 0; i < grapheme.size();) {
      const std::string_view character = grapheme.substr(i, lead_length(grapheme[i]));
      const auto rule = charsmap.shortest(character);
      out += rule ? rule->replacement : character;
      i += character.size();
    }
  });
  return out;
}

struct Apply {
  std::string text;

  std::string operator()(const Prepend& step) { return text.empty() ? text : step.text + text; }
  std::string operator()(const Replace& step) {
    return replace_all(text, step.pattern, step.content);
  }
  std::string operator()(const Form& step) { return normalize(text, step.form); }
  std::string operator()(const Lowercase&) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) append_lower(out, next_code_point(text, i));
    return out;
  }
  std::string operator()(const StripAccents&) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const char32_t c = next_code_point(text, i);
      if (!(category_bit(c) & kMark)) append_utf8(out, c);
    }
    return out;
  }
  std::string operator()(const Strip& step) {
    std::size_t begin = 0, end = text.size();
    while (step.left && begin < end) {
      std::size_t next = begin;
      if (!is_white_space(next_code_point(text, next))) break;
      begin = next;
    }
    while (step.right && end > begin) {
      std::size_t last = previous_code_point(text, end), i = last;
      if (!is_white_space(next_code_point(text, i))) break;
      end = last;
    }
    return text.substr(begin, end - begin);
  }
  std::string operator()(const Bert& step) { return bert(text, step); }
  std::string operator()(const Precompiled& step) { return precompiled(text, *step.charsmap); }
  std::string operator()(const SentencePieceNormalizer& step) { return step.apply(text); }
};

}  // namespace

std::string Normalizer::apply(std::string_view text) const {
  Apply apply{std::string(text)};
  for (const Step& step : steps_) {
    apply.text = std::visit(apply, step);
    check_growth(text.size(), apply.text.size());
  }
  return std::move(apply.text);
}

}  // namespace tessera
