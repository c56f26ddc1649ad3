#include "providers/chunk_writer.h"

#include "providers/reading.h"

namespace tessera::providers {

using api::FinishReason;

FinishReason with_calls(FinishReason reason, bool has_calls) {
  return has_calls && reason == FinishReason::kStop ? FinishReason::kToolCalls : reason;
}

ChatChunkWriter::ChatChunkWriter(const Memo& memo) {
  head_.id = make_id("chatcmpl-", memo);
  head_.created = memo.now_s;
  head_.model = memo.model;
}

void ChatChunkWriter::set_id(std::string id) {
  if (!id.empty()) head_.id = std::move(id);
}

void ChatChunkWriter::set_model(std::string model) {
  if (!model.empty()) head_.model = std::move(model);
}

api::ChatChunk ChatChunkWriter::chunk() const { return head_; }

api::ChatChunkChoice& ChatChunkWriter::add(int choice) {
  start(choice);
  chunks_.push_back(chunk());
  api::ChatChunkChoice& added = chunks_.back().choices.emplace_back();
  added.index = choice;
  return added;
}

void ChatChunkWriter::start(int choice) {
  Choice& state = choices_[choice];
  if (state.started) return;
  state.started = true;
  chunks_.push_back(chunk());
  api::ChatChunkChoice& first = chunks_.back().choices.emplace_back();
  first.index = choice;
  first.delta.role = true;
  first.delta.content = "";
}

void ChatChunkWriter::text(std::string_view text, int choice) {
  if (!text.empty()) add(choice).delta.content = std::string(text);
}

void ChatChunkWriter::reasoning(std::string_view text, int choice) {
  if (!text.empty()) add(choice).delta.reasoning_content = std::string(text);
}

void ChatChunkWriter::thinking_blocks(std::string_view json, int choice) {
  if (!json.empty()) add(choice).delta.thinking_blocks = json;
}

void ChatChunkWriter::logprobs(api::ChatLogprobs logprobs, int choice) {
  if (logprobs.content.empty()) return;
  api::ChatChunkChoice* written = last();
  if (written == nullptr || written->index != choice || !written->delta.content ||
      written->delta.role) {
    written = &add(choice);
  }
  written->logprobs = std::move(logprobs);
}

int ChatChunkWriter::begin_call(std::string id, std::string name, int choice) {
  const int index = choices_[choice].calls++;
  add(choice).delta.tool_calls.push_back(
      {.index = index, .id = std::move(id), .name = std::move(name)});
  return index;
}

void ChatChunkWriter::arguments(int call, std::string_view text, int choice) {
  if (text.empty()) return;
  add(choice).delta.tool_calls.push_back({.index = call, .arguments = std::string(text)});
}

void ChatChunkWriter::finish(FinishReason reason, int choice) {
  if (choices_[choice].finished) return;
  add(choice).finish_reason = with_calls(reason, choices_[choice].calls > 0);
  choices_[choice].finished = true;
}

void ChatChunkWriter::usage(const api::Usage& usage) {
  chunks_.push_back(chunk());
  chunks_.back().usage = usage;
}

bool ChatChunkWriter::started(int choice) const {
  const auto found = choices_.find(choice);
  return found != choices_.end() && found->second.started;
}

int ChatChunkWriter::calls(int choice) const {
  const auto found = choices_.find(choice);
  return found == choices_.end() ? 0 : found->second.calls;
}

bool ChatChunkWriter::has_finished(int choice) const {
  const auto found = choices_.find(choice);
  return found != choices_.end() && found->second.finished;
}

std::vector<api::ChatChunk> ChatChunkWriter::take() { return std::exchange(chunks_, {}); }

api::ChatChunkChoice* ChatChunkWriter::last() {
  if (chunks_.empty() || chunks_.back().choices.empty()) return nullptr;
  return &chunks_.back().choices.back();
}

CompletionChunkWriter::CompletionChunkWriter(const Memo& memo) {
  head_.id = make_id("cmpl-", memo);
  head_.created = memo.now_s;
  head_.model = memo.model;
}

void CompletionChunkWriter::set_id(std::string id) {
  if (!id.empty()) head_.id = std::move(id);
}

void CompletionChunkWriter::set_model(std::string model) {
  if (!model.empty()) head_.model = std::move(model);
}

api::CompletionChoice& CompletionChunkWriter::add(int choice) {
  chunks_.push_back(head_);
  api::CompletionChoice& added = chunks_.back().choices.emplace_back();
  added.index = choice;
  return added;
}

void CompletionChunkWriter::text(std::string_view text, int choice) {
  if (!text.empty()) add(choice).text = text;
}

void CompletionChunkWriter::finish(FinishReason reason, int choice) {
  if (finished_[choice]) return;
  add(choice).finish_reason = reason;
  finished_[choice] = true;
}

void CompletionChunkWriter::usage(const api::Usage& usage) {
  chunks_.push_back(head_);
  chunks_.back().usage = usage;
}

bool CompletionChunkWriter::has_finished(int choice) const {
  const auto found = finished_.find(choice);
  return found != finished_.end() && found->second;
}

std::vector<api::CompletionResponse> CompletionChunkWriter::take() {
  return std::exchange(chunks_, {});
}

}  // namespace tessera::providers
