// What every chunk of an answer begins with, whatever the task.
#pragma once

#include "api/fields.h"
#include "worker/generation.h"
#include "worker/replies.h"
#include "worker/served_model.h"

namespace tessera {

// Names who answers; says what was used so far, or that it will be said, as the request asks.
template <class Chunk>
Chunk new_chunk(const ReplyIdentity& identity, const ServedModel& model,
                const api::GenerationFields& fields, const Generation& generation) {
  Chunk chunk;
  chunk.id = identity.id;
  chunk.created = identity.created;
  chunk.model = identity.model;
  chunk.system_fingerprint = model.fingerprint;
  if (fields.continuous_usage_stats) {
    chunk.usage = generation.usage();
  } else {
    chunk.null_usage = fields.include_usage;
  }
  return chunk;
}

}  // namespace tessera
