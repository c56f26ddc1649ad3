#include "models/config.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/strings.h"
#include "models/checkpoint.h"
#include "models/gguf.h"
#include "models/json_file.h"

namespace tessera {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxDimension = 1 << 24;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxTokenId = std::numeric_limits<std::int32_t>::max();

// --- JSON with the file's name in every error ----------------------------------------------------

// An object of a side file. Missing and null are the same; numbers may be written as floats.
class Fields {
 public:
  Fields(const json::object& object, std::string file, std::string prefix = {})
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  [[noreturn]] void fail(std::string_view key, const std::string& what,
                         ErrorKind kind = ErrorKind::kBadModelFile) const {
    throw Error(kind, file_ + ": key '" + prefix_ + std::string(key) + "' " + what);
  }
  [[noreturn]] void unsupported(std::string_view key, const std::string& what) const {
    fail(key, what, ErrorKind::kUnsupportedModel);
  }
  [[noreturn]] void wrong(std::string_view key, const json::value& got,
                          std::string_view wanted) const {
    fail(key, "is " + quote_for_message(json::serialize(got)) + ", wanted " + std::string(wanted));
  }

  const json::value* find(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // True when the key is written down, even as null.
  bool mentions(std::string_view key) const { return object_.contains(key); }

  std::optional<double> number(std::string_view key) const {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) wrong(key, *value, "a number");
    const double number = value->to_number<double>();
    if (!std::isfinite(number)) wrong(key, *value, "a finite number");
    return number;
  }
  double positive(std::string_view key, double otherwise) const {
    const double value = number(key).value_or(otherwise);
    if (!(value > 0)) wrong(key, *find(key), "a number above 0");
    return value;
  }
  std::optional<std::int64_t> integer(std::string_view key) const {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    return as_integer(key, *value);
  }
  std::int64_t as_integer(std::string_view key, const json::value& value) const {
    if (value.is_int64()) return value.get_int64();
    if (value.is_double()) {
      const double number = value.get_double();
      if (std::fabs(number) < 0x1p53 && number == std::floor(number)) {
        return static_cast<std::int64_t>(number);
      }
    }
    wrong(key, value, "an integer");
  }
  // A size: 1 … highest.
  int size(std::string_view key, std::optional<std::int64_t> otherwise = std::nullopt,
           std::int64_t highest = kMaxDimension, std::int64_t lowest = 1) const {
    const std::optional<std::int64_t> value = integer(key);
    if (!value && !otherwise) fail(key, "is missing");
    const std::int64_t size = value.value_or(otherwise.value_or(0));
    if (size < lowest || size > highest) {
      fail(key, "is " + std::to_string(size) + ", wanted " + std::to_string(lowest) + " to " +
                    std::to_string(highest));
    }
    return static_cast<int>(size);
  }
  bool boolean(std::string_view key, bool otherwise) const {
    const json::value* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_bool()) wrong(key, *value, "true or false");
    return value->get_bool();
  }
  std::optional<std::string> text(std::string_view key) const {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) wrong(key, *value, "a string");
    return std::string(value->get_string());
  }
  std::optional<Fields> object(std::string_view key) const {
    const json::value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) wrong(key, *value, "an object");
    return Fields(value->get_object(), file_, prefix_ + std::string(key) + ".");
  }
  const json::object& raw() const { return object_; }

 private:
  const json::object& object_;
  std::string file_, prefix_;
};

// A side file that must be an object, kept alive beside its Fields.
struct JsonObjectFile {
  json::value root;
  std::string file;
  Fields fields() const {
    if (!root.is_object()) {
      throw Error(ErrorKind::kBadModelFile, file + ": must be a JSON object");
    }
    return Fields(root.get_object(), file);
  }
};

std::optional<JsonObjectFile> read_object(const fs::path& file) {
  std::optional<json::value> root = read_json_file(file);
  if (!root) return std::nullopt;
  return JsonObjectFile{std::move(*root), file.string()};
}

