#include "text/pretokenizer.h"

#include "text/byte_alphabet.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace tessera {

namespace {

using namespace pretokenizers;

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
  }
  return category_bit_unicode8(c) & kPunctuation;
}

bool is_number(char32_t c) {
  return c < 0x80 ? c >= '0' && c <= '9' : (category_bit(c) & kNumber) != 0;
}

bool is_space(char32_t c) {
  return c < 0x80 ? c == ' ' || (c >= '\t' && c <= '\r') : is_white_space(c);
}

using Ranges = std::vector<Pieces::Range>;

// Alternating stretches of one piece, joined and dropped as a behaviour says.
class Stretches {
 public:
  Stretches(std::size_t base, Behavior behavior, bool invert, Ranges& out)
      : base_(base), behavior_(behavior), invert_(invert), out_(out) {}

  void add(std::size_t begin, std::size_t end, bool match) {
    if (invert_) match = !match;
    switch (behavior_) {
      case Behavior::kRemoved:
        if (!match) put(begin, end);
        break;
      case Behavior::kIsolated:
        put(begin, end);
        break;
      case Behavior::kMergedWithPrevious:
        if (match && !previous_match_ && open_) {
          out_.back().end = static_cast<std::uint32_t>(base_ + end);
        } else {
          put(begin, end);
        }
        break;
      case Behavior::kMergedWithNext:
        // Joined from behind: a match waits for the stretch after it.
        if (!match && previous_match_ && open_) {
          out_.back().end = static_cast<std::uint32_t>(base_ + end);
        } else {
          put(begin, end);
        }
        break;
      case Behavior::kContiguous:
        if (open_ && match == previous_match_) {
          out_.back().end = static_cast<std::uint32_t>(base_ + end);
        } else {
          put(begin, end);
        }
        break;
    }
    previous_match_ = match;
  }

 private:
  void put(std::size_t begin, std::size_t end) {
    open_ = begin < end;
    if (open_) {
      out_.push_back(
          {static_cast<std::uint32_t>(base_ + begin), static_cast<std::uint32_t>(base_ + end)});
    }
  }

  std::size_t base_;
  Behavior behavior_;
  bool invert_;
  Ranges& out_;
  bool previous_match_ = false, open_ = false;
};

// Cuts each piece: cut(piece, base, out) appends ranges of the whole text.
template <class Cut>
void cut_each(Pieces& pieces, Cut&& cut) {
  Ranges out;
  out.reserve(pieces.ranges.size() + pieces.text.size() / 5);
  for (const Pieces::Range& range : pieces.ranges) cut(pieces[range], range.begin, out);
  pieces.ranges = std::move(out);
}

// Every single character that satisfies `test` is a match.
template <class Test>
void cut_at_characters(Pieces& pieces, Behavior behavior, Test&& test) {
  cut_each(pieces, [&](std::string_view piece, std::size_t base, Ranges& out) {
    Stretches stretches(base, behavior, false, out);
    std::size_t begin = 0;
    for (std::size_t i = 0; i < piece.size();) {
      const std::size_t at = i;
      if (!test(next_code_point(piece, i))) continue;
      if (begin < at) stretches.add(begin, at, false);
      stretches.add(at, i, true);
      begin = i;
    }
    if (begin < piece.size()) stretches.add(begin, piece.size(), false);
  });
}

// Rewrites each piece: rewrite(piece, index, out) appends its new text.
template <class Rewrite>
void rewrite_each(Pieces& pieces, Rewrite&& rewrite) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.text.size() / 4 + 8);
  Ranges out;
  out.reserve(pieces.ranges.size());
  for (std::size_t k = 0; k < pieces.ranges.size(); ++k) {
    const auto begin = static_cast<std::uint32_t>(text.size());
    rewrite(pieces[pieces.ranges[k]], k, text);
    out.push_back({begin, static_cast<std::uint32_t>(text.size())});
  }
  pieces.text = std::move(text);
  pieces.ranges = std::move(out);
}

void cut_by_scanner(Pieces& pieces, SplitPattern pattern) {
  cut_each(pieces, [pattern](std::string_view piece, std::size_t base, Ranges& out) {
    for (std::size_t i = 0; i < piece.size();) {
      const std::size_t end = next_piece(pattern, piece, i);
      out.push_back({static_cast<std::uint32_t>(base + i), static_cast<std::uint32_t>(base + end)});
      i = end;
    }
  });
}

struct Apply {
  Pieces& pieces;
  bool spell_bytes;

