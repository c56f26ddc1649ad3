#include "api/options.h"

#include <limits>

namespace tessera::api {

ParseOptions ParseOptions::for_profile(Profile profile) {
  if (profile == Profile::kDatabricks) return {};
  ParseOptions options{.profile = profile,
                       .max_n = 128,
                       .max_prompts = 1024,
                       .max_logprobs = 20,
                       .one_system_message_first = false,
                       .last_message_from_user = false};
  options.max_tools = 128;
  if (profile == Profile::kExternal) {
    constexpr int kAny = std::numeric_limits<int>::max();
    options.max_n = options.max_stop = options.max_prompts = options.max_inputs = kAny;
    options.max_tools = options.max_top_logprobs = options.max_logprobs = kAny;
    options.allow_tools = options.allow_parts = options.allow_suffix = true;
  }
  if (profile == Profile::kInternal) {
    options.allow_chat_template = true;
    options.allow_suffix = true;
    options.allow_priority = true;
  }
  return options;
}

}  // namespace tessera::api
