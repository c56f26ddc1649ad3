#include "text/sentencepiece_bpe.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "text/decoder.h"
#include "text/utf8.h"

namespace tessera {

SentencePieceBpe::SentencePieceBpe(std::shared_ptr<const Vocabulary> vocabulary,
                                   std::span<const float> scores, std::vector<bool> unused,
                                   std::optional<std::int32_t> unk,
                                   std::shared_ptr<const ByteTrie> user_defined)
    : vocabulary_(std::move(vocabulary)),
      unused_(std::move(unused)),
      unk_(unk),
      user_defined_(std::move(user_defined)) {
  std::vector<float> order(scores.begin(), scores.end());
  std::sort(order.begin(), order.end(), std::greater<>{});
  order.erase(std::unique(order.begin(), order.end()), order.end());
  rank_.reserve(scores.size());
  for (const float score : scores) {
    rank_.push_back(static_cast<std::uint32_t>(
        std::lower_bound(order.begin(), order.end(), score, std::greater<>{}) - order.begin()));
  }
  any_unused_ = std::find(unused_.begin(), unused_.end(), true) != unused_.end();
  // Byte pieces are not words of the model, so they are looked for among all texts.
  byte_ids_.fill(-1);
  for (std::size_t id = 0; id < vocabulary_->texts.size(); ++id) {
    if (const auto byte = byte_of_fallback_token(vocabulary_->texts[id])) {
      byte_ids_[*byte] = static_cast<std::int32_t>(id);
    }
  }
}

void SentencePieceBpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  struct Symbol {
    std::uint32_t begin, length;
    std::int32_t previous, next;
    bool frozen = false;       // user-defined: stays as it is
    std::int32_t merged = -1;  // the piece that this symbol and the next would form
  };
  std::vector<Symbol> symbols;
  for (std::size_t i = 0; i < piece.size();) {
    std::uint32_t length =
        static_cast<std::uint32_t>(std::min(lead_length(piece[i]), piece.size() - i));
    bool frozen = false;
    if (user_defined_) {
      std::int32_t ignored;
      const std::size_t end = user_defined_->longest_match(piece, i, ignored);
      frozen = end != std::string_view::npos;
      if (frozen) length = static_cast<std::uint32_t>(end - i);
    }
    const auto at = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({static_cast<std::uint32_t>(i), length, at - 1, at + 1, frozen});
    i += length;
  }
  if (symbols.empty()) return;
  const auto n = static_cast<std::int32_t>(symbols.size());
  const StringTable& model = vocabulary_->model;

  // Best rank first, leftmost among equals; an entry is stale when its position no longer begins a
  // pair of that rank.
  using Entry = std::uint64_t;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  // Halves of unused pieces, by text, to split them again.
  std::unordered_map<std::string_view, std::size_t> halves;
  const auto renew = [&](std::int32_t i) {
    Symbol& left = symbols[i];
    left.merged = -1;
    if (left.next >= n || left.frozen || symbols[left.next].frozen) return;
    const std::uint32_t length = left.length + symbols[left.next].length;
    if (length > model.longest()) return;
    const std::string_view text = piece.substr(left.begin, length);
    left.merged = model.find_or_negative(text);
    if (left.merged < 0) return;
    queue.push(static_cast<Entry>(rank_[left.merged]) << 32 | static_cast<std::uint32_t>(i));
    if (any_unused_ && unused_[left.merged]) halves[text] = left.length;
  };
  for (std::int32_t i = 0; i < n; ++i) renew(i);
  while (!queue.empty()) {
    const Entry entry = queue.top();
    queue.pop();
    const auto i = static_cast<std::int32_t>(entry & 0xFFFFFFFF);
    Symbol& left = symbols[i];
    if (left.merged < 0 || rank_[left.merged] != entry >> 32) continue;
    Symbol& right = symbols[left.next];
    left.length += right.length;
    left.next = right.next;
    right.merged = -1;
    if (left.next < n) symbols[left.next].previous = i;
    renew(i);
    if (left.previous >= 0) renew(left.previous);
  }

  bool last_unknown = false;
  std::vector<std::string_view> waiting;  // parts of an unused piece, the first on top
  const auto emit = [&](std::string_view whole) {
    waiting.assign(1, whole);
    while (!waiting.empty()) {
      const std::string_view text = waiting.back();
      waiting.pop_back();
      const std::int32_t id = model.find_or_negative(text);
      if (id >= 0 && any_unused_ && unused_[id]) {
        if (const auto half = halves.find(text); half != halves.end()) {
          waiting.push_back(text.substr(half->second));
          waiting.push_back(text.substr(0, half->second));
          continue;
        }
      }
      if (id >= 0) {
        ids.push_back(id);
        last_unknown = false;
        continue;
      }
      const bool bytes = std::all_of(text.begin(), text.end(), [&](char c) {
        return byte_ids_[static_cast<unsigned char>(c)] >= 0;
      });
      if (bytes) {
        for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
        last_unknown = false;
      } else if (unk_) {
        if (!last_unknown) ids.push_back(*unk_);
        last_unknown = true;
      }
    }
  };
  for (std::int32_t i = 0; i < n; i = symbols[i].next) {
    emit(piece.substr(symbols[i].begin, symbols[i].length));
  }
}

}  // namespace tessera
