#include "text/jinja_eval.h"

#include <memory>

#include "base/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_text.h"

namespace tessera::jinja {

// Variables of one block. Assignments go to the innermost scope, lookups walk outwards.
struct Scope {
  Scope* parent = nullptr;
  bool captured = false;  // by a macro defined inside: must outlive its block
  std::vector<std::pair<std::string, Value>> variables;

  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent) {
      for (const auto& [key, value] : scope->variables) {
        if (key == name) return &value;
      }
    }
    return nullptr;
  }
  void set(const std::string& name, Value value) {
    for (auto& [key, old] : variables) {
      if (key == name) {
        old = std::move(value);
        return;
      }
    }
    variables.emplace_back(name, std::move(value));
  }
};

struct Macro {
  const Statement* definition;
  Scope* scope;
};

namespace {

constexpr std::int64_t kMaxIterations = 1'000'000;
constexpr int kMaxStack = 1500;  // statements and expressions inside each other, macros included

enum class Flow { kNext, kBreak, kContinue };

class Evaluator {
 public:
  explicit Evaluator(const RenderInput& input) : now_s_(input.now_s) {
    root_.variables = {{"range", Function::kRange},
                       {"dict", Function::kDict},
                       {"namespace", Function::kNamespace},
                       {"raise_exception", Function::kRaiseException},
                       {"strftime_now", Function::kStrftimeNow}};
    for (const auto& [name, value] : input.variables) root_.set(name, value);
  }

  Text run(const Block& block) {
    try {
      execute(block);
    } catch (const Failure& failure) {
      throw Error(ErrorKind::kBadValue, located(at_, failure.message));
    }
    return std::move(output_);
  }

 private:
  // --- Scopes ---

  class InnerScope {
   public:
    InnerScope(Evaluator& evaluator, Scope* parent)
        : evaluator_(evaluator), outer_(evaluator.scope_), scope_(std::make_unique<Scope>()) {
      scope_->parent = parent;
      evaluator.scope_ = scope_.get();
    }
    explicit InnerScope(Evaluator& evaluator) : InnerScope(evaluator, evaluator.scope_) {}
    ~InnerScope() {
      evaluator_.scope_ = outer_;
      if (scope_->captured) evaluator_.captured_scopes_.push_back(std::move(scope_));
    }
    InnerScope(const InnerScope&) = delete;
    InnerScope& operator=(const InnerScope&) = delete;

   private:
    Evaluator& evaluator_;
    Scope* outer_;
    std::unique_ptr<Scope> scope_;
  };

  // Output of a block as text instead.
  Text capture(const Block& block) {
    Text outer = std::exchange(output_, Text());
    execute(block);
    return std::exchange(output_, std::move(outer));
  }

  void print(const Text& text) {
    output_.append(text);
    if (output_.chars.size() > kMaxTextBytes) fail("the output exceeds 64 MiB");
  }

  // Bounds the machine's stack: a tree of bounded depth may call macros with trees of their own.
  class Level {
   public:
    explicit Level(int& depth) : depth_(depth) {
      if (depth_ >= kMaxStack) fail("statements and calls are nested too deeply");
      ++depth_;
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int& depth_;
  };

  // --- Statements ---

