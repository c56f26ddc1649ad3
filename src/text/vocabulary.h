// Token texts by id, and the ids a model may find by text.
#pragma once

#include <memory>

#include "text/string_table.h"

namespace tessera {

// Held by shared_ptr: the table and the models point into the texts.
struct Vocabulary {
  PackedStrings texts;  // of every id, added tokens included; empty for holes
  StringTable model;    // ids that belong to the model

  Vocabulary(PackedStrings strings, std::span<const std::int32_t> model_ids)
      : texts(std::move(strings)), model(texts, model_ids) {}
  Vocabulary(const Vocabulary&) = delete;
};

}  // namespace tessera
