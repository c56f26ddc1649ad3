#include "api/embedding.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "api/field_table.h"
#include "api/text_or_tokens.h"
#include "api/upstream_fields.h"
#include "api/wire_fields.h"

namespace tessera::api {
namespace {

struct EmbeddingReading {
  EmbeddingRequest request;
  bool has_base64_options = false;
};

void read_input(EmbeddingReading& r, const json::value& value, const Reading& at) {
  r.request.inputs = read_text_or_tokens(value, at, at.options.max_inputs);
  for (std::size_t i = 0; i < r.request.inputs.size(); ++i) {
    const TextOrTokens& input = r.request.inputs[i];
    if (!input.text.empty() || !input.token_ids.empty()) continue;
    throw empty_text(value.is_string() ? std::string(at.field) : index_path(at.field, i));
  }
}

void read_encoding(EmbeddingReading& r, const json::value& value, const Reading& at) {
  const std::string_view format = read_string(at.field, value);
  if (format != "float" && format != "base64")
    throw bad_value(at.field, format, {"float", "base64"});
  r.request.encoding_format = format == "base64" ? EncodingFormat::kBase64 : EncodingFormat::kFloat;
}

void read_dtype(EmbeddingReading& r, const json::value& value, const Reading& at) {
  const std::string_view dtype = read_string(at.field, value);
  if (dtype == "float16") {
    r.request.embed_dtype = EmbedDtype::kFloat16;
  } else if (dtype == "bfloat16") {
    r.request.embed_dtype = EmbedDtype::kBfloat16;
  } else if (dtype != "float32") {
    throw bad_value(at.field, dtype, {"float32", "float16", "bfloat16"});
  }
  r.has_base64_options |= dtype != "float32";
}

void read_endianness(EmbeddingReading& r, const json::value& value, const Reading& at) {
  const std::string_view order = read_string(at.field, value);
  if (order != "little" && order != "big" && order != "native") {
    throw bad_value(at.field, order, {"little", "big", "native"});
  }
  r.request.big_endian =
      order == "big" || (order == "native" && std::endian::native == std::endian::big);
  r.has_base64_options |= r.request.big_endian;
}

void read_truncate(EmbeddingReading& r, const json::value& value, const Reading& at) {
  const int keep = read_int(at.field, value, -1);
  if (keep == 0) throw not_positive(at.field);
  r.request.truncate_prompt_tokens = keep;
}

void read_priority(EmbeddingReading& r, const json::value& value, const Reading& at) {
  r.request.priority = read_priority_value(value, at);
}

constexpr Field<EmbeddingReading> kEmbeddingFields[] = {
    {"input", read_input},
    {"instruction",
     [](EmbeddingReading& r, const json::value& v, const Reading& at) {
       r.request.instruction = read_string(at.field, v, 4u << 10);
     },
     kOurs},
    {"encoding_format", read_encoding},
    {"dimensions", [](EmbeddingReading& r, const json::value& v,
                      const Reading& at) { r.request.dimensions = read_int(at.field, v, 1); }},
    {"truncate_prompt_tokens", read_truncate, kOurs},
    {"normalize",
     [](EmbeddingReading& r, const json::value& v, const Reading& at) {
       r.request.normalize = read_bool(at.field, v);
     },
     kOurs},
    {"add_special_tokens",
     [](EmbeddingReading& r, const json::value& v, const Reading& at) {
       r.request.add_special_tokens = read_bool(at.field, v);
     },
     kOurs},
    {"embed_dtype", read_dtype, kOurs},
    {"endianness", read_endianness, kOurs},
    {"priority", read_priority, kOurs},
};

// Round to nearest, ties to even (IEEE 754-2019, 4.3.1).
std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

std::uint16_t to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;   // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and above round to infinity
  if (magnitude < 0x38800000) {                       // below 2^-14: subnormal, a multiple of 2^-24
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    auto whole = static_cast<std::uint32_t>(scaled);
    const float rest = scaled - static_cast<float>(whole);
    if (rest > 0.5f || (rest == 0.5f && (whole & 1))) ++whole;
    return static_cast<std::uint16_t>(sign | whole);
  }
  const std::uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

template <class Word>
void append_word(std::string& out, Word word, bool big_endian) {
  for (std::size_t i = 0; i < sizeof word; ++i) {
    const std::size_t shift = 8 * (big_endian ? sizeof word - 1 - i : i);
    out += static_cast<char>(word >> shift & 0xff);
  }
}

std::string to_bytes(const std::vector<float>& values, EmbedDtype dtype, bool big_endian) {
  std::string bytes;
  bytes.reserve(4 * values.size());
  for (const float value : values) {
    switch (dtype) {
      case EmbedDtype::kFloat32:
        append_word(bytes, std::bit_cast<std::uint32_t>(value), big_endian);
        break;
      case EmbedDtype::kFloat16:
        append_word(bytes, to_float16(value), big_endian);
        break;
      case EmbedDtype::kBfloat16:
        append_word(bytes, to_bfloat16(value), big_endian);
        break;
    }
  }
  return bytes;
}

std::vector<float> read_vector(const json::value& embedding) {
  std::vector<float> values;
  if (const json::array* numbers = embedding.if_array()) {
    values.reserve(numbers->size());
    for (const json::value& number : *numbers) {
      values.push_back(static_cast<float>(as_number(number, "data[].embedding")));
    }
    return values;
  }
  const std::optional<std::string> bytes = base64_decode(as_string(embedding, "data[].embedding"));
  if (!bytes || bytes->size() % 4 != 0) {
    throw Error(ErrorKind::kUpstreamBadGateway, "The upstream's embedding is not valid base64.");
  }
  values.reserve(bytes->size() / 4);
  for (std::size_t i = 0; i < bytes->size(); i += 4) {
    std::uint32_t word = 0;
    for (int b = 3; b >= 0; --b) word = word << 8 | static_cast<unsigned char>((*bytes)[i + b]);
    values.push_back(std::bit_cast<float>(word));
  }
  return values;
}

}  // namespace

EmbeddingRequest parse_embedding_request(const Body& body, const ParseOptions& options) {
  EmbeddingReading reading;
  EmbeddingRequest& request = reading.request;
  read_members(body.object(), options, request.common,
               [&](std::string_view name, const json::value& value) {
                 return apply<EmbeddingReading>(kEmbeddingFields, reading, name, value, options) ||
                        apply(common_fields(), request.common, name, value, options);
               });
  if (options.model_required && request.common.model.empty()) throw_missing("model");
  if (request.inputs.empty()) throw_missing("input");
  if (!request.instruction.empty() && !request.inputs[0].token_ids.empty()) {
    throw conflict("instruction", "input", "an instruction goes before text, not before token ids");
  }
  if (reading.has_base64_options && request.encoding_format != EncodingFormat::kBase64) {
    const bool order = request.embed_dtype == EmbedDtype::kFloat32;
    throw conflict(order ? "endianness" : "embed_dtype", "encoding_format",
                   "it has a meaning with 'base64' only");
  }
  return std::move(request);
}

std::string to_json(const EmbeddingRequest& request, const WireOptions& wire) {
  JsonWriter w(1024);
  write_common(w.begin_object(), request.common, wire);
  write_text_or_tokens(w, "input", request.inputs);
  if (wire.members) {
    write_members(w, wire);
    return w.end_object().take();
  }
  if (!request.instruction.empty()) w.member("instruction", request.instruction);
  if (request.encoding_format == EncodingFormat::kBase64) w.member("encoding_format", "base64");
  if (request.embed_dtype != EmbedDtype::kFloat32) {
    const bool half = request.embed_dtype == EmbedDtype::kFloat16;
    w.member("embed_dtype", half ? "float16" : "bfloat16");
  }
  if (request.big_endian) w.member("endianness", "big");
  if (request.dimensions) w.member("dimensions", *request.dimensions);
  if (request.truncate_prompt_tokens) {
    w.member("truncate_prompt_tokens", *request.truncate_prompt_tokens);
  }
  if (request.normalize) w.member("normalize", *request.normalize);
  if (!request.add_special_tokens) w.member("add_special_tokens", false);
  if (request.priority != 0) w.member("priority", request.priority);
  write_extra(w, request.common.extra);
  return w.end_object().take();
}

std::string to_json(const EmbeddingResponse& response, EncodingFormat format, EmbedDtype dtype,
                    bool big_endian) {
  std::size_t floats = 0;
  for (const auto& embedding : response.data) floats += embedding.size();
  JsonWriter w(256 + 64 * response.data.size() + 12 * floats);
  w.begin_object().member("object", "list").member("id", response.id);
  w.member("model", response.model).key("data").begin_array();
  for (std::size_t i = 0; i < response.data.size(); ++i) {
    w.begin_object().member("object", "embedding").member("index", i);
    if (format == EncodingFormat::kBase64) {
      w.member("embedding", base64_encode(to_bytes(response.data[i], dtype, big_endian)));
    } else {
      w.list("embedding", response.data[i]);
    }
    w.end_object();
  }
  w.end_array();
  write_usage(w, response.usage);
  if (!response.served_model_name.empty()) {
    w.member("served_model_name", response.served_model_name);
  }
  return w.end_object().take();
}

EmbeddingResponse parse_embedding_response(std::string_view text) {
  const json::object object = parse_upstream_object(text);
  EmbeddingResponse response;
  response.id = text_or_empty(object, "id");
  response.model = text_or_empty(object, "model");
  const json::array& data = array_or_empty(object, "data");
  response.data.resize(data.size());
  try {
    for (std::size_t i = 0; i < data.size(); ++i) {
      const json::object& item = as_object(data[i], "data[]");
      const auto index = static_cast<std::size_t>(maybe_int(item, "index").value_or(i));
      if (index >= data.size()) throw Error(ErrorKind::kUpstreamBadGateway, "index out of order");
      response.data[index] = read_vector(item.at("embedding"));
    }
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kUpstreamBadGateway,
                std::string("The upstream's embeddings cannot be read: ") + error.what());
  }
  if (const std::optional<Usage> usage = read_usage(object)) response.usage = *usage;
  return response;
}

}  // namespace tessera::api
