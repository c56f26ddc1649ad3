#include "text/bpe.h"

#include <algorithm>
#include <bit>
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

std::uint64_t pair_hash(std::int32_t left, std::int32_t right) {
  const std::uint64_t key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
                            static_cast<std::uint32_t>(right);
  return mix_hash(key ^ 0x9E3779B97F4A7C15u, 0xD1B54A32D192ED03u);
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
  merges_.assign(std::bit_ceil(2 * merges.size() + 1), MergeSlot{});
  mask_ = merges_.size() - 1;
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
    std::size_t i = pair_hash(left, right) & mask_;
    while (merges_[i].left >= 0 && (merges_[i].left != left || merges_[i].right != right)) {
      i = (i + 1) & mask_;
    }
    merges_[i] = {left, right, static_cast<std::uint32_t>(rank), merged};
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

const Bpe::MergeSlot* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  for (std::size_t i = pair_hash(left, right) & mask_;; i = (i + 1) & mask_) {
    const MergeSlot& slot = merges_[i];
    if (slot.left == left && slot.right == right) return &slot;
    if (slot.left < 0) return nullptr;
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
  // merge[i] joins s[i] and s[i + 1].
  const MergeSlot* merge[kShort + 1] = {};
  for (std::size_t i = 0; i + 1 < n; ++i) merge[i] = find_merge(s[i], s[i + 1]);
  for (;;) {
    std::size_t best = n;
    std::uint32_t rank = kNoRank;
    for (std::size_t i = 0; i + 1 < n; ++i) {
      if (merge[i] && merge[i]->rank < rank) {
        rank = merge[i]->rank;
        best = i;
      }
    }
    if (best == n) break;
    s[best] = merge[best]->merged;
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
  std::vector<const MergeSlot*> merge(n, nullptr);  // of s[i] and its right neighbour
  // Lowest rank first, leftmost among equals. An entry is stale when its position no longer begins
  // a pair of that rank.
  using Entry = std::uint64_t;
  std::vector<Entry> initial;
  for (std::int32_t i = 0; i < n; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
    if (i + 1 < n) merge[i] = find_merge(s[i], s[i + 1]);
    if (merge[i]) initial.push_back(static_cast<Entry>(merge[i]->rank) << 32 | i);
  }
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue(std::greater<>{},
                                                                       std::move(initial));
  const auto renew = [&](std::int32_t i) {
    merge[i] = next[i] < n ? find_merge(s[i], s[next[i]]) : nullptr;
    if (merge[i]) queue.push(static_cast<Entry>(merge[i]->rank) << 32 | i);
  };
  while (!queue.empty()) {
    const Entry entry = queue.top();
    queue.pop();
    const auto i = static_cast<std::int32_t>(entry & 0xFFFFFFFF);
    if (!merge[i] || merge[i]->rank != entry >> 32) continue;
    const std::int32_t right = next[i];
    s[i] = merge[i]->merged;
    merge[right] = nullptr;
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
