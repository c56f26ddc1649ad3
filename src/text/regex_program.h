// A regular expression as instructions of a backtracking machine. Private to text/.
#pragma once

#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/regex_syntax.h"

namespace tessera {

namespace regex {

struct Instruction {
  enum Op {
    kSet,        // one character of sets[a]
    kRepeatSet,  // sets[a], min..max times; greedy, lazy or possessive
    kSplit,      // try a, then b
    kJump,       // to a
    kMark,       // registers[a] = position
    kProgress,   // fail unless the position moved since kMark a
    kAssert,     // b: the Node kind
    kLook,       // body from the next instruction to its kMatch; continues at a
    kAtomic,     // the same, keeping the position
    kMatch
  } op;
  int a = 0, b = 0;
  int min = 0, max = 0;
  Node::Greed greed = Node::kGreedy;
  bool behind = false, negated = false;
};

}  // namespace regex

struct Regex::Program {
  std::vector<regex::Instruction> code;
  std::vector<regex::CharSet> sets;
  int registers = 0;
  std::size_t emitted = 0;

  struct Thread {
    int pc;
    std::size_t position;
    std::size_t low;  // kRepeatSet: shortest allowed end; kRestore: the register's old value
    enum Kind : char { kResume, kGiveBack, kTakeMore, kRestore } kind;
    int index;  // kRestore: the register; kTakeMore: repetitions still allowed
  };
  struct State {
    std::string_view text;
    std::size_t* budget;
    std::vector<std::size_t> registers;
    std::vector<Thread> stack;
  };

  void emit(const regex::Node& node);
  void repeat(const regex::Node& node);
  int add(regex::Instruction instruction);

  // Runs from pc at position; the end of the match or npos. Look-around bodies recurse, which the
  // parser's depth limit bounds; everything else lives on state.stack.
  std::size_t run(State& state, int pc, std::size_t position) const;
  bool look(State& state, int pc, std::size_t position) const;
  bool holds(int assertion, std::string_view text, std::size_t position) const;
};

}  // namespace tessera