  Flow execute(const Block& block) {
    for (const Statement& statement : block) {
      const Flow flow = execute(statement);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Flow execute(const Statement& statement) {
    at_ = statement.at;
    const Level level(stack_);
    budget_.work(1);
    switch (statement.kind) {
      case StatementKind::kText:
        print(*statement.value.text());
        break;
      case StatementKind::kPrint: {
        const Value value = evaluate(*statement.expression);
        if (const Text* text = value.text()) {
          print(*text);
        } else {
          print(to_text(value));
        }
        break;
      }
      case StatementKind::kFor:
        run_loop(statement);
        break;
      case StatementKind::kIf:
        for (const Branch& branch : statement.branches) {
          if (truthy(evaluate(*branch.condition))) return execute(branch.body);
        }
        return execute(statement.otherwise);
      case StatementKind::kSet:
        assign(*statement.target, evaluate(*statement.expression));
        break;
      case StatementKind::kSetBlock:
        assign(*statement.target, block_text(statement));
        break;
      case StatementKind::kFilterBlock:
        print(to_text(block_text(statement)));
        break;
      case StatementKind::kMacro: {
        for (Scope* scope = scope_; scope != nullptr && !scope->captured; scope = scope->parent) {
          scope->captured = true;
        }
        budget_.memory(sizeof(Macro));
        macros_.push_back(std::make_unique<Macro>(Macro{&statement, scope_}));
        scope_->set(statement.name, static_cast<const Macro*>(macros_.back().get()));
        break;
      }
      case StatementKind::kWith: {
        std::vector<Value> values;
        for (const Parameter& variable : statement.parameters) {
          values.push_back(evaluate(*variable.value));
        }
        const InnerScope inner(*this);
        for (std::size_t i = 0; i < values.size(); ++i) {
          scope_->set(statement.parameters[i].name, std::move(values[i]));
        }
        return execute(statement.body);
      }
      case StatementKind::kScope: {
        const InnerScope inner(*this);
        return execute(statement.body);
      }
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  // Text of a set or filter block, through its filters.
  Value block_text(const Statement& statement) {
    const InnerScope inner(*this);
    const Value text = budget_.made(make_text(capture(statement.body)));
    if (statement.expression == nullptr) return text;
    scope_->set(std::string(kCapture), text);
    return evaluate(*statement.expression);
  }

  void run_loop(const Statement& statement) {
    std::vector<Value> items = iterate(evaluate(*statement.expression));
    budget_.work(items.size());
    if (statement.condition != nullptr) {
      std::vector<Value> kept;
      for (Value& item : items) {
        count_iteration();
        const InnerScope inner(*this);
        assign(*statement.target, item);
        if (truthy(evaluate(*statement.condition))) kept.push_back(std::move(item));
      }
      items = std::move(kept);
    }
    const auto loop = std::make_shared<Loop>();
    const Value sequence = make_sequence(std::move(items));
    loop->items = *sequence.get<SequencePtr>();
    const Value loop_value = std::shared_ptr<const Loop>(loop);
    const auto size = static_cast<std::int64_t>(loop->items->items.size());
    for (std::int64_t i = 0; i < size; ++i) {
      count_iteration();
      loop->index0 = i;
      const InnerScope inner(*this);
      scope_->set("loop", loop_value);
      at_ = statement.at;
      assign(*statement.target, loop->items->items[static_cast<std::size_t>(i)]);
      if (execute(statement.body) == Flow::kBreak) break;
    }
    if (size == 0) {
      const InnerScope inner(*this);
      execute(statement.otherwise);
    }
  }

  void count_iteration() {
    if (++iterations_ > kMaxIterations) {
      fail("more than " + std::to_string(kMaxIterations) + " loop iterations");
    }
  }

  void assign(const Expression& target, Value value) {
    switch (target.kind) {
      case ExpressionKind::kName:
        scope_->set(target.name, std::move(value));
        return;
      case ExpressionKind::kGetAttribute: {
        const std::string& name = target.operands[0]->name;
        const Value* object = scope_->find(name);
        const auto* space = object == nullptr ? nullptr : object->get<Namespace*>();
        if (space == nullptr) {
          at_ = target.at;
          fail("cannot assign attribute on non-namespace object '" + name + "'");
        }
        (*space)->set(target.name, std::move(value));
        return;
      }
      default: {
        const std::vector<Value> items = iterate(value);
        if (items.size() != target.operands.size()) {
          at_ = target.at;
          fail(items.size() < target.operands.size()
                   ? "not enough values to unpack (expected " +
                         std::to_string(target.operands.size()) + ", got " +
                         std::to_string(items.size()) + ")"
                   : "too many values to unpack (expected " +
                         std::to_string(target.operands.size()) + ")");
        }
        for (std::size_t i = 0; i < items.size(); ++i) assign(*target.operands[i], items[i]);
      }
    }
  }

  // --- Expressions ---

  Value evaluate(const Expression& node) {
    const Level level(stack_);
    budget_.work(1);
    const auto& operands = node.operands;
    switch (node.kind) {
      case ExpressionKind::kConstant:
        return node.value;
      case ExpressionKind::kName: {
        if (const Value* value = scope_->find(node.name)) return *value;
        return make_undefined("'" + node.name + "' is undefined");
      }
      case ExpressionKind::kList:
      case ExpressionKind::kTuple:
        return make_collection(node);
      case ExpressionKind::kDict:
        return make_dictionary(node);
      case ExpressionKind::kGetAttribute: {
        const Value object = evaluate(*operands[0]);
        at_ = node.at;
        return get_attribute(object, node.name);
      }
      case ExpressionKind::kGetItem: {
        const Value object = evaluate(*operands[0]);
        const Value key = evaluate(*operands[1]);
        at_ = node.at;
        if (const Text* text = object.text()) budget_.work(text->chars.size() / 16);
        return get_item(object, key);
      }
      case ExpressionKind::kSlice: {
        const Value object = evaluate(*operands[0]);
        Value bounds[3];
        for (int i = 0; i < 3; ++i) {
          const auto& bound = operands[static_cast<std::size_t>(i) + 1];
          if (bound != nullptr) bounds[i] = evaluate(*bound);
        }
        at_ = node.at;
        return get_slice(object, bounds[0], bounds[1], bounds[2], budget_);
      }
      case ExpressionKind::kCall: {
        const Value callee = evaluate(*operands[0]);
        const Arguments arguments = evaluate_arguments(node);
        at_ = node.at;
        return call(callee, arguments);
      }
      case ExpressionKind::kFilter: {
        const Value input = evaluate(*operands[0]);
        const Arguments arguments = evaluate_arguments(node);
        at_ = node.at;
        return call_filter(node.name, input, arguments, budget_);
      }
      case ExpressionKind::kTest: {
        const Value input = evaluate(*operands[0]);
        const Arguments arguments = evaluate_arguments(node);
        at_ = node.at;
        return call_test(node.name, input, arguments, budget_);
      }
      case ExpressionKind::kNot:
        return !truthy(evaluate(*operands[0]));
      case ExpressionKind::kNegate: {
        const Value value = evaluate(*operands[0]);
        at_ = node.at;
        return negate(value);
      }
      case ExpressionKind::kPlus: {
        const Value value = evaluate(*operands[0]);
        at_ = node.at;
        return negate(negate(value));
      }
      case ExpressionKind::kAnd: {
        Value left = evaluate(*operands[0]);
        return truthy(left) ? evaluate(*operands[1]) : left;
      }
      case ExpressionKind::kOr: {
        Value left = evaluate(*operands[0]);
        return truthy(left) ? left : evaluate(*operands[1]);
      }
      case ExpressionKind::kConcat: {
        std::vector<Value> parts;
        for (const ExpressionPtr& operand : operands) parts.push_back(evaluate(*operand));
        at_ = node.at;
        return budget_.made(make_text(join(parts, Text())));
      }
      case ExpressionKind::kCompare:
        return evaluate_comparison(node);
      case ExpressionKind::kConditional:
        if (truthy(evaluate(*operands[1]))) return evaluate(*operands[0]);
        if (operands[2] != nullptr) return evaluate(*operands[2]);
        return make_undefined("the inline if-expression evaluated to false and has no else");
      default: {
        const Value left = evaluate(*operands[0]);
        const Value right = evaluate(*operands[1]);
        at_ = node.at;
        return binary(node.kind, left, right, budget_);
      }
    }
  }

  Value make_collection(const Expression& node) {
    std::vector<Value> items;
    for (const ExpressionPtr& operand : node.operands) items.push_back(evaluate(*operand));
    at_ = node.at;
    return budget_.made(make_sequence(std::move(items), node.kind == ExpressionKind::kTuple
                                                            ? SequenceKind::kTuple
                                                            : SequenceKind::kList));
  }

  Value make_dictionary(const Expression& node) {
    Dict dict;
    for (std::size_t i = 0; i < node.operands.size(); i += 2) {
      Value key = evaluate(*node.operands[i]);
      Value value = evaluate(*node.operands[i + 1]);
      at_ = node.at;
      dict.set(std::move(key), std::move(value));
    }
    return budget_.made(make_dict(std::move(dict)));
  }

  Value evaluate_comparison(const Expression& node) {
    Value left = evaluate(*node.operands[0]);
    for (std::size_t i = 0; i < node.comparisons.size(); ++i) {
      Value right = evaluate(*node.operands[i + 1]);
      at_ = node.at;
      if (!compare(node.comparisons[i], left, right, budget_)) return false;
      left = std::move(right);
    }
    return true;
  }

  Arguments evaluate_arguments(const Expression& node) {
    Arguments arguments;
    for (std::size_t i = 1; i < node.operands.size(); ++i) {
      arguments.positional.push_back(evaluate(*node.operands[i]));
    }
    for (const auto& [name, value] : node.keywords) {
      arguments.named.emplace_back(name, evaluate(*value));
    }
    return arguments;
  }

  // --- Calls ---

  Value call(const Value& callee, const Arguments& arguments) {
    require_defined(callee);
    if (const auto* method = callee.get<std::shared_ptr<const Method>>()) {
      return call_method(**method, arguments, budget_);
    }
    if (const auto* macro = callee.get<const Macro*>()) return call_macro(**macro, arguments);
    const auto* function = callee.get<Function>();
    if (function == nullptr) fail("'" + type_name(callee) + "' object is not callable");
    switch (*function) {
      case Function::kRange:
        return make_range(arguments, budget_);
      case Function::kDict:
        return budget_.made(make_dict(dict_of(arguments, "dict()")));
      case Function::kNamespace: {
        auto space = std::make_unique<Namespace>();
        for (auto& [key, value] : dict_of(arguments, "namespace()").items) {
          space->set(to_text(key).chars, value);
        }
        budget_.memory(sizeof(Namespace));
        namespaces_.push_back(std::move(space));
        return namespaces_.back().get();
      }
      case Function::kRaiseException: {
        const Bound bound(arguments, "raise_exception()", {"message"});
        throw Error(ErrorKind::kBadMessage, to_text(bound.require(0)).chars, "messages");
      }
      case Function::kStrftimeNow:
        return format_time(arguments, now_s_);
    }
    return {};
  }

  Value call_macro(const Macro& macro, const Arguments& arguments) {
    const Budget::Call nested(budget_);
    const Statement& definition = *macro.definition;
    const std::string what = "macro '" + definition.name + "'";
    if (arguments.positional.size() > definition.parameters.size()) {
      fail(what + " takes not more than " + std::to_string(definition.parameters.size()) +
           " argument(s)");
    }
    const Position called_at = at_;
    const InnerScope inner(*this, macro.scope);
    for (std::size_t i = 0; i < definition.parameters.size(); ++i) {
      const Parameter& parameter = definition.parameters[i];
      const Value* given = i < arguments.positional.size() ? &arguments.positional[i] : nullptr;
      for (const auto& [name, value] : arguments.named) {
        if (name != parameter.name) continue;
        if (given != nullptr) fail(what + " got argument '" + name + "' twice");
        given = &value;
      }
      if (given != nullptr) {
        scope_->set(parameter.name, *given);
      } else if (parameter.value != nullptr) {
        scope_->set(parameter.name, evaluate(*parameter.value));
      } else {
        scope_->set(parameter.name,
                    make_undefined("parameter '" + parameter.name + "' was not provided"));
      }
    }
    for (const auto& [name, ignored] : arguments.named) {
      bool known = false;
      for (const Parameter& parameter : definition.parameters) known |= parameter.name == name;
      if (!known) fail(what + " takes no keyword argument '" + name + "'");
    }
    Text text = capture(definition.body);
    at_ = called_at;
    return budget_.made(make_text(std::move(text)));
  }

  Scope root_;
  Scope* scope_ = &root_;
  std::vector<std::unique_ptr<Scope>> captured_scopes_;
  std::vector<std::unique_ptr<Macro>> macros_;
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  Text output_;
  Budget budget_;
  Position at_;
  std::int64_t iterations_ = 0;
  int stack_ = 0;
  std::int64_t now_s_;
};

}  // namespace

Text render(const Block& block, const RenderInput& input) { return Evaluator(input).run(block); }

}  // namespace tessera::jinja