// --- Pieces of config.json -----------------------------------------------------------------------

struct ArchitectureName {
  std::string_view model_type, class_prefix;
  Architecture architecture;
};

constexpr ArchitectureName kArchitectures[] = {
    {"llama", "Llama", Architecture::kLlama},
    {"mistral", "Mistral", Architecture::kMistral},
    {"mixtral", "Mixtral", Architecture::kMixtral},
    {"dbrx", "Dbrx", Architecture::kDbrx},
    {"mpt", "MPT", Architecture::kMpt},
    {"mpt", "Mpt", Architecture::kMpt},
    {"bert", "Bert", Architecture::kBert},
    {"new", "New", Architecture::kGte},
    {"gte", "New", Architecture::kGte},
};

Architecture detect_architecture(const Fields& config) {
  const std::optional<std::string> model_type = config.text("model_type");
  std::string class_name;
  if (const json::value* list = config.find("architectures")) {
    if (list->is_array() && !list->get_array().empty() && list->get_array()[0].is_string()) {
      class_name = std::string(list->get_array()[0].get_string());
    }
  }
  if (!model_type && class_name.empty()) config.fail("model_type", "is missing");
  for (const ArchitectureName& known : kArchitectures) {
    if (model_type ? *model_type == known.model_type : class_name.starts_with(known.class_prefix)) {
      return known.architecture;
    }
  }
  const std::string_view key = model_type ? "model_type" : "architectures";
  config.unsupported(key, "is " + quote_for_message(model_type.value_or(class_name)) +
                              ", an architecture that is not supported");
}

HiddenActivation parse_activation(const Fields& config, std::string_view otherwise) {
  const std::string name = config.text("hidden_act").value_or(std::string(otherwise));
  if (name == "silu" || name == "swish") return HiddenActivation::kSilu;
  if (name == "gelu") return HiddenActivation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") {
    return HiddenActivation::kGeluTanh;
  }
  config.unsupported("hidden_act",
                     "is " + quote_for_message(name) +
                         "; silu, gelu, gelu_new and gelu_pytorch_tanh are supported");
}

void refuse_quantisation(const Fields& config) {
  if (const auto quantization = config.object("quantization_config")) {
    config.unsupported("quantization_config",
                       "names the method " +
                           quote_for_message(quantization->text("quant_method").value_or("?")) +
                           "; quantised weights are read from GGUF files only");
  }
}

