// OpenAI and what speaks like it. Private to the room; see registry.cpp.
#pragma once

#include "providers/provider.h"

namespace tessera::providers {

extern const Provider kOpenAi;
extern const Provider kAzure;
extern const Provider kCustom;
extern const Provider kDatabricks;
extern const Provider kWorker;

}  // namespace tessera::providers
