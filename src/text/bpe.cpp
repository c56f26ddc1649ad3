#include "text/bpe.h"

#include <algorithm>
#include <cstdio>
#include <queue>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace tessera {

namespace {

constexpr std::uint32_t kNoRank = UINT32_MAX;
// Up to here rescanning an array of ranks beats a heap; beyond, it would be quadratic.
constexpr std::size_t kShort = 48;

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << StringTable::kIdBits |
         static_cast<std::uint32_t>(right);
}

std::uint64_t pair_hash(std::uint64_t pair) {
  return mix_hash(pair ^ 0x9E3779B97F4A7C15u, 0xD1B54A32D192ED03u);
}

[[noreturn]] void bad_merge(std::size_t rank, std::string_view what, const Bpe::Merge& merge) {
  throw Error(ErrorKind::kBadModelFile,
              "BPE merge " + std::to_string(rank) + " ('" + std::string(merge.first) + "', '" +
                  std::string(merge.second) + "') " + std::string(what) +
                  " is not in the vocabulary.",
              "model.merges");
}

}  // namespace

bool Bpe::has_all_bytes(const Vocabulary& vocabulary) {
  return std::all_of(byte_alphabet().begin(), byte_alphabet().end(), [&](char32_t c) {
    return vocabulary.model.find_or_negative(to_utf8(c)) >= 0;
  });
}

Bpe::Bpe(std::shared_ptr<const Vocabulary> vocabulary, std::span<const Merge> merges,
         BpeSettings settings)
    : vocabulary_(std::move(vocabulary)), settings_(settings) {
  const StringTable& model = vocabulary_->model;
  if (merges.size() >= std::size_t{1} << kRankBits) {
    throw Error(ErrorKind::kUnsupportedModel,
                "The tokenizer has " + std::to_string(merges.size()) + " merges; at most " +
                    std::to_string((1 << kRankBits) - 1) + " are possible.",
                "model.merges");
  }
  merges_.assign(merges.size() + merges.size() / 3 + 1, kFree);
  merged_.reserve(merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left_text, right_text] = merges[rank];
    const std::int32_t left = model.find_or_negative(left_text);
    if (left < 0) bad_merge(rank, "has a left half that", merges[rank]);
    const std::int32_t right = model.find_or_negative(right_text);
    if (right < 0) bad_merge(rank, "has a right half that", merges[rank]);
    joined.assign(left_text).append(right_text);
    const std::int32_t merged = model.find_or_negative(joined);
    if (merged < 0) bad_merge(rank, "has a result that", merges[rank]);
    merged_.push_back(merged);
    const std::uint64_t pair = pair_of(left, right);
    std::size_t i = slot_of(pair_hash(pair), merges_.size());
    while (merges_[i] != kFree && merges_[i] >> kRankBits != pair) {
      i = i + 1 == merges_.size() ? 0 : i + 1;
    }
    merges_[i] = pair << kRankBits | rank;  // of two equal merges the later one counts
  }

  const bool in_step = std::adjacent_find(merged_.begin(), merged_.end(), [](auto a, auto b) {
                         return b != a + 1;
                       }) == merged_.end();
  if (in_step && !merged_.empty()) {
    first_merged_ = merged_.front();
    std::vector<std::int32_t>().swap(merged_);
  }

  byte_ids_.fill(-1);
  for (int b = 0; b < 256; ++b) {
    if (settings_.byte_level) {
      byte_ids_[b] = model.find_or_negative(to_utf8(byte_alphabet()[b]));
    } else if (settings_.byte_fallback) {
      char text[8];
      std::snprintf(text, sizeof text, "<0x%02X>", b);
      byte_ids_[b] = model.find_or_negative(text);
    }
  }
  if (settings_.byte_level && settings_.ignore_merges) {
    std::vector<std::string> bytes(vocabulary_->texts.size());
    std::vector<std::int32_t> ids;
    for (std::size_t id = 0; id < bytes.size(); ++id) {
      const std::string_view text = vocabulary_->texts[id];
      if (text.empty() || model.find_or_negative(text) != static_cast<std::int32_t>(id)) continue;
      if (auto spelled = from_byte_alphabet(text)) {
        bytes[id] = std::move(*spelled);
        ids.push_back(static_cast<std::int32_t>(id));
      }
    }
    byte_texts_ = std::make_unique<Vocabulary>(PackedStrings(bytes), ids);
  }
}

