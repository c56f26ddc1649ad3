#include "text/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/token_bytes.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

namespace tessera {

namespace {

using Range = std::pair<std::size_t, std::size_t>;
using Verdict = AddedTokenMatcher::Verdict;

// Where special tokens count in a text: nowhere, everywhere, or in some ranges.
struct SpecialRanges {
  std::vector<Range> ranges;  // sorted, disjoint, not touching
  bool everywhere = false;

  // The first range that ends behind `position`.
  std::vector<Range>::const_iterator first_behind(std::size_t position) const {
    return std::upper_bound(ranges.begin(), ranges.end(), position,
                            [](std::size_t p, const Range& r) { return p < r.second; });
  }
  Verdict judge(std::size_t begin, std::size_t end) const {
    if (everywhere) return Verdict::kTake;
    const auto range = first_behind(begin);
    if (range == ranges.end() || range->first >= end) return Verdict::kSkip;
    if (range->first <= begin && end <= range->second) return Verdict::kTake;
    // Half trusted, half not: no token, but one may begin inside the trusted half.
    return Verdict::kSkipOneCharacter;
  }

  // The same ranges within the segment [begin, end), by its own positions.
  SpecialRanges within(std::size_t begin, std::size_t end) const {
    SpecialRanges result;
    result.everywhere = everywhere;
    for (auto range = first_behind(begin); range != ranges.end() && range->first < end; ++range) {
      result.ranges.emplace_back(std::max(range->first, begin) - begin,
                                 std::min(range->second, end) - begin);
    }
    return result;
  }
};

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(TokenizerParts parts);

  std::vector<std::int32_t> encode(std::string_view text,
                                   const EncodeOptions& options) const override;
  std::vector<std::int32_t> encode_spans(std::span<const TextSpan> spans) const override;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override;

  std::string_view token_bytes(std::int32_t id) const override {
    return in_range(id) ? bytes_[id] : std::string_view();
  }
  std::string_view token_text(std::int32_t id) const override {
    return in_range(id) ? parts_.vocabulary->texts[id] : std::string_view();
  }
  bool is_special(std::int32_t id) const override { return in_range(id) && special_[id]; }
  std::optional<std::int32_t> token_id(std::string_view text) const override {
    const auto added = added_ids_.find(std::string(text));
    if (added != added_ids_.end()) return added->second;
    return parts_.vocabulary->model.find(text);
  }
  int vocab_size() const override { return static_cast<int>(parts_.vocabulary->texts.size()); }
  bool strips_leading_space() const override { return parts_.decoder.strips_leading_space(); }
  std::optional<std::int32_t> bos_id() const override { return parts_.bos; }
  std::optional<std::int32_t> eos_id() const override { return parts_.eos; }
  std::span<const std::int32_t> end_of_generation_ids() const override { return end_ids_; }
  const std::vector<std::pair<std::string, std::string>>& special_tokens() const override {
    return parts_.special_tokens;
  }

 private:
  bool in_range(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < parts_.vocabulary->texts.size();
  }
  // `text` is valid UTF-8.
  void encode_text(std::string_view text, const SpecialRanges& special,
                   std::vector<std::int32_t>& ids) const;
  void encode_segment(std::string_view raw, bool at_start, const SpecialRanges& special,
                      std::vector<std::int32_t>& ids) const;
  void encode_plain(std::string text, bool at_start, std::vector<std::int32_t>& ids) const;

  TokenizerParts parts_;
  AddedTokenMatcher raw_tokens_, normalized_tokens_;
  std::unordered_map<std::string, std::int32_t> added_ids_;
  std::vector<bool> special_;
  TokenBytes bytes_;
  std::vector<std::int32_t> end_ids_;
};

PipelineTokenizer::PipelineTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
  const PackedStrings& texts = parts_.vocabulary->texts;
  special_.assign(texts.size(), false);
  for (const AddedToken& token : parts_.added) {
    if (token.content.empty()) continue;
    special_[token.id] = special_[token.id] || token.special;
    added_ids_[token.content] = token.id;
    if (token.normalized && !parts_.normalizer.empty()) {
      normalized_tokens_.add(token, parts_.normalizer.apply(token.content));
    } else if (token.normalized) {
      normalized_tokens_.add(token, token.content);
    } else {
      raw_tokens_.add(token, token.content);
    }
  }
  std::vector<std::string> bytes;
  bytes.reserve(texts.size());
  for (std::size_t id = 0; id < texts.size(); ++id) {
    bytes.push_back(texts[id].empty() ? std::string() : parts_.decoder.token_bytes(texts[id]));
  }
  bytes_ = TokenBytes(texts, bytes);

