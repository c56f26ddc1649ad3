// For tests: a tokenizer.json of single characters, the size of FakeLanguageModel's vocabulary.
// Ids: 0 <pad>, 1 <eos>, 2 … 95 the printable characters '!' … '~', 96 the space.
#pragma once

#include <string>

#include "base/json.h"

namespace tessera {

inline std::string fake_tokenizer_json() {
  json::object vocab;
  vocab["<pad>"] = 0;
  vocab["<eos>"] = 1;
  for (char c = '!'; c <= '~'; ++c) vocab[std::string(1, c)] = c - '!' + 2;
  vocab["\u0120"] = 96;  // the byte-level alphabet's space
  const auto special = [](int id, const char* content) {
    return json::object{{"id", id},        {"content", content}, {"single_word", false},
                        {"lstrip", false}, {"rstrip", false},    {"normalized", false},
                        {"special", true}};
  };
  const json::object byte_level{{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
  return to_json(json::object{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", json::array{special(0, "<pad>"), special(1, "<eos>")}},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model", json::object{{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array{}}}}});
}

}  // namespace tessera