// Old form: rope_theta and rope_scaling at top level. New form (transformers 5): rope_parameters.
void read_rope(const Fields& config, ModelConfig& out) {
  const std::optional<Fields> parameters = config.object("rope_parameters");
  const std::optional<Fields> scaling = parameters ? parameters : config.object("rope_scaling");
  const Fields& theta = parameters && parameters->has("rope_theta") ? *parameters : config;
  out.rope_theta = theta.positive("rope_theta", 10000.0);

  for (const Fields* place : {&config, parameters ? &*parameters : nullptr}) {
    if (place == nullptr) continue;
    const double partial = place->number("partial_rotary_factor").value_or(1.0);
    if (partial != 1.0) {
      place->unsupported("partial_rotary_factor", "is " + std::to_string(partial) + ", wanted 1");
    }
  }
  out.context_length = out.max_position_embeddings;
  if (!scaling) return;
  for (const auto& [key, value] : scaling->raw()) {
    if (value.is_object()) scaling->unsupported(key, "is an object: rope per layer type");
  }

  RopeScaling& rope = out.rope_scaling;
  const char* type_key = scaling->has("rope_type") ? "rope_type" : "type";
  const std::string type = scaling->text(type_key).value_or("default");
  const int original_top =
      config.has("original_max_position_embeddings")
          ? config.size("original_max_position_embeddings", std::nullopt, kMaxDimension)
          : 0;
  const int original_inner = scaling->size("original_max_position_embeddings", 0, kMaxDimension, 0);
  rope.original_max_position_embeddings =
      original_top != 0 ? original_top
                        : (original_inner != 0 ? original_inner : out.max_position_embeddings);
  const auto factor = [&] {
    if (!scaling->has("factor")) scaling->fail("factor", "is missing");
    const double value = scaling->positive("factor", 1.0);
    if (value > 1e6) scaling->wrong("factor", *scaling->find("factor"), "at most 1000000");
    return value;
  };
  const auto stretched = [&](int base) {
    return static_cast<int>(std::min(base * rope.factor, double{kMaxDimension}));
  };
  if (type == "default") {
    return;
  } else if (type == "linear" || type == "dynamic") {
    rope.type = type == "linear" ? RopeType::kLinear : RopeType::kDynamic;
    rope.factor = factor();
    out.context_length = stretched(out.max_position_embeddings);
  } else if (type == "llama3") {
    rope.type = RopeType::kLlama3;
    rope.factor = factor();
    rope.low_freq_factor = scaling->positive("low_freq_factor", 1.0);
    rope.high_freq_factor = scaling->positive("high_freq_factor", 4.0);
    if (rope.high_freq_factor <= rope.low_freq_factor) {
      scaling->fail("high_freq_factor", "must be above low_freq_factor");
    }
  } else if (type == "yarn") {
    rope.type = RopeType::kYarn;
    rope.factor = factor();
    rope.beta_fast = scaling->positive("beta_fast", 32.0);
    rope.beta_slow = scaling->positive("beta_slow", 1.0);
    rope.attention_factor = scaling->number("attention_factor");
    rope.mscale = scaling->number("mscale").value_or(0.0);
    rope.mscale_all_dim = scaling->number("mscale_all_dim").value_or(0.0);
    rope.truncate = scaling->boolean("truncate", true);
    if (original_top != 0 || original_inner != 0) {
      out.context_length = stretched(rope.original_max_position_embeddings);
    }
  } else {
    scaling->unsupported(type_key, "is " + quote_for_message(type) +
                                       "; default, linear, dynamic, llama3 and yarn are supported");
  }
}

void read_attention_shape(const Fields& config, ModelConfig& out) {
  out.hidden_size = config.size("hidden_size");
  out.num_attention_heads = config.size("num_attention_heads");
  const bool has_head_dim = config.has("head_dim");
  if (!has_head_dim && out.hidden_size % out.num_attention_heads != 0) {
    config.fail("hidden_size", "is " + std::to_string(out.hidden_size) +
                                   ", not a multiple of num_attention_heads " +
                                   std::to_string(out.num_attention_heads));
  }
  out.head_dim = config.size("head_dim", std::max(1, out.hidden_size / out.num_attention_heads));
}

void read_decoder(const Fields& config, ModelConfig& out) {
  const bool mistral = out.architecture == Architecture::kMistral;
  refuse_quantisation(config);
  out.vocab_size = config.size("vocab_size", 32000);
  read_attention_shape(config, out);
  const int kv_default =
      mistral && !config.mentions("num_key_value_heads") ? 8 : out.num_attention_heads;
  out.num_key_value_heads = config.size("num_key_value_heads", kv_default);
  if (out.num_attention_heads % out.num_key_value_heads != 0) {
    config.fail("num_attention_heads", "is " + std::to_string(out.num_attention_heads) +
                                           ", not a multiple of num_key_value_heads " +
                                           std::to_string(out.num_key_value_heads));
  }
  if (out.head_dim % 2 != 0) {
    config.fail("head_dim", "is " + std::to_string(out.head_dim) + "; rope needs an even number");
  }
  out.intermediate_size = config.size("intermediate_size", mistral ? 14336 : 11008);
  out.num_hidden_layers = config.size("num_hidden_layers", 32, kMaxLayers);
  out.hidden_act = parse_activation(config, "silu");
  out.norm_eps = config.positive("rms_norm_eps", 1e-6);
  out.attention_bias = config.boolean("attention_bias", false);
  out.mlp_bias = config.boolean("mlp_bias", false);
  out.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  out.max_position_embeddings = config.size("max_position_embeddings", mistral ? 131072 : 2048);
  if (mistral && config.has("sliding_window")) out.sliding_window = config.size("sliding_window");
  read_rope(config, out);
}