Bpe::Rank Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = pair_of(left, right);
  const std::size_t slots = merges_.size();
  for (std::size_t i = slot_of(pair_hash(pair), slots);; i = i + 1 == slots ? 0 : i + 1) {
    const std::uint64_t slot = merges_[i];
    if (slot >> kRankBits == pair) return static_cast<Rank>(slot & ((1u << kRankBits) - 1));
    if (slot == kFree) return kNoRank;
  }
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.empty()) return;
  if (settings_.byte_level && piece.size() == 1) {
    ids.push_back(byte_ids_[static_cast<unsigned char>(piece[0])]);
    return;
  }
  const std::uint64_t hash = hash_bytes(piece);
  if (cache_.find(piece, hash, ids)) return;
  if (settings_.ignore_merges) {
    const StringTable& table = byte_texts_ ? byte_texts_->model : vocabulary_->model;
    if (const std::int32_t id = table.find_or_negative(piece, hash); id >= 0) {
      ids.push_back(id);
      cache_.store(piece, hash, {&id, 1});
      return;
    }
  }
  const std::size_t begin = ids.size();
  symbols_of(piece, ids);
  if (ids.size() - begin <= kShort) {
    merge_short(ids, begin);
  } else {
    merge_long(ids, begin);
  }
  cache_.store(piece, hash, std::span(ids).subspan(begin));
}

void Bpe::symbols_of(std::string_view piece, std::vector<std::int32_t>& symbols) const {
  if (settings_.byte_level) {
    for (const char c : piece) symbols.push_back(byte_ids_[static_cast<unsigned char>(c)]);
    return;
  }
  bool unk_waits = false;
  for (std::size_t i = 0; i < piece.size();) {
    const std::string_view character = piece.substr(i, lead_length(piece[i]));
    i += character.size();
    if (const std::int32_t id = vocabulary_->model.find_or_negative(character); id >= 0) {
      if (unk_waits) symbols.push_back(*settings_.unk);
      unk_waits = false;
      symbols.push_back(id);
      continue;
    }
    if (settings_.byte_fallback && std::all_of(character.begin(), character.end(), [&](char c) {
          return byte_ids_[static_cast<unsigned char>(c)] >= 0;
        })) {
      // As in the reference, a waiting unknown stays behind these bytes.
      for (const char c : character) symbols.push_back(byte_ids_[static_cast<unsigned char>(c)]);
      continue;
    }
    if (!settings_.unk) continue;
    if (unk_waits && !settings_.fuse_unk) symbols.push_back(*settings_.unk);
    unk_waits = true;
  }
  if (unk_waits) symbols.push_back(*settings_.unk);
}

void Bpe::merge_short(std::vector<std::int32_t>& symbols, std::size_t begin) const {
  std::size_t n = symbols.size() - begin;
  if (n < 2) return;
  std::int32_t* s = symbols.data() + begin;
  Rank merge[kShort + 1];  // of s[i] and s[i + 1]
  for (std::size_t i = 0; i + 1 < n; ++i) merge[i] = find_merge(s[i], s[i + 1]);
  for (;;) {
    std::size_t best = n;
    Rank rank = kNoRank;
    for (std::size_t i = 0; i + 1 < n; ++i) {
      if (merge[i] < rank) {
        rank = merge[i];
        best = i;
      }
    }
    if (best == n) break;
    s[best] = merged(rank);
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      s[i] = s[i + 1];
      merge[i] = merge[i + 1];
    }
    --n;
    if (best + 1 < n) merge[best] = find_merge(s[best], s[best + 1]);
    if (best > 0) merge[best - 1] = find_merge(s[best - 1], s[best]);
  }
  symbols.resize(begin + n);
}

void Bpe::merge_long(std::vector<std::int32_t>& symbols, std::size_t begin) const {
  const auto n = static_cast<std::int32_t>(symbols.size() - begin);
  std::int32_t* s = symbols.data() + begin;
  std::vector<std::int32_t> next(n), previous(n);
  std::vector<Rank> merge(n, kNoRank);  // of s[i] and its right neighbour
  // Lowest rank first, leftmost among equals. An entry is stale when its position no longer begins
  // a pair of that rank.
  using Entry = std::uint64_t;
  std::vector<Entry> initial;
  for (std::int32_t i = 0; i < n; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
    if (i + 1 < n) merge[i] = find_merge(s[i], s[i + 1]);
    if (merge[i] != kNoRank) initial.push_back(static_cast<Entry>(merge[i]) << 32 | i);
  }
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue(std::greater<>{},
                                                                       std::move(initial));
  const auto renew = [&](std::int32_t i) {
    merge[i] = next[i] < n ? find_merge(s[i], s[next[i]]) : kNoRank;
    if (merge[i] != kNoRank) queue.push(static_cast<Entry>(merge[i]) << 32 | i);
  };
  while (!queue.empty()) {
    const Entry entry = queue.top();
    queue.pop();
    const auto i = static_cast<std::int32_t>(entry & 0xFFFFFFFF);
    if (merge[i] != entry >> 32) continue;
    const std::int32_t right = next[i];
    s[i] = merged(merge[i]);
    merge[right] = kNoRank;
    s[right] = -1;
    next[i] = next[right];
    if (next[i] < n) previous[next[i]] = i;
    renew(i);
    if (previous[i] >= 0) renew(previous[i]);
  }
  std::size_t out = begin;
  for (std::int32_t i = 0; i < n; i = next[i]) symbols[out++] = s[i];
  symbols.resize(out);
}

}  // namespace tessera
