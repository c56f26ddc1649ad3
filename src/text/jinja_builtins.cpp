#include "text/jinja_builtins.h"

#include <time.h>

#include <algorithm>

namespace tessera::jinja {

namespace {

// Of the processor, so that a busy machine changes no outcome.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

Budget::Budget() : begin_s_(thread_seconds()) {}

void Budget::work(std::uint64_t units) {
  work_ += units;
  if (work_ > kMaxWork) fail("rendering takes too long");
  if (work_ - work_at_last_look_ < kWorkBetweenLooks) return;
  work_at_last_look_ = work_;
  if (thread_seconds() - begin_s_ > kMaxSeconds) fail("rendering takes too long");
}

void Budget::memory(std::uint64_t bytes) {
  memory_ += bytes;
  if (memory_ > kMaxMemory) fail("rendering takes too much memory");
}

Budget::Call::Call(Budget& budget) : budget_(budget) {
  if (budget.calls_ >= kMaxCalls) {
    fail("calls are nested deeper than " + std::to_string(kMaxCalls) + " levels");
  }
  ++budget.calls_;
}

Value Budget::made(Value value) {
  std::uint64_t bytes = 0;
  if (const Text* text = value.text()) bytes = text->chars.size();
  if (const Sequence* s = value.sequence()) bytes = s->items.size() * sizeof(Value);
  if (const Dict* dict = value.dict()) bytes = dict->items.size() * 4 * sizeof(Value);
  if (const auto* generator = value.get<std::shared_ptr<const Generator>>()) {
    bytes = (*generator)->items.size() * sizeof(Value);
  }
  memory(bytes);
  work(bytes / 16);
  return value;
}

Bound::Bound(const Arguments& arguments, std::string what,
             std::initializer_list<std::string_view> names)
    : what_(std::move(what)), names_(names), values_(names.size()), given_(names.size(), false) {
  if (arguments.positional.size() > names.size()) {
    fail(what_ + " takes at most " + std::to_string(names.size()) + " arguments");
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = arguments.positional[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) fail(what_ + " has no argument '" + name + "'");
    const auto i = static_cast<std::size_t>(found - names_.begin());
    if (given_[i]) fail(what_ + " got argument '" + name + "' twice");
    values_[i] = value;
    given_[i] = true;
  }
}

const Value* Bound::find(std::size_t index) const {
  return given_[index] ? &values_[index] : nullptr;
}

const Value& Bound::require(std::size_t index) const {
  if (!given_[index]) fail(what_ + " needs argument '" + std::string(names_[index]) + "'");
  return values_[index];
}

bool Bound::flag(std::size_t index, bool otherwise) const {
  return given_[index] ? truthy(values_[index]) : otherwise;
}

std::int64_t Bound::integer(std::size_t index, std::int64_t otherwise) const {
  if (!given_[index]) return otherwise;
  if (const auto* i = values_[index].get<std::int64_t>()) return *i;
  if (const auto* b = values_[index].get<bool>()) return *b ? 1 : 0;
  fail(what_ + ": argument '" + std::string(names_[index]) + "' must be an integer, not " +
       type_name(values_[index]));
}

void require_defined(const Value& value) {
  if (const auto* undefined = value.get<Undefined>()) {
    fail(undefined->why != nullptr ? *undefined->why : "a value is undefined");
  }
}

}  // namespace tessera::jinja