void read_bert(const Fields& config, ModelConfig& out) {
  refuse_quantisation(config);
  out.vocab_size = config.size("vocab_size", 30522);
  read_attention_shape(config, out);
  out.num_key_value_heads = out.num_attention_heads;
  out.intermediate_size = config.size("intermediate_size", 3072);
  out.num_hidden_layers = config.size("num_hidden_layers", 12, kMaxLayers);
  out.hidden_act = parse_activation(config, "gelu");
  out.norm_eps = config.positive("layer_norm_eps", 1e-12);
  out.attention_bias = out.mlp_bias = true;
  out.max_position_embeddings = config.size("max_position_embeddings", 512);
  out.type_vocab_size = config.size("type_vocab_size", 2);
  const std::string position = config.text("position_embedding_type").value_or("absolute");
  if (position != "absolute") {
    config.unsupported("position_embedding_type",
                       "is " + quote_for_message(position) + "; absolute is supported");
  }
  if (config.boolean("is_decoder", false)) config.unsupported("is_decoder", "is true");
}

// Adds the ids of a key that holds nothing, an integer or a list of integers.
void collect_ids(const Fields& config, std::string_view key, std::vector<std::int32_t>& ids) {
  const json::value* value = config.find(key);
  if (value == nullptr) return;
  const auto add = [&](const json::value& item) {
    const std::int64_t id = config.as_integer(key, item);
    if (id < 0 || id > kMaxTokenId) config.wrong(key, item, "a token id of 0 or more");
    ids.push_back(static_cast<std::int32_t>(id));
  };
  if (!value->is_array()) return add(*value);
  for (const json::value& item : value->get_array()) add(item);
}

void sort_unique(std::vector<std::int32_t>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

// --- sentence-transformers -----------------------------------------------------------------------

Pooling read_pooling(const fs::path& file) {
  const auto pooling = read_object(file);
  if (!pooling) throw Error(ErrorKind::kBadModelFile, file.string() + ": is missing");
  const Fields fields = pooling->fields();
  constexpr std::pair<std::string_view, Pooling> kModes[] = {
      {"pooling_mode_cls_token", Pooling::kCls},
      {"pooling_mode_mean_tokens", Pooling::kMean},
      {"pooling_mode_lasttoken", Pooling::kLast},
      {"pooling_mode_max_tokens", Pooling::kNone},
      {"pooling_mode_mean_sqrt_len_tokens", Pooling::kNone},
      {"pooling_mode_weightedmean_tokens", Pooling::kNone},
  };
  std::optional<Pooling> chosen;
  for (const auto& [key, mode] : kModes) {
    if (!fields.boolean(key, false)) continue;
    if (mode == Pooling::kNone)
      fields.unsupported(key, "is true; cls, mean and last are supported");
    if (chosen) fields.unsupported(key, "is true beside another mode: concatenated poolings");
    chosen = mode;
  }
  if (const auto name = fields.text("pooling_mode"); name && !chosen) {
    if (*name == "cls") chosen = Pooling::kCls;
    if (*name == "mean") chosen = Pooling::kMean;
    if (*name == "lasttoken") chosen = Pooling::kLast;
    if (!chosen) fields.unsupported("pooling_mode", "is " + quote_for_message(*name));
  }
  if (!chosen) fields.fail("pooling_mode_mean_tokens", "and every other pooling mode are off");
  return *chosen;
}

// modules.json decides pooling and normalisation, and nothing else does.
void read_modules(const fs::path& folder, ModelConfig& out) {
  const fs::path file = folder / "modules.json";
  const std::optional<json::value> modules = read_json_file(file);
  if (!modules) {
    out.pooling = Pooling::kCls;
    out.normalize = out.architecture == Architecture::kBert;
    return;
  }
  if (!modules->is_array()) {
    throw Error(ErrorKind::kBadModelFile, file.string() + ": must be an array of modules");
  }
  for (const json::value& item : modules->get_array()) {
    if (!item.is_object()) {
      throw Error(ErrorKind::kBadModelFile, file.string() + ": must be an array of objects");
    }
    const Fields module(item.get_object(), file.string());
    const std::string type = module.text("type").value_or("");
    const std::string path = module.text("path").value_or("");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Transformer") {
      if (!path.empty() && path != ".") {
        module.unsupported("path", "is " + quote_for_message(path) +
                                       "; the transformer must be in the folder itself");
      }
    } else if (kind == "Pooling") {
      if (path.find_first_of("/\\") != std::string::npos || path == "..") {
        module.fail("path", "is " + quote_for_message(path) + ", wanted a plain folder name");
      }
      out.pooling = read_pooling(folder / path / "config.json");
    } else if (kind == "Normalize") {
      out.normalize = true;
    } else {
      module.unsupported("type", "is " + quote_for_message(type) +
                                     "; Transformer, Pooling and Normalize are supported");
    }
  }
  if (out.pooling == Pooling::kNone) {
    throw Error(ErrorKind::kUnsupportedModel, file.string() + ": has no Pooling module");
  }
}

