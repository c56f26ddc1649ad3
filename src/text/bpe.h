// Byte-pair encoding by merge ranks (Sennrich et al., arXiv:1508.07909; tokenizer.json "BPE").
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/piece_cache.h"
#include "text/token_model.h"
#include "text/vocabulary.h"

namespace tessera {

struct BpeSettings {
  bool byte_level = false;     // pieces are raw bytes; the vocabulary spells them in stand-ins
  bool ignore_merges = false;  // a piece that is a token is that token
  bool byte_fallback = false;  // unknown characters become <0xHH> tokens
  bool fuse_unk = false;
  std::optional<std::int32_t> unk;
};

class Bpe final : public TokenModel {
 public:
  // Two token texts; their concatenation must be a token.
  using Merge = std::pair<std::string_view, std::string_view>;

  // `merges` in order of rank. Throws Error(kBadModelFile) naming the merge that is impossible.
  Bpe(std::shared_ptr<const Vocabulary> vocabulary, std::span<const Merge> merges,
      BpeSettings settings);

  // Whether byte-level operation is exact: every byte's stand-in is a token.
  static bool has_all_bytes(const Vocabulary& vocabulary);

  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const override;

 private:
  using Rank = std::uint32_t;
  static constexpr int kRankBits = 22;
  static constexpr std::uint64_t kFree = UINT64_MAX;

  // The rank of the merge of two tokens, or kNoRank.
  Rank find_merge(std::int32_t left, std::int32_t right) const;
  std::int32_t merged(Rank rank) const {
    return merged_.empty() ? first_merged_ + static_cast<std::int32_t>(rank) : merged_[rank];
  }
  void symbols_of(std::string_view piece, std::vector<std::int32_t>& symbols) const;
  void merge_short(std::vector<std::int32_t>& symbols, std::size_t begin) const;
  void merge_long(std::vector<std::int32_t>& symbols, std::size_t begin) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  BpeSettings settings_;
  // Open addressing, at most three quarters full: left id, right id and rank in 21 + 21 + 22 bits.
  // The small table stays in the processor's cache, which is what the speed of encoding hangs on.
  std::vector<std::uint64_t> merges_;
  // What a merge gives, by rank. Empty where ranks and ids go together, as in vocabularies that
  // were learnt merge by merge: then it is the rank plus first_merged_.
  std::vector<std::int32_t> merged_;
  std::int32_t first_merged_ = 0;
  std::array<std::int32_t, 256> byte_ids_{};      // byte_level: of the byte; else of <0xHH> or -1
  std::unique_ptr<const Vocabulary> byte_texts_;  // ignore_merges at byte level: tokens as bytes
  PieceCache cache_;
};

}  // namespace tessera
