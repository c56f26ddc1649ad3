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
  struct MergeSlot {
    std::int32_t left = -1, right = -1;
    std::uint32_t rank = 0;
    std::int32_t merged = 0;
  };

  const MergeSlot* find_merge(std::int32_t left, std::int32_t right) const;
  void symbols_of(std::string_view piece, std::vector<std::int32_t>& symbols) const;
  void merge_short(std::vector<std::int32_t>& symbols, std::size_t begin) const;
  void merge_long(std::vector<std::int32_t>& symbols, std::size_t begin) const;

  std::shared_ptr<const Vocabulary> vocabulary_;
  BpeSettings settings_;
  std::vector<MergeSlot> merges_;  // open addressing, at most half full
  std::size_t mask_ = 0;
  std::array<std::int32_t, 256> byte_ids_{};      // byte_level: of the byte; else of <0xHH> or -1
  std::unique_ptr<const Vocabulary> byte_texts_;  // ignore_merges at byte level: tokens as bytes
  PieceCache cache_;
};

}  // namespace tessera
