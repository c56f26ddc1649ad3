// Which fields of our requests a dialect has, under which names and within which bounds: a table
// per dialect and task instead of code (external-providers 1.3, 1.4). Private to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "providers/provider.h"

namespace tessera::providers {

// One field of ours in a dialect. A field without a rule is refused.
struct Rule {
  enum class Fate {
    kSend,  // written by Parameters::write
    kDrop,  // left out and listed: the provider has nothing of the kind, the answer is as good
    kOwn,   // written by the dialect's own code
  };
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  std::string_view field;   // ours: "max_tokens", "top_p", "stop", …
  std::string_view native;  // theirs, dotted where nested: "generationConfig.topP"; empty: as ours
  double lowest = -kNone, highest = kNone;
  double scale = 1;           // the factor of temperature_policy "scale"
  std::size_t max_items = 0;  // of a list; 0: any number
  bool below = false;         // `highest` itself is too high
  Fate fate = Fate::kSend;
  bool native_passes = false;  // the native name is a public extra, too: Cohere's `k`
};

struct Dialect {
  std::string_view provider;  // for messages: "Cohere"
  std::span<const Rule> rules;
  // Further native names of our fields, which a client must not use: {"stop_sequences", "stop"}.
  // Those that the rules give are known anyway.
  std::span<const std::pair<std::string_view, std::string_view>> aliases;
  std::string_view extras;     // the dotted place of unknown members; empty: the top level
  int default_max_tokens = 0;  // sent when neither request nor endpoint names one; 0: nothing
};

// The fields of one request that are not at their (OpenAI) default, on their way to the wire.
// Endpoint options read: unsupported_params reject | drop, temperature_policy native | scale |
// clamp, default_max_tokens.
class Parameters {
 public:
  Parameters(const api::ChatRequest& request, const Dialect& dialect, const Context& context);
  Parameters(const api::CompletionRequest& request, const Dialect& dialect, const Context& context);
  Parameters(const api::EmbeddingRequest& request, const Dialect& dialect, const Context& context);

  // True when the request gives the field.
  bool has(std::string_view field) const;
  // A field or an unknown member that the dialect handles itself: write() leaves it alone then.
  std::optional<json::value> take(std::string_view field);
  // Throws Error(kUnsupportedParameter) naming the field and the reason, a sentence's end such as
  // "without tools"; where the endpoint wishes so, lists it as left out instead.
  void refuse(std::string_view field, std::string_view reason = {});
  // Lists a field that was left out, or narrowed.
  void drop(std::string_view field);

  // Writes what was not taken into the body: fields by their rules, then unknown members as they
  // came. Throws Error(kUnsupportedParameter) for what the dialect does not have, is out of its
  // bounds, or is a native name of a field of ours.
  void write(json::object& body);

  // Sorted, each once.
  std::vector<std::string> dropped() const;

 private:
  struct Field {
    std::string_view name;  // ours
    std::string written;    // what the client calls it: "max_completion_tokens"
    json::value value;
  };

  Parameters(const api::CommonFields& common, const Dialect& dialect, const Context& context);
  void give(std::string_view name, json::value value);
  void give_common(const api::CommonFields& common);
  void give_generation(const api::GenerationFields& fields);
  const Rule* rule(std::string_view field) const;
  void write_field(json::object& body, const Rule& rule, const Field& field);
  void write_extra(json::object& body, std::string_view name, json::value value);
  void refuse_alias(std::string_view native, std::string_view place) const;
  bool in_range(const Rule& rule, const Field& field, json::value& value);

  const Dialect& dialect_;
  bool drop_unsupported_;
  std::string temperature_policy_;
  std::int64_t default_max_tokens_;
  bool max_tokens_given_ = false;
  std::vector<Field> fields_;
  std::vector<std::pair<std::string, json::value>> extras_;
  std::vector<std::string> dropped_;
};

// Sets a member by its dotted path; objects on the way come into being.
void set_at(json::object& object, std::string_view path, json::value value);

// The one text of a completion for providers that take no lists and no token ids. Throws
// Error(kUnsupportedParameter) at "prompt".
const std::string& only_prompt(const api::CompletionRequest& request, std::string_view provider);
// The texts to embed for providers that take no token ids. Throws Error(kUnsupportedParameter) at
// "input".
std::vector<std::string> texts_of(const api::EmbeddingRequest& request, std::string_view provider);

// What every to_wire puts into its memo.
Memo memo_of(const Context& context);
std::size_t input_characters(const api::ChatRequest& request);
std::size_t input_characters(const api::CompletionRequest& request);
std::size_t input_characters(const api::EmbeddingRequest& request);

}  // namespace tessera::providers
