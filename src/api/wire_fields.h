// The members that chat, completions and embeddings have in common, as they are written. Private to
// the room.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "api/fields.h"
#include "api/json_writer.h"

namespace tessera::api {

// Members of a request; what is at its default is left out.
void write_common(JsonWriter& w, const CommonFields& fields, const WireOptions& wire);
void write_generation(JsonWriter& w, const GenerationFields& fields, const WireOptions& wire);

struct ChatTokenLogprob;
// The list of a choice's log-probabilities.
void write_scores(JsonWriter& w, const std::vector<ChatTokenLogprob>& tokens);

// Members of an answer or chunk.
void write_usage(JsonWriter& w, const Usage& usage);
void write_usage(JsonWriter& w, const std::optional<Usage>& usage, bool null_usage);
void write_finish(JsonWriter& w, const std::optional<FinishReason>& reason,
                  const std::optional<StopReason>& stop);
void write_timings(JsonWriter& w, const Timings& timings);
void write_members(JsonWriter& w, const WireOptions& wire);  // WireOptions::members, which is set
void write_extra(JsonWriter& w, const StringPairs& extra);
void write_token_ids(JsonWriter& w, std::string_view name,
                     const std::optional<std::vector<std::int32_t>>& ids);

}  // namespace tessera::api
