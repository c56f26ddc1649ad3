// How strictly a request body is read (data-plane 0.5): one profile per endpoint, its limits
// overridable one by one.
#pragma once

namespace tessera::api {

enum class Profile {
  kDatabricks,  // unknown fields are refused, the documented limits hold
  kOpen,        // unknown fields are ignored and listed, wide limits
  kExternal,  // an external provider answers: unknown fields are kept for it (CommonFields::extra)
              // and its own limits are its affair
  kInternal,  // gateway to worker: checked already, so unknown fields are ignored and no limit
              // holds that a client could meet
};

struct ParseOptions {
  Profile profile = Profile::kDatabricks;
  int max_n = 5;
  int max_stop = 16;
  int max_prompts = 128;  // in one completions call
  int max_inputs = 2048;  // in one embeddings call
  int max_tools = 32;
  int max_top_logprobs = 20;  // chat; above it, kOutOfRange. -1 ("all") only in kOpen
  int max_logprobs = 5;       // completions
  bool one_system_message_first = true;
  bool last_message_from_user = true;  // or from a tool
  bool allow_chat_template = false;    // a template in the request is code
  bool allow_tools = false;     // tools, tool_choice, response_format; else not supported yet
  bool allow_parts = false;     // content parts other than text (ChatMessage::parts)
  bool model_required = false;  // OpenAI routes
  bool allow_suffix = false;    // completions: append it after the model's text
  bool allow_priority = false;  // a priority other than 0
  int max_output_tokens = 0;    // the model's cap on max_tokens; 0: none known
  int vocab_size = 0;           // bounds token ids; 0: not known here

  static ParseOptions for_profile(Profile profile);
};

}  // namespace tessera::api
