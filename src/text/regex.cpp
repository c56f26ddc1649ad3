// The backtracking machine.
#include "text/regex.h"

#include "base/error.h"
#include "text/regex_program.h"
#include "text/utf8.h"

namespace tessera {

using namespace regex;

bool Regex::Program::holds(int assertion, std::string_view text, std::size_t position) const {
  const auto word_before = [&] {
    if (position == 0) return false;
    std::size_t i = previous_code_point(text, position);
    return (category_bit_unicode14(next_code_point(text, i)) & kWordCategories) != 0;
  };
  const auto word_after = [&] {
    std::size_t i = position;
    return i < text.size() &&
           (category_bit_unicode14(next_code_point(text, i)) & kWordCategories) != 0;
  };
  switch (assertion) {
    case Node::kLineBegin:
      return position == 0 || (text[position - 1] == '\n' && position < text.size());
    case Node::kLineEnd:
      return position == text.size() || text[position] == '\n';
    case Node::kTextBegin:
      return position == 0;
    case Node::kTextEnd:
      return position == text.size();
    case Node::kTextEndOrNewline:
      return position == text.size() || (position + 1 == text.size() && text[position] == '\n');
    case Node::kWordBorder:
      return word_before() != word_after();
    default:
      return word_before() == word_after();
  }
}

bool Regex::Program::look(State& state, int pc, std::size_t position) const {
  if (!code[pc].behind) return run(state, pc + 1, position) != std::string_view::npos;
  // Look-behind bodies are short: try each start, nearest first. Comparing the end finds every
  // match of a body of fixed width, and Oniguruma allows no other width inside an alternative.
  for (std::size_t start = position;;) {
    if (run(state, pc + 1, start) == position) return true;
    if (start == 0 || position - start > 255) return false;
    start = previous_code_point(state.text, start);
  }
}

std::size_t Regex::Program::run(State& state, int pc, std::size_t position) const {
  const std::string_view text = state.text;
  const std::size_t base = state.stack.size();
  std::size_t& budget = *state.budget;
  const auto spend = [&budget](std::size_t steps) {
    if (budget < steps) {
      throw Error(ErrorKind::kBadValue,
                  "The text makes a regular expression of this model's tokenizer backtrack beyond "
                  "its limit; it cannot be tokenised.");
    }
    budget -= steps;
  };
  for (;;) {
    spend(1);
    const Instruction& in = code[pc];
    bool failed = false;
    switch (in.op) {
      case Instruction::kSet: {
        if (position == text.size()) {
          failed = true;
          break;
        }
        std::size_t next = position;
        if (sets[in.a].matches(next_code_point(text, next))) {
          position = next;
          ++pc;
        } else {
          failed = true;
        }
        break;
      }
      case Instruction::kRepeatSet: {
        const CharSet& set = sets[in.a];
        int count = 0;
        std::size_t low = position;
        const int wanted = in.greed == Node::kLazy ? in.min : in.max;
        while (position < text.size() && (wanted == kUnbounded || count < wanted)) {
          std::size_t next = position;
          if (!set.matches(next_code_point(text, next))) break;
          position = next;
          if (++count == in.min) low = position;
        }
        spend(count / 8);
        if (count < in.min) {
          failed = true;
          break;
        }
        ++pc;
        if (in.greed == Node::kGreedy && position > low) {
          state.stack.push_back({pc, position, low, Thread::kGiveBack, 0});
        } else if (in.greed == Node::kLazy && (in.max == kUnbounded || in.max > in.min)) {
          state.stack.push_back({pc - 1, position, 0, Thread::kTakeMore,
                                 in.max == kUnbounded ? kUnbounded : in.max - in.min});
        }
        break;
      }
      case Instruction::kSplit:
        state.stack.push_back({in.b, position, 0, Thread::kResume, 0});
        pc = in.a;
        break;
      case Instruction::kJump:
        pc = in.a;
        break;
      case Instruction::kMark:
        state.stack.push_back({0, 0, state.registers[in.a], Thread::kRestore, in.a});
        state.registers[in.a] = position;
        ++pc;
        break;
      case Instruction::kProgress:
        // An empty round of a loop ends the loop: leave through the split's other way.
        if (state.registers[in.a] == position) {
          failed = true;
        } else {
          ++pc;
        }
        break;
      case Instruction::kAssert:
        failed = !holds(in.b, text, position);
        ++pc;
        break;
      case Instruction::kLook:
        failed = look(state, pc, position) == in.negated;
        pc = in.a;
        break;
      case Instruction::kAtomic: {
        const std::size_t end = run(state, pc + 1, position);
        failed = end == std::string_view::npos;
        position = end;
        pc = in.a;
        break;
      }
      case Instruction::kMatch:
        // Whoever called forgets the alternatives; registers need not be restored, since each is
        // written before it is read.
        state.stack.resize(base);
        return position;
    }
    while (failed) {
      if (state.stack.size() == base) return std::string_view::npos;
      Thread& top = state.stack.back();
      spend(1);
      switch (top.kind) {
        case Thread::kRestore:
          state.registers[top.index] = top.low;
          state.stack.pop_back();
          break;
        case Thread::kResume:
          pc = top.pc;
          position = top.position;
          state.stack.pop_back();
          failed = false;
          break;
        case Thread::kGiveBack:
          top.position = previous_code_point(text, top.position);
          pc = top.pc;
          position = top.position;
          if (top.position <= top.low) state.stack.pop_back();
          failed = false;
          break;
        case Thread::kTakeMore: {
          std::size_t next = top.position;
          if (top.index == 0 || next == text.size() ||
              !sets[code[top.pc].a].matches(next_code_point(text, next))) {
            state.stack.pop_back();
            break;
          }
          top.position = next;
          if (top.index != kUnbounded) --top.index;
          pc = top.pc + 1;
          position = next;
          failed = false;
          break;
        }
      }
    }
  }
}

Regex::Regex(std::string_view pattern) {
  auto program = std::make_unique<Program>();
  program->emit(parse(pattern));
  program->add({Instruction::kMatch});
  program_ = std::move(program);
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::optional<std::pair<std::size_t, std::size_t>> Regex::find(std::string_view text,
                                                               std::size_t from,
                                                               std::size_t& budget) const {
  Program::State state{text, &budget, std::vector<std::size_t>(program_->registers, 0), {}};
  for (std::size_t start = from; start <= text.size();) {
    const std::size_t end = program_->run(state, 0, start);
    if (end != std::string_view::npos) return std::pair(start, end);
    if (start == text.size()) break;
    start += lead_length(text[start]);
  }
  return std::nullopt;
}

}  // namespace tessera
