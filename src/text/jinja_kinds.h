// Questions about the kinds of values that several parts of the template language ask. Private to
// text/.
#pragma once

#include "text/jinja_value.h"

namespace tessera::jinja {

inline bool is_number(const Value& value) {
  return value.is<bool>() || value.is<std::int64_t>() || value.is<double>();
}

inline bool is_view(SequenceKind kind) {
  return kind == SequenceKind::kKeys || kind == SequenceKind::kValues ||
         kind == SequenceKind::kItems;
}

}  // namespace tessera::jinja
