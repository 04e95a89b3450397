// What each instruction does to the stack and to the text.
#include "scanner/code/marshal/decompiler.hpp"

#include <algorithm>
#include <array>

namespace hubgate::marshal {
namespace {

// Include/opcode.h, NB_*; those in place come again from 13 on.
constexpr std::array<std::string_view, 13> k_operators{"+", "&",  "//", "<<", "@", "*", "%",
                                                       "|", "**", ">>", "-",  "/", "^"};
constexpr std::array<std::string_view, 10> k_comparisons{"<",  "<=", "==",     "!=", ">",
                                                         ">=", "in", "not in", "is", "is not"};

std::string_view operator_of(Instruction instruction) {
  using enum Instruction;
  switch (instruction) {
  case binary_add:
  case inplace_add:
    return "+";
  case binary_and:
  case inplace_and:
    return "&";
  case binary_floor_divide:
  case inplace_floor_divide:
    return "//";
  case binary_lshift:
  case inplace_lshift:
    return "<<";
  case binary_matrix_multiply:
  case inplace_matrix_multiply:
    return "@";
  case binary_modulo:
  case inplace_modulo:
    return "%";
  case binary_multiply:
  case inplace_multiply:
    return "*";
  case binary_or:
  case inplace_or:
    return "|";
  case binary_power:
  case inplace_power:
    return "**";
  case binary_rshift:
  case inplace_rshift:
    return ">>";
  case binary_subtract:
  case inplace_subtract:
    return "-";
  case binary_true_divide:
  case inplace_true_divide:
    return "/";
  case binary_xor:
  case inplace_xor:
    return "^";
  default:
    return {};
  }
}

} // namespace

// Steps behind this one that do something.
const Decompiler::Step* Decompiler::following(std::size_t n) const {
  std::size_t at = frame_->at;
  while (n > 0) {
    if (++at >= frame_->steps.size()) return nullptr;
    const Instruction instruction = frame_->steps[at].instruction;
    if (instruction != Instruction::nop && instruction != Instruction::cache) --n;
  }
  return &frame_->steps[at];
}

// The variable that a later step stores into, or "".
std::string Decompiler::stored_name(std::size_t n) const {
  const Step* const step = following(n);
  if (step == nullptr || frame_->states.contains(step->offset)) return {};
  using enum Instruction;
  switch (step->instruction) {
  case store_name:
  case store_global:
    return name(step->argument);
  case store_fast:
    return local(step->argument);
  case store_fast_load_fast:
  case store_fast_store_fast:
    return local(step->argument >> 4);
  case store_deref:
    return free_name(step->argument);
  default:
    return {};
  }
}

void Decompiler::store(std::string target) {
  const Expression what = pop();
  if (what.kind == Kind::lost || what.kind == Kind::null || what.text == target) return;
  if (what.kind == Kind::error) {
    // The values of everything that was raised so far meet here.
    line("try: pass");
    line("except BaseException as " + target + ": pass");
    return;
  }
  spill_mentions(target);
  line(target + " = " + value(what));
}

void Decompiler::binary(std::string_view op) {
  const Expression right = pop();
  const Expression left = pop();
  push("(" + value(left) + " " + std::string(op) + " " + value(right) + ")");
}

bool Decompiler::loads_and_stores(const Step& step) {
  using enum Instruction;
  const std::uint32_t argument = step.argument;
  switch (step.instruction) {
  case load_const:
    push(constant(item(code().constants, argument)));
    return true;
  case load_small_int:
    push_name(std::to_string(argument));
    return true;
  case load_name:
    push_name(name(argument));
    return true;
  case load_global:
    if (version_ < 311) {
      push_name(name(argument));
      return true;
    }
    if ((argument & 1) != 0 && version_ < 313)
      push({.text = "None", .kind = Kind::null, .atom = true});
    push_name(name(argument >> 1));
    if ((argument & 1) != 0 && version_ >= 313)
      push({.text = "None", .kind = Kind::null, .atom = true});
    return true;
  case load_from_dict_or_globals:
    pop();
    push_name(name(argument));
    return true;
  case load_fast:
  case load_fast_check:
  case load_fast_borrow:
    push_name(local(argument));
    return true;
  case load_fast_and_clear:
    push_lost();
    return true;
  case load_fast_load_fast:
  case load_fast_borrow_load_fast_borrow:
    push_name(local(argument >> 4));
    push_name(local(argument & 15));
    return true;
  case load_from_dict_or_deref:
    pop();
    push_name(free_name(argument));
    return true;
  case load_deref:
  case load_classderef:
  case load_closure:
    push_name(free_name(argument));
    return true;
  case load_locals:
    push("locals()");
    return true;
  case load_build_class:
    push({.text = "__build_class__", .kind = Kind::build_class, .atom = true});
    return true;
  case load_assertion_error:
    push_name("AssertionError");
    return true;
  case load_common_constant: {
    constexpr std::array<std::string_view, 5> k_common{"AssertionError", "NotImplementedError",
                                                       "tuple", "all", "any"};
    push_name(std::string(argument < k_common.size() ? k_common[argument] : "_unknown"));
    return true;
  }
  case load_attr:
  case load_method: {
    const Expression of = pop();
    const bool packed = step.instruction == load_attr && version_ >= 312;
    const std::string called = name(packed ? argument >> 1 : argument);
    const bool method = packed ? (argument & 1) != 0 : step.instruction == load_method;
    if (of.kind == Kind::module_root && !method) {
      push(Expression(of));
      take_import(step);
      rotate(2);
      pop();
      return true;
    }
    push(operand(of) + "." + called);
    if (method) push({.text = "None", .kind = Kind::null, .atom = true});
    return true;
  }
  case load_super_attr: {
    pop_many(3);
    push("super()." + name(argument >> 2));
    if ((argument & 1) != 0) push({.text = "None", .kind = Kind::null, .atom = true});
    return true;
  }
  case store_name:
  case store_global:
    store(name(argument));
    return true;
  case store_fast:
    store(local(argument));
    return true;
  case store_fast_store_fast:
    store(local(argument >> 4));
    store(local(argument & 15));
    return true;
  case store_fast_load_fast:
    store(local(argument >> 4));
    push_name(local(argument & 15));
    return true;
  case store_deref:
    store(free_name(argument));
    return true;
  case store_attr: {
    const Expression of = pop();
    const Expression what = pop();
    line(operand(of) + "." + name(argument) + " = " + value(what));
    return true;
  }
  case store_subscr: {
    const Expression key = pop();
    const Expression of = pop();
    const Expression what = pop();
    // A field of a dataclass.
    if (frame_->klass && of.text == "__annotations__" && key.node != k_no_node) {
      line(identifier(raw(key.node)) + ": " + value(what));
      return true;
    }
    line(operand(of) + "[" + (key.kind == Kind::slice ? key.text : value(key)) +
         "] = " + value(what));
    return true;
  }
  case store_slice: {
    const std::string end = take();
    const std::string begin = take();
    const Expression of = pop();
    const Expression what = pop();
    line(operand(of) + "[" + begin + ":" + end + "] = " + value(what));
    return true;
  }
  case delete_subscr: {
    const Expression key = pop();
    const Expression of = pop();
    line("del " + operand(of) + "[" + value(key) + "]");
    return true;
  }
  case delete_attr:
    discard(pop());
    return true;
  case store_annotation:
    discard(pop());
    return true;
  default:
    return false;
  }
}

bool Decompiler::operators(const Step& step) {
  using enum Instruction;
  const std::uint32_t argument = step.argument;
  if (const std::string_view op = operator_of(step.instruction); !op.empty()) {
    binary(op);
    return true;
  }
  switch (step.instruction) {
  case binary_op:
    if (argument < 2 * k_operators.size()) {
      binary(k_operators[argument % k_operators.size()]);
      return true;
    }
    [[fallthrough]];
  case binary_subscr: {
    const Expression key = pop();
    const Expression of = pop();
    push(operand(of) + "[" + (key.kind == Kind::slice ? key.text : value(key)) + "]");
    return true;
  }
  case binary_slice: {
    const std::string end = take();
    const std::string begin = take();
    const Expression of = pop();
    push(operand(of) + "[" + begin + ":" + end + "]");
    return true;
  }
  case compare_op: {
    const std::uint32_t index = version_ >= 313   ? argument >> 5
                                : version_ == 312 ? argument >> 4
                                                  : argument;
    binary(index < k_comparisons.size() ? k_comparisons[index] : "==");
    return true;
  }
  case is_op:
    binary((argument & 1) != 0 ? "is not" : "is");
    return true;
  case contains_op:
    binary((argument & 1) != 0 ? "not in" : "in");
    return true;
  case unary_not:
    push("(not " + take() + ")");
    return true;
  case unary_negative:
    push("(-" + take() + ")");
    return true;
  case unary_positive:
    push("(+" + take() + ")");
    return true;
  case unary_invert:
    push("(~" + take() + ")");
    return true;
  case get_len:
    spill_at(1);
    push("len(" + value(peek(1)) + ")");
    return true;
  case match_mapping:
  case match_sequence:
    push_lost();
    return true;
  case match_keys:
    copy_up(2);
    if (version_ < 311) push_lost();
    return true;
  case match_class: {
    // The attributes that the pattern takes: by position, then by name.
    const std::vector<std::string> named = names_in(pop().node);
    const std::string klass = operand(pop());
    Expression subject = pop();
    if (!subject.atom) {
      const std::string called = fresh("v");
      line(called + " = " + value(subject));
      subject = {.text = called, .atom = true};
    }
    std::string text = "(";
    constexpr std::uint32_t k_most = 32;
    for (std::uint32_t i = 0; i < std::min(argument, k_most); ++i)
      text += "getattr(" + subject.text + ", " + klass + ".__match_args__[" + std::to_string(i) +
              "]), ";
    for (const std::string& one: named)
      text += operand(subject) + "." + one + ", ";
    push(argument == 0 && named.empty() ? "(" + subject.text + ",)" : text + ")");
    if (version_ < 311) push_lost();
    return true;
  }
  case copy_dict_without_keys:
    pop();
    copy_up(1);
    return true;
  default:
    return false;
  }
}

bool Decompiler::blocks(const Step& step) {
  using enum Instruction;
  switch (step.instruction) {
  case dup_top:
    copy_up(1);
    return true;
  case dup_top_two:
    copy_up(2);
    copy_up(2);
    return true;
  case copy:
    copy_up(step.argument);
    return true;
  case swap:
    swap_with(step.argument);
    return true;
  case rot_two:
    swap_with(2);
    return true;
  case rot_three:
    rotate(3);
    return true;
  case rot_four:
    rotate(4);
    return true;
  case rot_n:
    rotate(step.argument);
    return true;
  case pop_top:
  case print_expr:
  case pop_iter:
    discard(pop());
    return true;
  case end_for:
    pop();
    if (version_ == 312) pop();
    return true;
  case end_send:
    pop();
    return true;
  case setup_finally:
  case setup_except: {
    const std::uint32_t now = frame_->stack;
    for (int i = 0; i < 6; ++i)
      push({.text = "_error", .kind = Kind::error, .atom = true});
    jump_to(step.target, frame_->stack);
    frame_->stack = now;
    return true;
  }
  case setup_with:
  case setup_async_with:
  case before_with:
  case before_async_with: {
    const std::string manager = take();
    push({.text = "_exit", .kind = Kind::leave, .atom = true});
    const std::uint32_t outside = frame_->stack;
    std::string called = stored_name();
    if (called.empty()) called = fresh("w");
    line("with " + manager + " as " + called + ": pass");
    if (step.target != 0) {
      for (int i = 0; i < 6; ++i)
        push({.text = "_error", .kind = Kind::error, .atom = true});
      jump_to(step.target, frame_->stack);
      frame_->stack = outside;
    }
    push_name(called);
    return true;
  }
  case load_special: {
    const Expression manager = pop();
    if ((step.argument & 1) != 0) {
      push({.text = "_exit", .kind = Kind::leave, .atom = true});
    } else {
      const std::string called = fresh("w");
      line("with " + value(manager) + " as " + called + ": pass");
      push({.text = called, .kind = Kind::enter, .atom = true});
    }
    push({.text = "None", .kind = Kind::null, .atom = true});
    return true;
  }
  case begin_finally:
  case with_except_start:
    push({.text = "_error", .kind = Kind::error, .atom = true});
    return true;
  case with_cleanup_start: {
    for (int i = 0; i < 8 && frame_->stack != frame_->bottom; ++i)
      if (pop().kind == Kind::leave) break;
    push({.text = "_error", .kind = Kind::error, .atom = true});
    return true;
  }
  case end_finally: {
    bool any = false;
    for (int i = 0; i < 6 && peek(1).kind == Kind::error; ++i, any = true)
      pop();
    if (!any && peek(1).text == "None") pop();
    return true;
  }
  case push_exc_info: {
    const bool inside =
        std::any_of(frame_->blocks.begin(), frame_->blocks.end(),
                    [](const Block& block) { return block.header == "if _error:"; });
    if (!inside) open(~std::uint32_t{0}, "if _error:", {}, false);
    frame_->handlers = true;
    push({.text = "_error", .kind = Kind::error, .atom = true});
    push({.text = "_error", .kind = Kind::error, .atom = true});
    return true;
  }
  case pop_except:
    for (int i = 0; i < (version_ >= 311 ? 1 : 3) && peek(1).kind == Kind::error; ++i)
      pop();
    return true;
  case check_exc_match:
    pop();
    push_lost();
    return true;
  case check_eg_match:
  case prep_reraise_star:
    pop();
    return true;
  case end_async_for:
  case cleanup_throw:
    for (int i = 0; i < 7 && peek(1).kind == Kind::error; ++i)
      pop();
    return true;
  case gen_start:
    pop();
    return true;
  case return_generator:
    push_lost();
    return true;
  case setup_loop:
  case setup_annotations:
  case pop_block:
  case pop_finally:
  case call_finally:
  case get_iter:
  case get_awaitable:
  case get_aiter:
  case async_gen_wrap:
  case to_bool:
  case nop:
  case not_taken:
  case cache:
  case resume:
  case make_cell:
  case copy_free_vars:
  case precall:
  case list_to_tuple:
  case delete_name:
  case delete_fast:
  case delete_global:
  case delete_deref:
  case with_cleanup_finish:
  case exit_init_check:
  case interpreter_exit:
  case reserved:
    return true;
  case get_yield_from_iter:
    push("(yield from " + take() + ")");
    return true;
  case get_anext:
    copy_up(1);
    return true;
  default:
    return false;
  }
}

void Decompiler::step(const Step& step) {
  if (step.instruction == Instruction::undefined) {
    complete_ = false;
    return;
  }
  if (!loads_and_stores(step) && !operators(step) && !blocks(step) && !containers(step) &&
      !jumps(step) && !calls(step))
    complete_ = false;
}

} // namespace hubgate::marshal
