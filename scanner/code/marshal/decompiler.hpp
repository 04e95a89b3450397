#pragma once
// Decompiler: a walk over the instructions of a code object with a stack of expressions as text.
// The stack is a linked list in an arena, so that what it holds where a jump ends is remembered
// for the price of an index. Internal to scanner/code/marshal.
#include "scanner/code/marshal/decompile.hpp"
#include "scanner/code/marshal/instructions.hpp"

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

namespace hubgate::marshal {

class Decompiler {
public:
  Decompiler(Bytes input, const Object& object, int version);
  Decompiled run();
  std::string listing(std::size_t lines);

private:
  enum class Kind : std::uint8_t {
    plain,
    null,        ///< what CPython pushes beside a callee
    leave,       ///< __exit__ of a context manager
    enter,       ///< __enter__ of one
    build_class, ///< __build_class__
    klass,       ///< a code object that is the body of a class
    slice,       ///< text is "a:b"
    formatted,   ///< a part of an f-string
    module_root, ///< `import a.b as c` before its parts are taken
    from_module, ///< `from a import …` before names are taken
    error,       ///< what an exception handler finds on the stack
    targets,     ///< "(a, b)": what a loop has stored already, before it is unpacked
    lost,        ///< nothing is known
  };
  struct Expression {
    std::string text;
    Kind kind = Kind::plain;
    bool atom = false;              ///< a name or a short constant: may be written twice
    std::uint32_t node = k_no_node; ///< of a constant
    std::string other = {};         ///< module_root: what was taken so far; slice: its arguments
  };
  struct Cell {
    Expression expression;
    std::uint32_t below;
    std::uint32_t depth;
  };
  struct Step {
    std::uint32_t offset;
    std::uint32_t next;
    std::uint32_t argument;
    std::uint32_t target; ///< of a jump
    Instruction instruction;
    bool backward;
  };
  struct Block {
    std::uint32_t end;  ///< offset where it ends
    std::string header; ///< until it is written: without indentation
    std::string test;   ///< what has to be evaluated even if the block stays empty
    bool written = false;
    bool condition = false;
    std::size_t mark = 0; ///< of an else: where its if has to end
  };
  struct Frame {
    const Code* code = nullptr;
    bool klass = false;
    bool module = false;
    bool generator = false; ///< of a generator expression: becomes a list
    bool reachable = true;
    bool dead = false;     ///< no way leads here, so what lies on the stack does not matter
    bool handlers = false; ///< the exception handlers at the end of a function have begun
    std::uint32_t bottom = 0;
    std::uint32_t stack = 0;
    std::size_t at = 0; ///< step
    std::uint32_t indent = 0;
    std::size_t closed = 0; ///< length of the text when an if-block was closed, for else
    std::vector<Step> steps;
    std::vector<Block> blocks;
    std::unordered_map<std::uint32_t, std::uint32_t> states; ///< offset to stack
    std::map<std::uint32_t, std::uint32_t> loops;            ///< begin to end
    std::set<std::string, std::less<>> globals;              ///< names that are looked up outside
    std::uint32_t keywords = k_no_node;                      ///< KW_NAMES: a tuple
    std::uint32_t otherwise =
        0; ///< a jump forward was taken: what follows up to there is the other way
  };

  // decompile.cpp
  void decode(Frame& frame) const;
  void body(Frame& frame);
  void documentation(const Frame& frame);
  void declarations(Frame& frame);
  void arrive(std::uint32_t offset);
  void open(std::uint32_t end, std::string header, std::string test, bool condition,
            std::size_t mark = 0);
  void close(std::uint32_t offset);
  void flush_blocks();
  void line(std::string_view text);
  void jump_to(std::uint32_t target, std::uint32_t stack);
  std::uint32_t merged(std::uint32_t left, std::uint32_t right);

  // decompile_values.cpp
  std::string_view raw(std::uint32_t node) const;
  std::uint32_t item(std::uint32_t tuple, std::uint32_t index) const;
  static std::string identifier(std::string_view name);
  std::string name(std::uint32_t index) const { return identifier(raw(item(code().names, index))); }
  std::string local(std::uint32_t index) const;
  std::string free_name(std::uint32_t index) const;
  bool is_nonlocal(std::uint32_t index) const;
  void render(std::string& out, std::uint32_t node, unsigned depth);
  Expression constant(std::uint32_t node);
  std::vector<std::string> names_in(std::uint32_t node) const;

  // the stack
  void push(Expression expression);
  void push(std::string text);
  void push_name(std::string text);
  void push_lost() { push({.text = "_unknown", .kind = Kind::lost, .atom = true}); }
  Expression pop();
  const Expression& peek(std::uint32_t depth) const;
  static std::string value(const Expression& expression);
  static bool acts(const Expression& expression);
  void discard(const Expression& expression);
  std::string take() { return value(pop()); }
  static std::string operand(const Expression& expression);
  void spill_at(std::uint32_t depth);
  void spill_mentions(std::string_view name);
  void copy_up(std::uint32_t depth);
  void swap_with(std::uint32_t depth);
  void rotate(std::uint32_t depth);
  std::vector<Expression> pop_many(std::uint32_t count);
  std::string fresh(std::string_view prefix) {
    return "_" + std::string(prefix) + std::to_string(++fresh_);
  }

  // decompile_steps.cpp
  void step(const Step& step);
  bool loads_and_stores(const Step& step);
  bool operators(const Step& step);
  bool containers(const Step& step);
  bool jumps(const Step& step);
  bool blocks(const Step& step);
  void store(std::string target);
  void binary(std::string_view op);
  void branch(const Step& step, std::string test, const Expression& condition);
  std::string stored_names() const;
  void name_displays();
  void write_for(const Step& step);
  void method_on(std::uint32_t depth, std::string_view call);
  void build(std::uint32_t count, std::string_view open, std::string_view close, bool stars);
  void write_string(std::uint32_t count);
  void unpack(std::uint32_t before, bool star, std::uint32_t after);
  void write_return(const Expression& expression);
  const Step* following(std::size_t n = 1) const;
  std::string stored_name(std::size_t n = 1) const;

  // decompile_calls.cpp
  bool calls(const Step& step);
  void write_call(std::vector<Expression> arguments, const std::vector<std::string>& keywords,
                  bool null);
  void finish_call(Expression callee, std::string arguments);
  void define_class(std::vector<Expression> arguments, const std::vector<std::string>& keywords);
  void import_all(const Expression& module);
  void write_import(const Step& step);
  void take_import(const Step& step);
  void write_function(const Step& step);
  std::string function(std::uint32_t code, std::string name, const std::string& defaults,
                       const std::string& keyword_defaults);
  void nested(const Code& code, bool klass, bool module, bool generator);
  void whole(std::uint32_t code, bool root);

  Frame& frame() { return *frame_; }
  const Code& code() const { return *frame_->code; }
  bool spend(std::size_t bytes);

  Bytes input_;
  const Object& object_;
  int version_ = 0;
  const InstructionSet* set_ = nullptr;
  Frame* frame_ = nullptr;
  std::vector<Cell> cells_;
  std::string prologue_; ///< long constants
  std::string out_;
  std::unordered_map<std::uint32_t, std::string> constants_; ///< rendered, by node
  std::vector<std::uint8_t> written_;                        ///< how often, by code object
  std::set<std::string, std::less<>> outside_; ///< names that any code object looks up outside
  std::size_t fresh_ = 0;
  std::size_t steps_ = 0;
  std::size_t memory_ = 0;
  std::size_t nesting_ = 0;
  bool complete_ = true;
};

} // namespace hubgate::marshal
