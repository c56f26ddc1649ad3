#include "text/decoder.h"

#include <algorithm>

#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace tessera {

using namespace decoders;

std::optional<unsigned char> byte_of_fallback_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + digit;
  }
  return static_cast<unsigned char>(value);
}

namespace {

std::string join(const std::vector<std::string>& tokens) {
  std::string out;
  for (const std::string& token : tokens) out += token;
  return out;
}

// Spacing around punctuation, as BERT's decoder undoes it.
std::string clean_up(std::string text) {
  static const std::pair<std::string, std::string_view> kFixes[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [from, to] : kFixes) {
    if (text.find(from) != std::string::npos) text = replace_all(text, TextPattern{from}, to);
  }
  return text;
}

std::string byte_level_bytes(std::string_view token) {
  auto bytes = from_byte_alphabet(token);
  return bytes ? std::move(*bytes) : std::string(token);
}

std::string strip(std::string token, const Strip& step) {
  const std::string content = to_utf8(step.content);
  std::size_t begin = 0, end = token.size();
  for (std::size_t k = 0; k < step.start; ++k) {
    if (!std::string_view(token).substr(begin, end - begin).starts_with(content)) break;
    begin += content.size();
  }
  for (std::size_t k = 0; k < step.stop; ++k) {
    if (!std::string_view(token).substr(begin, end - begin).ends_with(content)) break;
    end -= content.size();
  }
  return token.substr(begin, end - begin);
}

std::string word_piece(std::string token, const WordPiece& step, bool first) {
  if (!first) {
    if (token.starts_with(step.prefix)) {
      token.erase(0, step.prefix.size());
    } else {
      token.insert(0, 1, ' ');
    }
  }
  return step.cleanup ? clean_up(std::move(token)) : token;
}

std::string metaspace(std::string_view token, const Metaspace& step, bool first) {
  const bool drop = first && step.prepends;
  return replace_all(token, TextPattern{step.replacement}, drop ? "" : " ");
}

struct Apply {
  std::vector<std::string> tokens;

  void operator()(const ByteLevel&) {
    std::string bytes;
    for (const std::string& token : tokens) bytes += byte_level_bytes(token);
    tokens = {utf8_sanitize(bytes)};
  }
  void operator()(const Replace& step) {
    for (std::string& token : tokens) token = replace_all(token, step.pattern, step.content);
  }
  // A run of byte tokens is text if the whole run is; else one U+FFFD for each.
  void operator()(const ByteFallback&) {
    std::vector<std::string> out;
    std::string run;
    const auto flush = [&] {
      if (run.empty()) return;
      if (utf8_valid(run)) {
        out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), std::string(kReplacementCharacter));
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = byte_of_fallback_token(token)) {
        run += static_cast<char>(*byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }
  void operator()(const Fuse&) { tokens = {join(tokens)}; }
  void operator()(const Strip& step) {
    for (std::string& token : tokens) token = strip(std::move(token), step);
  }
  void operator()(const Metaspace& step) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = metaspace(tokens[i], step, i == 0);
    }
  }
  void operator()(const WordPiece& step) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = word_piece(std::move(tokens[i]), step, i == 0);
    }
  }
};

}  // namespace

std::string Decoder::decode(std::vector<std::string> tokens) const {
  Apply apply{std::move(tokens)};
  if (steps_.empty()) {
    // The reference library's rule for files without a decoder.
    std::string out;
    for (std::size_t i = 0; i < apply.tokens.size(); ++i) {
      if (i > 0) out += ' ';
      out += apply.tokens[i];
    }
    return out;
  }
  const auto size = [&] {
    std::size_t bytes = 0;
    for (const std::string& token : apply.tokens) bytes += token.size();
    return bytes;
  };
  const std::size_t before = size();
  for (const Step& step : steps_) {
    std::visit(apply, step);
    if (steps_.size() > 1) check_growth(before, size());
  }
  return join(apply.tokens);
}

std::string Decoder::token_bytes(std::string_view token) const {
  std::string bytes(token);
  bool fused = false;
  bool is_byte = false;
  for (const Step& step : steps_) {
    if (is_byte) break;  // a byte is final; the remaining steps speak of whole texts
    if (std::holds_alternative<ByteLevel>(step)) {
      bytes = byte_level_bytes(bytes);
      is_byte = true;
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      bytes = replace_all(bytes, replace->pattern, replace->content);
      check_growth(token.size(), bytes.size());
    } else if (std::holds_alternative<ByteFallback>(step)) {
      if (const auto byte = byte_of_fallback_token(bytes)) {
        bytes.assign(1, static_cast<char>(*byte));
        is_byte = true;
      }
    } else if (std::holds_alternative<Fuse>(step)) {
      fused = true;
    } else if (const auto* stripped = std::get_if<Strip>(&step)) {
      if (!fused) bytes = strip(std::move(bytes), *stripped);
    } else if (const auto* meta = std::get_if<Metaspace>(&step)) {
      bytes = metaspace(bytes, *meta, false);
    } else if (const auto* word = std::get_if<WordPiece>(&step)) {
      bytes = word_piece(std::move(bytes), *word, false);
    }
  }
  return steps_.empty() ? " " + bytes : bytes;
}

bool Decoder::strips_leading_space() const {
  if (steps_.empty()) return true;
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    if (const auto* stripped = std::get_if<Strip>(&step)) {
      return stripped->content == U' ' && stripped->start > 0;
    }
    if (const auto* meta = std::get_if<Metaspace>(&step)) return meta->prepends;
    return std::holds_alternative<WordPiece>(step);
  });
}

}  // namespace tessera
