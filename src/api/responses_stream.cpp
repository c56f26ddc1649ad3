// A chat stream as events of the Responses API.
#include <algorithm>

#include "api/responses.h"
#include "api/responses_answer.h"
#include "api/translation.h"

namespace tessera::api {
namespace {

// The members of an object that `write` fills.
template <class Write>
std::string members(Write write) {
  JsonWriter w(192);
  write(w.begin_object());
  std::string object = w.end_object().take();
  return object.substr(1, object.size() - 2);
}

}  // namespace

ResponsesStream::ResponsesStream(const ChatRequest& request, std::string id_suffix,
                                 std::int64_t created)
    : id_suffix_(std::move(id_suffix)), created_(created), repeated_(repeated_members(request)) {}

void ResponsesStream::event(std::string_view type, std::string_view members, std::string& out) {
  JsonWriter w(members.size() + 96);
  w.begin_object().member("type", type).member("sequence_number", sequence_++);
  write_event(out, type, w.raw(members).end_object().take());
}

void ResponsesStream::write_part_of(JsonWriter& w, const Item& item) {
  if (item.kind == Kind::kReasoning) {
    w.begin_object().member("type", "summary_text").member("text", item.text).end_object();
  } else {
    write_part(w, item.kind == Kind::kRefusal, item.text, nullptr);
  }
}

void ResponsesStream::write_item(JsonWriter& w, const Item& item, std::string_view status) {
  if (item.kind == Kind::kReasoning) {
    write_reasoning_item(w, item.id, item.text);
  } else if (item.kind == Kind::kCall) {
    write_call_item(w, item.id, status, item.call_id, item.name, item.text);
  } else {
    begin_message_item(w, item.id, status);
    // An item that begins has no part: that is added next, by an event of its own.
    if (status != "in_progress") write_part_of(w, item);
    w.end_array().end_object();
  }
}

std::string ResponsesStream::object(std::string_view status, const Error* error) const {
  const bool running = status == "in_progress";
  const std::string id = response_id(id_suffix_);
  const ResponseHead head{.id = id,
                          .created = created_,
                          .model = model_,
                          .status = status,
                          .finish = finish_,
                          .error = error,
                          .usage = running ? std::nullopt : usage_,
                          .repeated = repeated_};
  return response_object(head, [&](JsonWriter& w) {
    const std::string_view item_status = status == "completed" ? "completed" : "incomplete";
    for (const Item& item : items_) write_item(w, item, item_status);
  });
}

void ResponsesStream::start(const ChatChunk& chunk, std::string& out) {
  if (started_) return;
  started_ = true;
  model_ = chunk.model;
  const std::string response =
      members([&](JsonWriter& w) { w.key("response").raw(object("in_progress", nullptr)); });
  event("response.created", response, out);
  event("response.in_progress", response, out);
}

// The item that grows: the open one of that kind, or a new one after the open one is closed.
ResponsesStream::Item& ResponsesStream::item_of(Kind kind, const ToolCallDelta* call,
                                                std::string& out) {
  if (call != nullptr) {
    const auto known = std::ranges::find(items_, call->index, &Item::call);
    if (known != items_.end()) return *known;
  } else if (!items_.empty() && items_.back().open && items_.back().kind == kind) {
    return items_.back();
  }
  close(out);
  const std::size_t number = items_.size();
  static constexpr std::string_view kPrefixes[] = {"rs_", "msg_", "msg_", "fc_"};
  const std::string_view prefix = kPrefixes[static_cast<std::size_t>(kind)];
  Item& item = items_.emplace_back(
      Item{.kind = kind, .id = item_id(prefix, response_id(id_suffix_), number)});
  if (call != nullptr) {
    item.call = call->index;
    item.call_id = call->id;
    item.name = call->name;
  }
  event("response.output_item.added", members([&](JsonWriter& w) {
          write_item(w.member("output_index", number).key("item"), item, "in_progress");
        }),
        out);
  if (kind == Kind::kCall) return item;
  const bool thought = kind == Kind::kReasoning;
  event(thought ? "response.reasoning_summary_part.added" : "response.content_part.added",
        members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", number);
          w.member(thought ? "summary_index" : "content_index", 0).key("part");
          write_part_of(w, item);
        }),
        out);
  return item;
}