void read_max_seq_length(const fs::path& folder, ModelConfig& out) {
  out.max_seq_length = out.max_position_embeddings;
  if (const auto file = read_object(folder / "sentence_bert_config.json")) {
    const int wanted = file->fields().size("max_seq_length", out.max_position_embeddings);
    out.max_seq_length = std::min(wanted, out.max_position_embeddings);
  }
  out.context_length = out.max_seq_length;
}

ModelConfig read_folder(const fs::path& folder) {
  const auto file = read_object(folder / "config.json");
  if (!file) {
    throw Error(ErrorKind::kBadModelFile, (folder / "config.json").string() + ": is missing");
  }
  const Fields config = file->fields();
  ModelConfig out;
  out.architecture = detect_architecture(config);
  switch (out.architecture) {
    case Architecture::kLlama:
    case Architecture::kMistral:
      read_decoder(config, out);
      break;
    case Architecture::kBert:
      read_bert(config, out);
      read_modules(folder, out);
      read_max_seq_length(folder, out);
      break;
    default:
      config.unsupported("model_type",
                         "names the architecture '" +
                             std::string(architecture_name(out.architecture)) +
                             "', which is not supported yet; llama, mistral and bert are");
  }
  std::vector<std::int32_t> bos;
  collect_ids(config, "bos_token_id", bos);
  collect_ids(config, "eos_token_id", out.eos_token_ids);
  if (const auto generation = read_object(folder / "generation_config.json")) {
    collect_ids(generation->fields(), "eos_token_id", out.eos_token_ids);
    if (bos.empty()) collect_ids(generation->fields(), "bos_token_id", bos);
  }
  if (!bos.empty()) out.bos_token_id = bos.front();
  sort_unique(out.eos_token_ids);
  return out;
}

// --- GGUF metadata -------------------------------------------------------------------------------

// Keys of the file's architecture, by suffix: "block_count" is "llama.block_count".
class GgufFields {
 public:
  GgufFields(const Gguf& gguf, std::string architecture)
      : gguf_(gguf), prefix_(std::move(architecture) + ".") {}

  [[noreturn]] void fail(std::string_view suffix, const std::string& what,
                         ErrorKind kind = ErrorKind::kBadModelFile) const {
    throw Error(kind, gguf_.name() + ": key '" + prefix_ + std::string(suffix) + "' " + what);
  }
  [[noreturn]] void unsupported(std::string_view suffix, const std::string& what) const {
    fail(suffix, what, ErrorKind::kUnsupportedModel);
  }
  std::string key(std::string_view suffix) const { return prefix_ + std::string(suffix); }
  bool has(std::string_view suffix) const { return gguf_.has(key(suffix)); }

