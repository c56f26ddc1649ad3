// OpenAI and what speaks like it. Private to the room; see registry.cpp.
#pragma once

#include "providers/provider.h"

namespace tessera::providers {

extern const Provider kOpenAi;
extern const Provider kWorker;

}  // namespace tessera::providers