  void operator()(const ByteLevel& step) {
    if (step.add_prefix_space) {
      rewrite_each(pieces, [](std::string_view piece, std::size_t, std::string& out) {
        if (!piece.starts_with(' ')) out += ' ';
        out += piece;
      });
    }
    if (step.use_regex) cut_by_scanner(pieces, SplitPattern::kGpt2);
    if (spell_bytes) {
      rewrite_each(pieces, [](std::string_view piece, std::size_t, std::string& out) {
        out += to_byte_alphabet(piece);
      });
    }
  }
  void operator()(const Known& step) { cut_by_scanner(pieces, step.pattern); }
  void operator()(const Split& step) {
    std::size_t budget = Regex::step_budget(pieces.text.size());  // for all pieces together
    cut_each(pieces, [&](std::string_view piece, std::size_t base, Ranges& out) {
      Stretches stretches(base, step.behavior, step.invert, out);
      std::size_t done = 0;
      for (const auto& [begin, end] : step.pattern.find_all(piece, budget)) {
        if (done < begin) stretches.add(done, begin, false);
        stretches.add(begin, end, true);
        done = end;
      }
      if (done < piece.size()) stretches.add(done, piece.size(), false);
    });
  }
  void operator()(const Metaspace& step) {
    const bool first_piece_is_start = pieces.at_input_start;
    rewrite_each(pieces, [&](std::string_view piece, std::size_t k, std::string& out) {
      const std::size_t begin = out.size();
      for (const char c : piece) {
        if (c == ' ') {
          out += step.replacement;
        } else {
          out += c;
        }
      }
      const bool wanted =
          step.prepend_scheme == Metaspace::Prepend::kAlways ||
          (step.prepend_scheme == Metaspace::Prepend::kFirst && k == 0 && first_piece_is_start);
      if (wanted && !std::string_view(out).substr(begin).starts_with(step.replacement)) {
        out.insert(begin, step.replacement);
      }
    });
    if (!step.split) return;
    const TextPattern pattern{step.replacement};
    cut_each(pieces, [&](std::string_view piece, std::size_t base, Ranges& out) {
      Stretches stretches(base, Behavior::kMergedWithNext, false, out);
      std::size_t done = 0;
      for (const auto& [begin, end] : pattern.find_all(piece)) {
        if (done < begin) stretches.add(done, begin, false);
        stretches.add(begin, end, true);
        done = end;
      }
      if (done < piece.size()) stretches.add(done, piece.size(), false);
    });
  }
  void operator()(const Digits& step) {
    cut_at_characters(pieces, step.individual ? Behavior::kIsolated : Behavior::kContiguous,
                      is_number);
  }
  void operator()(const Bert&) {
    cut_each(pieces, [](std::string_view piece, std::size_t base, Ranges& out) {
      const auto put = [&](std::size_t begin, std::size_t end) {
        if (begin < end) {
          out.push_back(
              {static_cast<std::uint32_t>(base + begin), static_cast<std::uint32_t>(base + end)});
        }
      };
      std::size_t begin = 0;
      for (std::size_t i = 0; i < piece.size();) {
        const std::size_t at = i;
        const char32_t c = next_code_point(piece, i);
        const bool space = is_space(c);
        if (!space && !is_punctuation(c)) continue;
        put(begin, at);
        if (!space) put(at, i);
        begin = i;
      }
      put(begin, piece.size());
    });
  }
  void operator()(const Whitespace&) {
    cut_each(pieces, [](std::string_view piece, std::size_t base, Ranges& out) {
      int previous = 0;
      for (std::size_t i = 0; i < piece.size();) {
        const auto at = static_cast<std::uint32_t>(base + i);
        const char32_t c = next_code_point(piece, i);
        const int kind = is_space(c) ? 0 : is_word(c) ? 1 : 2;
        const auto end = static_cast<std::uint32_t>(base + i);
        if (kind != 0 && kind == previous) {
          out.back().end = end;
        } else if (kind != 0) {
          out.push_back({at, end});
        }
        previous = kind;
      }
    });
  }
  void operator()(const WhitespaceSplit&) {
    cut_at_characters(pieces, Behavior::kRemoved, is_space);
  }
  void operator()(const Punctuation& step) {
    cut_at_characters(pieces, step.behavior, is_punctuation);
  }
};

}  // namespace

bool PreTokenizer::ends_in_byte_level() const {
  if (steps_.empty()) return false;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const bool last = i + 1 == steps_.size();
    if (std::holds_alternative<ByteLevel>(steps_[i]) != last) return false;
  }
  return true;
}

void PreTokenizer::apply(Pieces& pieces, bool spell_bytes) const {
  for (const Step& step : steps_) std::visit(Apply{pieces, spell_bytes}, step);
}

}  // namespace tessera
