// `prompt` and `input`: text, token ids, or a list of either. Private to the room.
#pragma once

#include <vector>

#include "api/completion.h"
#include "api/field_table.h"
#include "api/json_writer.h"

namespace tessera::api {

// An array of integers is one item. Mixed arrays are Error(kWrongType); empty ones kArrayLength.
std::vector<TextOrTokens> read_text_or_tokens(const json::value& value, const Reading& at,
                                              int max_items);
void write_text_or_tokens(JsonWriter& w, std::string_view name,
                          const std::vector<TextOrTokens>& items);

}  // namespace tessera::api