  int size(std::string_view suffix, std::optional<std::int64_t> otherwise = std::nullopt,
           std::int64_t highest = kMaxDimension) const {
    const std::optional<std::int64_t> value = gguf_.uniform_integer(key(suffix));
    if (!value && !otherwise) fail(suffix, "is missing");
    const std::int64_t size = value.value_or(otherwise.value_or(0));
    if (size < 1 || size > highest) {
      fail(suffix, "is " + std::to_string(size) + ", wanted 1 to " + std::to_string(highest));
    }
    return static_cast<int>(size);
  }
  double positive(std::string_view suffix, std::optional<double> otherwise = std::nullopt) const {
    const std::optional<double> value = gguf_.number(key(suffix));
    if (!value && !otherwise) fail(suffix, "is missing");
    const double number = value.value_or(otherwise.value_or(0.0));
    if (!std::isfinite(number) || number <= 0) {
      fail(suffix, "is " + std::to_string(number) + ", wanted a finite number above 0");
    }
    return number;
  }

 private:
  const Gguf& gguf_;
  std::string prefix_;
};

void read_gguf_rope(const Gguf& gguf, const GgufFields& fields, ModelConfig& out) {
  out.rope_theta = fields.positive("rope.freq_base", 10000.0);
  const int dimensions = fields.size("rope.dimension_count", out.head_dim);
  if (dimensions != out.head_dim) {
    fields.unsupported("rope.dimension_count", "is " + std::to_string(dimensions) +
                                                   ", wanted the head dimension " +
                                                   std::to_string(out.head_dim));
  }
  // Llama 3 scaling comes as this tensor, and then nothing else applies.
  if (gguf.tensors().contains("rope_freqs.weight")) return;
  const std::string type(gguf.text(fields.key("rope.scaling.type")).value_or("linear"));
  RopeScaling& rope = out.rope_scaling;
  const char* factor_key =
      fields.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const double factor = gguf.number(fields.key(factor_key)).value_or(0.0);
  if (type == "none" || (type == "linear" && (factor == 0.0 || factor == 1.0))) return;
  if (type != "linear" && type != "yarn") {
    fields.unsupported("rope.scaling.type",
                       "is " + quote_for_message(type) + "; none, linear and yarn are supported");
  }
  rope.factor = fields.positive(factor_key);
  rope.original_max_position_embeddings =
      fields.size("rope.scaling.original_context_length", out.max_position_embeddings);
  if (type == "linear") {
    rope.type = RopeType::kLinear;
    return;
  }
  rope.type = RopeType::kYarn;
  rope.beta_fast = fields.positive("rope.scaling.yarn_beta_fast", 32.0);
  rope.beta_slow = fields.positive("rope.scaling.yarn_beta_slow", 1.0);
  if (fields.has("rope.scaling.attn_factor")) {
    // llama.cpp multiplies this with the factor that yarn derives from the scale.
    rope.attention_factor = fields.positive("rope.scaling.attn_factor") *
                            (rope.factor <= 1.0 ? 1.0 : 0.1 * std::log(rope.factor) + 1.0);
  }
}

void read_gguf_bert(const Gguf& gguf, const GgufFields& fields, ModelConfig& out) {
  out.norm_eps = fields.positive("attention.layer_norm_epsilon");
  out.hidden_act = HiddenActivation::kGelu;
  out.attention_bias = out.mlp_bias = true;
  out.type_vocab_size = static_cast<int>(std::clamp<std::int64_t>(
      gguf.integer("tokenizer.ggml.token_type_count").value_or(2), 1, kMaxDimension));
  out.max_seq_length = out.max_position_embeddings;
  if (gguf.boolean(fields.key("attention.causal")).value_or(false)) {
    fields.unsupported("attention.causal", "is true");
  }
  switch (const auto pooling = gguf.integer(fields.key("pooling_type")).value_or(0)) {
    case 0:
      out.pooling = Pooling::kCls;
      break;  // not said: what a BERT without modules.json gets
    case 1:
      out.pooling = Pooling::kMean;
      break;
    case 2:
      out.pooling = Pooling::kCls;
      break;
    case 3:
      out.pooling = Pooling::kLast;
      break;
    default:
      fields.unsupported("pooling_type", "is " + std::to_string(pooling) +
                                             "; 1 (mean), 2 (cls) and 3 (last) are supported");
  }
  out.normalize = true;
}