  const auto ends = [this](std::optional<std::int32_t> id) {
    if (id && in_range(*id) && std::find(end_ids_.begin(), end_ids_.end(), *id) == end_ids_.end()) {
      end_ids_.push_back(*id);
    }
  };
  ends(parts_.eos);
  ends(parts_.eot);
  ends(parts_.eom);
  for (const char* text :
       {"<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>", "</s>"}) {
    const auto id = token_id(text);
    if (id && is_special(*id)) ends(id);
  }
}

std::vector<std::int32_t> PipelineTokenizer::encode(std::string_view text,
                                                    const EncodeOptions& options) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special_tokens) ids = parts_.prefix;
  SpecialRanges special;
  special.everywhere = options.parse_special;
  if (utf8_valid(text)) {
    encode_text(text, special, ids);
  } else {
    encode_text(utf8_sanitize(text), special, ids);
  }
  if (options.add_special_tokens) {
    ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
  }
  return ids;
}

std::vector<std::int32_t> PipelineTokenizer::encode_spans(std::span<const TextSpan> spans) const {
  std::string text;
  SpecialRanges special;
  for (const TextSpan& span : spans) {
    const std::size_t begin = text.size();
    // Each span by itself, so that half a character of one cannot complete in the next.
    text += utf8_valid(span.text) ? std::string(span.text) : utf8_sanitize(span.text);
    if (!span.parse_special || text.size() == begin) continue;
    if (!special.ranges.empty() && special.ranges.back().second == begin) {
      special.ranges.back().second = text.size();
    } else {
      special.ranges.emplace_back(begin, text.size());
    }
  }
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  encode_text(text, special, ids);
  return ids;
}

void PipelineTokenizer::encode_text(std::string_view text, const SpecialRanges& special,
                                    std::vector<std::int32_t>& ids) const {
  // Pieces are addressed with 32 bits.
  if (text.size() > (std::size_t{1} << 30)) {
    throw Error(ErrorKind::kPayloadTooLarge, "The text to tokenise has " +
                                                 std::to_string(text.size()) +
                                                 " bytes; at most 1 GiB is possible.");
  }
  if (raw_tokens_.empty()) {
    encode_segment(text, true, special, ids);
    return;
  }
  std::vector<AddedTokenMatcher::Segment> segments;
  raw_tokens_.split(
      text, [&](std::size_t begin, std::size_t end) { return special.judge(begin, end); },
      segments);
  for (const auto& segment : segments) {
    if (segment.token >= 0) {
      ids.push_back(raw_tokens_.token(segment.token).id);
    } else {
      encode_segment(text.substr(segment.begin, segment.end - segment.begin), segment.begin == 0,
                     special.within(segment.begin, segment.end), ids);
    }
  }
}

void PipelineTokenizer::encode_segment(std::string_view raw, bool at_start,
                                       const SpecialRanges& special,
                                       std::vector<std::int32_t>& ids) const {
  if (raw.empty()) return;
  std::string text = parts_.normalizer.empty() ? std::string(raw) : parts_.normalizer.apply(raw);
  if (normalized_tokens_.empty()) {
    encode_plain(std::move(text), at_start, ids);
    return;
  }
  SpecialRanges mapped = special;
  if (!parts_.normalizer.empty() && normalized_tokens_.has_special() && !special.everywhere) {
    // Borders move with the normalised length of what precedes them.
    for (auto& [begin, end] : mapped.ranges) {
      begin = begin == 0 ? 0 : parts_.normalizer.apply(raw.substr(0, begin)).size();
      end = end == raw.size() ? text.size() : parts_.normalizer.apply(raw.substr(0, end)).size();
    }
  }
  std::vector<AddedTokenMatcher::Segment> segments;
  normalized_tokens_.split(
      text, [&](std::size_t begin, std::size_t end) { return mapped.judge(begin, end); }, segments);
  for (const auto& segment : segments) {
    if (segment.token >= 0) {
      ids.push_back(normalized_tokens_.token(segment.token).id);
    } else {
      encode_plain(text.substr(segment.begin, segment.end - segment.begin),
                   at_start && segment.begin == 0, ids);
    }
  }
}

void PipelineTokenizer::encode_plain(std::string text, bool at_start,
                                     std::vector<std::int32_t>& ids) const {
  if (text.empty()) return;
  Pieces pieces{std::move(text), {}, at_start};
  pieces.ranges.push_back({0, static_cast<std::uint32_t>(pieces.text.size())});
  parts_.pretokenizer.apply(pieces, !parts_.byte_model);
  for (const Pieces::Range& range : pieces.ranges) parts_.model->encode(pieces[range], ids);
}

std::string PipelineTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (!in_range(id) || (skip_special && special_[id])) continue;
    const std::string_view text = parts_.vocabulary->texts[id];
    if (!text.empty()) tokens.emplace_back(text);
  }
  return parts_.decoder.decode(std::move(tokens));
}

}  // namespace

std::unique_ptr<const Tokenizer> assemble_tokenizer(TokenizerParts parts) {
  return std::make_unique<const PipelineTokenizer>(std::move(parts));
}

}  // namespace tessera
