// Filters that work on sequences, apart from the table of all. Private to text/.
#pragma once

#include "text/jinja_builtins.h"

namespace tessera::jinja {

// "a.b.0": items of items; without a path (null or none) the value itself.
Value get_path(Value value, const Value* path);

Value sort_filter(const Value& input, const Arguments& arguments, Budget& budget);
Value dictsort_filter(const Value& input, const Arguments& arguments, Budget& budget);
Value unique_filter(const Value& input, const Arguments& arguments, Budget& budget);
Value extreme_filter(const Value& input, const Arguments& arguments, bool largest);
Value map_filter(const Value& input, const Arguments& arguments, Budget& budget);
Value select_filter(const Value& input, const Arguments& arguments, bool wanted, bool by_attribute,
                    Budget& budget);

}  // namespace tessera::jinja
