// Text to token ids and back. Immutable after load, safe from any thread.
//
// Sources: Hugging Face tokenizer.json; tokenizer.model (SentencePiece, or tiktoken ranks); GGUF
// vocabularies (tokenizer.ggml.*).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

struct GgufVocabulary;  // text/gguf_vocabulary.h: plain arrays, filled by whoever read the file

struct EncodeOptions {
  bool add_special_tokens = true;  // run the post-processor (BOS, [CLS] … [SEP])
  bool parse_special = true;       // special tokens in the text become their ids
};

// A stretch of text of one origin; content of untrusted messages is encoded without special tokens.
struct TextSpan {
  std::string_view text;
  bool parse_special = true;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // `text` must be UTF-8; invalid sequences are replaced by U+FFFD first.
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           const EncodeOptions& options) const = 0;
  // The concatenation of spans as one text, special tokens recognised only inside spans that allow
  // it; no post-processor. Used for rendered chat templates.
  virtual std::vector<std::int32_t> encode_spans(std::span<const TextSpan> spans) const = 0;

  // Whole-sequence decode through the decoder chain; ids out of range are skipped.
  virtual std::string decode(std::span<const std::int32_t> ids, bool skip_special) const = 0;

  // Bytes that one token contributes in the middle of a text (may be a partial UTF-8 sequence).
  virtual std::string_view token_bytes(std::int32_t id) const = 0;
  // The vocabulary's own spelling, e.g. "Ġworld" or "<|im_end|>".
  virtual std::string_view token_text(std::int32_t id) const = 0;
  virtual bool is_special(std::int32_t id) const = 0;
  virtual std::optional<std::int32_t> token_id(std::string_view text) const = 0;
  virtual int vocab_size() const = 0;

  // True when the decoder strips a leading space of the whole text (SentencePiece style).
  virtual bool strips_leading_space() const = 0;

  virtual std::optional<std::int32_t> bos_id() const = 0;
  virtual std::optional<std::int32_t> eos_id() const = 0;
  // Tokens that end generation: eos, eot, eom and well-known spellings among control tokens.
  virtual std::span<const std::int32_t> end_of_generation_ids() const = 0;

  // Named special tokens for chat templates: {"bos_token", "<s>"}, …
  virtual const std::vector<std::pair<std::string, std::string>>& special_tokens() const = 0;
};

// `folder` holds tokenizer.json or else tokenizer.model, optionally tokenizer_config.json,
// special_tokens_map.json and added_tokens.json.
// Throws Error(kBadModelFile | kUnsupportedModel) naming file, component and value.
std::unique_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder);
std::unique_ptr<const Tokenizer> make_tokenizer(std::string_view tokenizer_json,
                                                std::string_view tokenizer_config_json = {});
std::unique_ptr<const Tokenizer> make_tokenizer(const GgufVocabulary& vocabulary);
// The bytes of a tokenizer.model: a SentencePiece model or a tiktoken rank file.
std::unique_ptr<const Tokenizer> make_tokenizer_from_model(
    std::string_view tokenizer_model, std::string_view tokenizer_config_json = {});

}  // namespace tessera
