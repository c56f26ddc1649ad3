#include "models/config_gguf.h"

#include <algorithm>
#include <cmath>

#include "base/strings.h"
#include "models/config_families.h"

namespace tessera {

void GgufFields::fail(std::string_view suffix, const std::string& what, ErrorKind kind) const {
  throw Error(kind, gguf_.name() + ": key '" + prefix_ + std::string(suffix) + "' " + what);
}

int GgufFields::size(std::string_view suffix, std::optional<std::int64_t> otherwise,
                     std::int64_t highest) const {
  const std::optional<std::int64_t> value = gguf_.uniform_integer(key(suffix));
  if (!value && !otherwise) fail(suffix, "is missing");
  const std::int64_t size = value.value_or(otherwise.value_or(0));
  if (size < 1 || size > highest) {
    fail(suffix, "is " + std::to_string(size) + ", wanted 1 to " + std::to_string(highest));
  }
  return static_cast<int>(size);
}

double GgufFields::positive(std::string_view suffix, std::optional<double> otherwise) const {
  const std::optional<double> value = gguf_.number(key(suffix));
  if (!value && !otherwise) fail(suffix, "is missing");
  const double number = value.value_or(otherwise.value_or(0.0));
  if (!std::isfinite(number) || number <= 0) {
    fail(suffix, "is " + std::to_string(number) + ", wanted a finite number above 0");
  }
  return number;
}

ModelConfig read_gguf_config(const Gguf& gguf) {
  const auto name = gguf.text("general.architecture");
  if (!name) {
    throw Error(ErrorKind::kBadModelFile, gguf.name() + ": key 'general.architecture' is missing");
  }
  ModelConfig out;
  if (*name == "llama") {
    out.architecture = Architecture::kLlama;
  } else if (*name == "dbrx") {
    out.architecture = Architecture::kDbrx;
  } else if (*name == "mpt") {
    out.architecture = Architecture::kMpt;
  } else if (*name == "bert") {
    out.architecture = Architecture::kBert;
  } else {
    throw Error(ErrorKind::kUnsupportedModel, gguf.name() + ": key 'general.architecture' is " +
                                                  quote_for_message(*name) +
                                                  "; llama, dbrx, mpt and bert are supported");
  }
  const GgufFields fields(gguf, std::string(*name));
  out.num_hidden_layers = fields.size("block_count", std::nullopt, kMaxLayers);
  out.max_position_embeddings = out.context_length = fields.size("context_length");
  out.hidden_size = fields.size("embedding_length");
  out.intermediate_size = fields.size("feed_forward_length");
  out.num_attention_heads = fields.size("attention.head_count");
  out.num_key_value_heads = fields.size("attention.head_count_kv", out.num_attention_heads);
  if (out.num_attention_heads % out.num_key_value_heads != 0) {
    fields.fail("attention.head_count", "is " + std::to_string(out.num_attention_heads) +
                                            ", not a multiple of attention.head_count_kv " +
                                            std::to_string(out.num_key_value_heads));
  }
  if (!fields.has("attention.key_length") && out.hidden_size % out.num_attention_heads != 0) {
    fields.fail("embedding_length", "is " + std::to_string(out.hidden_size) +
                                        ", not a multiple of attention.head_count " +
                                        std::to_string(out.num_attention_heads));
  }
  out.head_dim =
      fields.size("attention.key_length", std::max(1, out.hidden_size / out.num_attention_heads));
  if (fields.size("attention.value_length", out.head_dim) != out.head_dim) {
    fields.unsupported("attention.value_length", "differs from attention.key_length");
  }
  if (*name == "llama") {
    read_gguf_llama(fields, out);  // or what of that family it is
  } else if (*name == "dbrx") {
    read_gguf_dbrx(fields, out);
  } else if (*name == "mpt") {
    read_gguf_mpt(fields, out);
  } else {
    read_gguf_bert(fields, out);
  }

  std::optional<std::int64_t> tokens;
  if (const auto found = gguf.metadata().find("tokenizer.ggml.tokens");
      found != gguf.metadata().end()) {
    if (const auto* array = std::get_if<GgufArray>(&found->second)) {
      tokens = static_cast<std::int64_t>(array->count);
    }
  }
  if (const auto found = gguf.tensors().find("token_embd.weight");
      !tokens && found != gguf.tensors().end()) {
    tokens = found->second.rows();
  }
  out.vocab_size = fields.size("vocab_size", tokens);

  const auto id = [&](const char* key) -> std::optional<std::int32_t> {
    const auto value = gguf.integer(key);
    if (value && (*value < 0 || *value > kMaxTokenId)) {
      // Converters write 2^32 - 1 for "none".
      return std::nullopt;
    }
    return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
  };
  out.bos_token_id = id("tokenizer.ggml.bos_token_id");
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    if (const auto value = id(key)) out.eos_token_ids.push_back(*value);
  }
  sort_unique(out.eos_token_ids);
  return out;
}

}  // namespace tessera
