// Runs a parsed template. Undefined values, scoping and output follow Jinja with its default
// Undefined; the sandbox is the immutable one, and limits bound time, memory and recursion.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_parser.h"
#include "text/jinja_value.h"

namespace tessera::jinja {

struct RenderInput {
  std::vector<std::pair<std::string, Value>> variables;  // shadow globals such as `range`
  std::int64_t now_s = 0;                                // for strftime_now, in local time
};

// Throws Error(kBadMessage) for raise_exception, Error(kBadValue) for run-time errors and limits
// (output 64 MiB, 10^6 loop iterations, 64 nested calls, and the Budget), with line and column.
Text render(const Block& block, const RenderInput& input);

}  // namespace tessera::jinja