void ResponsesStream::say(Kind kind, std::string_view piece, std::string& out) {
  if (piece.empty()) return;
  Item& item = item_of(kind, nullptr, out);
  item.text += piece;
  const bool thought = kind == Kind::kReasoning;
  event(thought                  ? "response.reasoning_summary_text.delta"
        : kind == Kind::kRefusal ? "response.refusal.delta"
                                 : "response.output_text.delta",
        members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", items_.size() - 1);
          w.member(thought ? "summary_index" : "content_index", 0).member("delta", piece);
          if (kind == Kind::kText) w.key("logprobs").begin_array().end_array();
        }),
        out);
}

void ResponsesStream::call(const ToolCallDelta& delta, std::string& out) {
  if (delta.index < 0 || delta.index >= kMaxStreamedCalls) return;
  Item& item = item_of(Kind::kCall, &delta, out);
  if (delta.arguments.empty()) return;
  item.text += delta.arguments;
  const auto number = static_cast<std::size_t>(&item - items_.data());
  event("response.function_call_arguments.delta", members([&](JsonWriter& w) {
          w.member("item_id", item.id).member("output_index", number);
          w.member("delta", delta.arguments);
        }),
        out);
}

void ResponsesStream::close(std::string& out) {
  if (items_.empty() || !items_.back().open) return;
  Item& item = items_.back();
  item.open = false;
  const std::size_t number = items_.size() - 1;
  const std::string_view status = status_of(finish_);
  const bool thought = item.kind == Kind::kReasoning, refusal = item.kind == Kind::kRefusal;
  if (item.kind == Kind::kCall) {
    event("response.function_call_arguments.done", members([&](JsonWriter& w) {
            w.member("item_id", item.id).member("output_index", number);
            w.member("name", item.name).member("arguments", item.text);
          }),
          out);
  } else {
    event(thought   ? "response.reasoning_summary_text.done"
          : refusal ? "response.refusal.done"
                    : "response.output_text.done",
          members([&](JsonWriter& w) {
            w.member("item_id", item.id).member("output_index", number);
            w.member(thought ? "summary_index" : "content_index", 0);
            w.member(refusal ? "refusal" : "text", item.text);
            if (!thought && !refusal) w.key("logprobs").begin_array().end_array();
          }),
          out);
    event(thought ? "response.reasoning_summary_part.done" : "response.content_part.done",
          members([&](JsonWriter& w) {
            w.member("item_id", item.id).member("output_index", number);
            w.member(thought ? "summary_index" : "content_index", 0).key("part");
            write_part_of(w, item);
          }),
          out);
  }
  event("response.output_item.done", members([&](JsonWriter& w) {
          write_item(w.member("output_index", number).key("item"), item, status);
        }),
        out);
}

std::string ResponsesStream::write(const ChatChunk& chunk) {
  std::string out;
  if (chunk.usage) usage_ = chunk.usage;
  start(chunk, out);
  for (const ChatChunkChoice& choice : chunk.choices) {
    if (choice.index != 0) continue;
    say(Kind::kReasoning, choice.delta.reasoning_content.value_or(""), out);
    say(Kind::kText, choice.delta.content.value_or(""), out);
    say(Kind::kRefusal, choice.delta.refusal.value_or(""), out);
    for (const ToolCallDelta& piece : choice.delta.tool_calls) call(piece, out);
    if (choice.finish_reason) finish_ = choice.finish_reason;
  }
  return out;
}

std::string ResponsesStream::finish() {
  std::string out;
  start({}, out);
  // An answer without a word is a message without a word.
  if (items_.empty()) item_of(Kind::kText, nullptr, out);
  close(out);
  const std::string_view status = status_of(finish_);
  event(status == "completed" ? "response.completed" : "response.incomplete",
        members([&](JsonWriter& w) { w.key("response").raw(object(status, nullptr)); }), out);
  return out;
}

std::string ResponsesStream::error(const Error& error) {
  std::string out;
  event("response.failed",
        members([&](JsonWriter& w) { w.key("response").raw(object("failed", &error)); }), out);
  return out;
}

}  // namespace tessera::api
