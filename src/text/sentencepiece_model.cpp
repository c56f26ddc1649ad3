#include "text/sentencepiece_model.h"

#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "text/protobuf_reader.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

namespace tessera {

namespace {

[[noreturn]] void bad(const std::string& what) {
  throw Error(ErrorKind::kBadModelFile, "tokenizer.model: " + what + ".", "tokenizer.model");
}

void read_piece(std::string_view bytes, SentencePieceModel& model) {
  ProtobufReader reader(bytes, "tokenizer.model: a piece");
  std::string text;
  float score = 0;
  std::int32_t type = SentencePieceModel::kNormal;
  for (ProtobufReader::Field field; reader.next(field);) {
    if (field.number == 1) text = reader.as_bytes(field);
    if (field.number == 2) score = reader.as_float(field);
    if (field.number == 3) type = reader.as_int32(field);
  }
  const std::string name = "piece " + std::to_string(model.pieces.size());
  if (text.empty()) bad(name + " is empty");
  if (!utf8_valid(text)) bad(name + " is not UTF-8");
  if (!std::isfinite(score)) bad(name + " has a score that is no number");
  if (type < SentencePieceModel::kNormal || type > SentencePieceModel::kByte) {
    bad(name + " has the type " + std::to_string(type) + "; known are 1 to 6");
  }
  if (model.pieces.size() + 1 >= static_cast<std::size_t>(kMaxVocabulary)) {
    bad("more than " + std::to_string(kMaxVocabulary - 1) + " pieces");
  }
  model.pieces.push_back(std::move(text));
  model.scores.push_back(score);
  model.types.push_back(type);
}

void read_trainer(std::string_view bytes, SentencePieceModel& model) {
  ProtobufReader reader(bytes, "tokenizer.model: trainer_spec");
  for (ProtobufReader::Field field; reader.next(field);) {
    switch (field.number) {
      case 3:
        model.algorithm = reader.as_int32(field);
        break;
      case 24:
        model.treat_whitespace_as_suffix = reader.as_bool(field);
        break;
      case 35:
        model.byte_fallback = reader.as_bool(field);
        break;
      case 40:
        model.unk_id = reader.as_int32(field);
        break;
      case 41:
        model.bos_id = reader.as_int32(field);
        break;
      case 42:
        model.eos_id = reader.as_int32(field);
        break;
      case 43:
        model.pad_id = reader.as_int32(field);
        break;
      default:
        break;
    }
  }
}

void read_normalizer(std::string_view bytes, SentencePieceModel& model) {
  ProtobufReader reader(bytes, "tokenizer.model: normalizer_spec");
  for (ProtobufReader::Field field; reader.next(field);) {
    switch (field.number) {
      case 1:
        model.normalizer = reader.as_bytes(field);
        break;
      case 2:
        model.charsmap = reader.as_bytes(field);
        break;
      case 3:
        model.add_dummy_prefix = reader.as_bool(field);
        break;
      case 4:
        model.remove_extra_whitespaces = reader.as_bool(field);
        break;
      case 5:
        model.escape_whitespaces = reader.as_bool(field);
        break;
      default:
        break;
    }
  }
}

void read_denormalizer(std::string_view bytes, SentencePieceModel& model) {
  ProtobufReader reader(bytes, "tokenizer.model: denormalizer_spec");
  for (ProtobufReader::Field field; reader.next(field);) {
    if (field.number == 2) model.denormalizer_charsmap = reader.as_bytes(field);
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes) {
  SentencePieceModel model;
  ProtobufReader reader(bytes, "tokenizer.model");
  for (ProtobufReader::Field field; reader.next(field);) {
    if (field.number == 1) read_piece(reader.as_bytes(field), model);
    if (field.number == 2) read_trainer(reader.as_bytes(field), model);
    if (field.number == 3) read_normalizer(reader.as_bytes(field), model);
    if (field.number == 5) read_denormalizer(reader.as_bytes(field), model);
  }
  if (model.pieces.empty()) bad("there are no pieces; this is no SentencePiece model");
  std::unordered_set<std::string_view> seen;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (!seen.insert(model.pieces[id]).second) {
      bad("piece " + std::to_string(id) + " ('" + model.pieces[id] + "') is there twice");
    }
  }
  return model;
}

}  // namespace tessera
