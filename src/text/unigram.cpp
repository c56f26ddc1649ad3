#include "text/unigram.h"

#include <algorithm>

#include "base/error.h"
#include "text/decoder.h"
#include "text/utf8.h"

namespace tessera {

namespace {

// An unknown character scores this much below the worst piece.
constexpr double kUnknownPenalty = 10;

}  // namespace

Unigram::Unigram(std::shared_ptr<const Vocabulary> vocabulary, std::vector<double> scores,
                 std::span<const Kind> kinds, UnigramSettings settings)
    : vocabulary_(std::move(vocabulary)),
      settings_(settings),
      scores_(std::move(scores)),
      user_defined_(scores_.size()) {
  const PackedStrings& texts = vocabulary_->texts;
  byte_ids_.fill(-1);
  bool any = false;
  double lowest = 0;
  for (std::size_t id = 0; id < scores_.size(); ++id) {
    const auto token = static_cast<std::int32_t>(id);
    if (settings_.byte_fallback) {
      if (const auto byte = byte_of_fallback_token(texts[id])) byte_ids_[*byte] = token;
    }
    user_defined_[id] = kinds[id] == Kind::kUserDefined;
    // Of two equal texts one id counts, the one that the vocabulary finds.
    if (kinds[id] == Kind::kIgnored || texts[id].empty() ||
        vocabulary_->model.find_or_negative(texts[id]) != token) {
      continue;
    }
    trie_.add(texts[id], token);
    if (user_defined_[id]) continue;
    lowest = any ? std::min(lowest, scores_[id]) : scores_[id];
    max_score_ = any ? std::max(max_score_, scores_[id]) : scores_[id];
    any = true;
  }
  unk_score_ =
      settings_.single_precision
          ? static_cast<double>(static_cast<float>(lowest) - static_cast<float>(kUnknownPenalty))
          : lowest - kUnknownPenalty;
}

template <class Score>
void Unigram::viterbi(std::string_view text, std::vector<std::int32_t>& ids) const {
  // The best segmentation of each prefix: its last piece, where that begins, and its score.
  struct Node {
    Score score = 0;
    std::int32_t id = -1;
    std::uint32_t begin = UINT32_MAX;  // none yet
  };
  constexpr std::int32_t kUnknown = -1;
  std::vector<Node> best(text.size() + 1);
  const auto is_unknown = [&](std::int32_t id) {
    return id == kUnknown ||
           id == settings_.unk;  // the latter where "<unk>" is a piece like others
  };
  // As in SentencePiece, single precision is what is kept, not what is compared.
  const auto offer = [&](std::size_t begin, std::size_t end, std::int32_t id, double score) {
    Node& node = best[end];
    if (node.begin != UINT32_MAX && !(score > static_cast<double>(node.score))) return;
    node = {static_cast<Score>(score), id, static_cast<std::uint32_t>(begin)};
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const Score so_far = best[begin].score;
    const std::size_t length = lead_length(text[begin]);
    bool has_character = false;  // a piece that is just the first character
    std::int32_t node = trie_.root();
    for (std::size_t end = begin; end < text.size();) {
      node = trie_.step(node, static_cast<unsigned char>(text[end++]));
      if (node == ByteTrie::kNone) break;
      const std::int32_t id = trie_.value(node);
      if (id == ByteTrie::kNone) continue;
      // A user-defined piece scores better than any sum of ordinary ones could.
      const double score = user_defined_[id] ? static_cast<double>(static_cast<Score>(end - begin) *
                                                                   static_cast<Score>(max_score_)) -
                                                   0.1
                                             : scores_[id];
      offer(begin, end, id, score + static_cast<double>(so_far));
      has_character = has_character || end - begin == length;
    }
    if (!has_character) {
      offer(begin, begin + length, kUnknown,
            static_cast<double>(static_cast<Score>(unk_score_) + so_far));
    }
    begin += length;
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pieces;  // from the end
  for (std::size_t end = text.size(); end > 0; end = best[end].begin) {
    pieces.emplace_back(best[end].begin, static_cast<std::uint32_t>(end));
  }
  for (std::size_t i = pieces.size(); i-- > 0;) {
    const auto [begin, end] = pieces[i];
    if (!is_unknown(best[end].id)) {
      ids.push_back(best[end].id);
      continue;
    }
    // Neighbouring unknowns are one.
    std::size_t last = end;
    while (i > 0 && is_unknown(best[pieces[i - 1].second].id)) last = pieces[--i].second;
    emit_unknown(text.substr(begin, last - begin), ids);
  }
}

void Unigram::emit_unknown(std::string_view text, std::vector<std::int32_t>& ids) const {
  if (const std::int32_t id = vocabulary_->model.find_or_negative(text); id >= 0) {
    ids.push_back(id);
    return;
  }
  const bool bytes = settings_.byte_fallback && std::all_of(text.begin(), text.end(), [&](char c) {
                       return byte_ids_[static_cast<unsigned char>(c)] >= 0;
                     });
  if (bytes) {
    for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  } else if (settings_.unk) {
    ids.push_back(*settings_.unk);
  } else {
    throw Error(ErrorKind::kBadValue,
                "The text contains '" + std::string(text.substr(0, 64)) +
                    "', which this model's unigram vocabulary cannot spell, and it has no unknown "
                    "token.");
  }
}

void Unigram::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.empty()) return;
  if (settings_.single_precision) {
    viterbi<float>(piece, ids);
  } else {
    viterbi<double>(piece, ids);
  }
}

}  // namespace tessera
