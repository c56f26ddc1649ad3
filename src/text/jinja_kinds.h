// Questions about the kinds of values that several parts of the template language ask. Private to
// text/.
#pragma once

#include "text/jinja_value.h"

namespace tessera::jinja {

inline bool is_integer(const Value& value) { return value.is<std::int64_t>() || value.is<bool>(); }

inline bool is_number(const Value& value) {
  return value.is<bool>() || value.is<std::int64_t>() || value.is<double>();
}

inline bool is_view(SequenceKind kind) {
  return kind == SequenceKind::kKeys || kind == SequenceKind::kValues ||
         kind == SequenceKind::kItems;
}

inline bool is_list_or_tuple(const Value& value) {
  const Sequence* sequence = value.sequence();
  return sequence != nullptr &&
         (sequence->kind == SequenceKind::kList || sequence->kind == SequenceKind::kTuple);
}

// The value of one that is_integer().
inline std::int64_t integer(const Value& value) {
  if (const bool* b = value.get<bool>()) return *b ? 1 : 0;
  return *value.get<std::int64_t>();
}

}  // namespace tessera::jinja
