// Syntax tree to instructions.
#include "text/regex_program.h"

#include "base/error.h"

namespace tessera {

using namespace regex;

namespace {

// {n,m}
constexpr std::size_t kMaxProgram = 20000;  // instructions

}  // namespace

int Regex::Program::add(Instruction instruction) {
  if (code.size() >= kMaxProgram) {
    throw Error(ErrorKind::kUnsupportedModel, "A regular expression of the tokenizer is too long.");
  }
  code.push_back(instruction);
  return static_cast<int>(code.size()) - 1;
}

void Regex::Program::emit(const Node& node) {
  // Repeated empty groups emit nothing, yet cost time.
  if (++emitted > 10 * kMaxProgram) {
    throw Error(ErrorKind::kUnsupportedModel, "A regular expression of the tokenizer is too long.");
  }
  switch (node.kind) {
    case Node::kEmpty:
      break;
    case Node::kSet:
      sets.push_back(node.set);
      sets.back().seal();
      add({Instruction::kSet, static_cast<int>(sets.size()) - 1});
      break;
    case Node::kConcat:
      for (const Node& child : node.children) emit(child);
      break;
    case Node::kAlternate: {
      std::vector<int> ends;
      for (std::size_t i = 0; i + 1 < node.children.size(); ++i) {
        const int split = add({Instruction::kSplit});
        code[split].a = split + 1;
        emit(node.children[i]);
        ends.push_back(add({Instruction::kJump}));
        code[split].b = static_cast<int>(code.size());
      }
      emit(node.children.back());
      for (const int end : ends) code[end].a = static_cast<int>(code.size());
      break;
    }
    case Node::kRepeat:
      repeat(node);
      break;
    case Node::kLook:
    case Node::kAtomic: {
      Instruction instruction{node.kind == Node::kLook ? Instruction::kLook : Instruction::kAtomic};
      instruction.behind = node.behind;
      instruction.negated = node.negated;
      const int start = add(instruction);
      emit(node.children[0]);
      add({Instruction::kMatch});
      code[start].a = static_cast<int>(code.size());
      break;
    }
    default:
      add({Instruction::kAssert, 0, node.kind});
  }
}

void Regex::Program::repeat(const Node& node) {
  const Node& body = node.children[0];
  if (body.kind == Node::kSet) {
    sets.push_back(body.set);
    sets.back().seal();
    Instruction instruction{Instruction::kRepeatSet, static_cast<int>(sets.size()) - 1};
    instruction.min = node.min;
    instruction.max = node.max;
    instruction.greed = node.greed;
    add(instruction);
    return;
  }
  if (node.greed == Node::kPossessive) {
    Node greedy = node, atomic;
    greedy.greed = Node::kGreedy;
    atomic.kind = Node::kAtomic;
    atomic.children.push_back(std::move(greedy));
    emit(atomic);
    return;
  }
  const auto split = [&] {
    // The two ways in order of preference; the way out is filled in later.
    const int at = add({Instruction::kSplit});
    (node.greed == Node::kLazy ? code[at].b : code[at].a) = at + 1;
    return at;
  };
  const auto leave = [&](int at) {
    (node.greed == Node::kLazy ? code[at].a : code[at].b) = static_cast<int>(code.size());
  };
  for (int i = 0; i < node.min; ++i) emit(body);
  if (node.max == kUnbounded) {
    const int at = split();
    const int mark = registers++;
    add({Instruction::kMark, mark});
    emit(body);
    add({Instruction::kProgress, mark});
    add({Instruction::kJump, at});
    leave(at);
  } else {
    std::vector<int> splits;
    for (int i = node.min; i < node.max; ++i) {
      splits.push_back(split());
      emit(body);
    }
    for (const int at : splits) leave(at);
  }
}

}  // namespace tessera
