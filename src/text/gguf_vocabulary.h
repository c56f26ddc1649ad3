// The tokenizer.ggml.* metadata of a GGUF file as plain data, so that text/ needs no file format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

struct GgufVocabulary {
  std::string model;  // tokenizer.ggml.model: "gpt2", "llama", "bert"
  std::string pre;    // tokenizer.ggml.pre; empty when absent
  std::vector<std::string> tokens;
  std::vector<float> scores;              // empty when absent
  std::vector<std::int32_t> token_types;  // empty when absent; 1 normal … 6 byte
  std::vector<std::string> merges;        // "left right"
  std::optional<std::int32_t> bos, eos, eot, eom, unk, sep, pad, cls, mask;
  std::optional<bool> add_bos, add_eos, add_sep, add_space_prefix, remove_extra_whitespaces;
  std::optional<bool> normalizer_lowercase, normalizer_strip_accents;
  std::string huggingface_json;   // tokenizer.huggingface.json: preferred when present
  std::string chat_template;      // tokenizer.chat_template; empty when absent
  std::string tool_use_template;  // tokenizer.chat_template.tool_use; empty when absent
};

}  // namespace tessera