void read_gguf_llama(const Gguf& gguf, const GgufFields& fields, ModelConfig& out) {
  if (gguf.integer(fields.key("expert_count")).value_or(0) != 0) {
    fields.unsupported("expert_count", "is not 0: mixtures of experts are not supported yet");
  }
  out.norm_eps = fields.positive("attention.layer_norm_rms_epsilon");
  out.rope_interleaved = true;
  out.attention_bias = gguf.tensors().contains("blk.0.attn_q.bias");
  out.mlp_bias = gguf.tensors().contains("blk.0.ffn_up.bias");
  out.tie_word_embeddings = !gguf.tensors().contains("output.weight");
  if (gguf.integer(fields.key("attention.sliding_window")).value_or(0) != 0) {
    out.sliding_window = fields.size("attention.sliding_window");
  }
  if (out.head_dim % 2 != 0) {
    fields.fail("attention.key_length",
                "is " + std::to_string(out.head_dim) + "; rope needs an even number");
  }
  read_gguf_rope(gguf, fields, out);
}

ModelConfig read_gguf(const Gguf& gguf) {
  const auto name = gguf.text("general.architecture");
  if (!name) {
    throw Error(ErrorKind::kBadModelFile, gguf.name() + ": key 'general.architecture' is missing");
  }
  ModelConfig out;
  if (*name == "llama") {
    out.architecture = Architecture::kLlama;
  } else if (*name == "bert") {
    out.architecture = Architecture::kBert;
  } else {
    throw Error(ErrorKind::kUnsupportedModel, gguf.name() + ": key 'general.architecture' is " +
                                                  quote_for_message(*name) +
                                                  "; llama and bert are supported");
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
  if (out.is_encoder()) {
    read_gguf_bert(gguf, fields, out);
  } else {
    read_gguf_llama(gguf, fields, out);
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

}  // namespace

std::string_view architecture_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return "llama";
    case Architecture::kMistral:
      return "mistral";
    case Architecture::kMixtral:
      return "mixtral";
    case Architecture::kDbrx:
      return "dbrx";
    case Architecture::kMpt:
      return "mpt";
    case Architecture::kBert:
      return "bert";
    case Architecture::kGte:
      return "gte";
  }
  return "unknown";
}

ModelConfig read_config(const Checkpoint& checkpoint) {
  ModelConfig config =
      checkpoint.is_gguf() ? read_gguf(*checkpoint.gguf()) : read_folder(checkpoint.path());
  // Published configs disagree with their weights about padding rows: the tensor decides.
  const char* embedding =
      config.is_encoder() ? "embeddings.word_embeddings.weight" : "model.embed_tokens.weight";
  const RawTensor& rows = checkpoint.get(embedding);
  if (rows.shape.size() != 2 || rows.shape[0] < 1 || rows.shape[0] > kMaxDimension) {
    throw Error(ErrorKind::kBadModelFile, checkpoint.path().string() + ": tensor '" + embedding +
                                              "' must have two dimensions");
  }
  config.vocab_size = static_cast<int>(rows.shape[0]);
  if (checkpoint.is_gguf() && !config.is_encoder()) {
    config.tie_word_embeddings = checkpoint.find("lm_head.weight") == nullptr;
  }
  return config;
}

ModelConfig read_config(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_folder(path);
  const MappedFile file(path);
  return read_gguf(Gguf::parse(file.bytes(), path.string()));
}

}  // namespace tessera
