// Jumps, loops, what is returned and yielded; lists, sets, dicts and texts that are put together.
#include "scanner/code/marshal/decompiler.hpp"

#include <algorithm>

namespace hubgate::marshal {
namespace {

constexpr std::size_t k_short_piece = 200; ///< of an f-string

constexpr std::uint32_t k_flag_generator = 0x20;
constexpr std::uint32_t k_most_targets = 8; ///< of a loop: for a, b in …

bool yields_values(std::uint32_t flags) {
  return (flags & k_flag_generator) != 0;
}

bool is_display(std::string_view text) {
  return !text.empty() && (text[0] == '[' || text[0] == '{' || text == "set()");
}

} // namespace

void Decompiler::write_return(const Expression& expression) {
  if (frame_->generator)
    line("return _g");
  else if (frame_->klass || frame_->module)
    discard(expression);
  else
    line("return " + value(expression));
  frame_->reachable = false;
}

// A jump that depends on `condition`: what follows up to the target happens if `test` holds.
void Decompiler::branch(const Step& step, std::string test, const Expression& condition) {
  if (step.backward) {
    discard(condition);
    return;
  }
  const std::string effect = acts(condition) ? value(condition) : std::string();
  jump_to(step.target, frame_->stack);
  open(step.target, "if " + test + ":", effect, true);
}

// Lists that a loop fills need a name before it begins.
void Decompiler::name_displays() {
  for (std::uint32_t depth = 4; depth >= 1; --depth)
    if (peek(depth).kind == Kind::plain && is_display(peek(depth).text)) spill_at(depth);
}

// "(a, b)" where the next instructions unpack into variables, else "".
std::string Decompiler::stored_names() const {
  const Step* const next = following();
  if (next == nullptr || next->instruction != Instruction::unpack_sequence || next->argument == 0 ||
      next->argument > k_most_targets || frame_->states.contains(next->offset))
    return {};
  std::string out = "(";
  for (std::uint32_t i = 0; i < next->argument; ++i) {
    const std::string one = stored_name(i + 2);
    if (one.empty()) return {};
    const Step* const store = following(i + 2);
    if (store->instruction == Instruction::store_fast_store_fast && i + 1 < next->argument) {
      out += one + ", " + local(store->argument & 15) + ", ";
      return i + 2 == next->argument ? out + ")" : std::string();
    }
    out += one + ", ";
  }
  return out + ")";
}

void Decompiler::write_for(const Step& step) {
  if (peek(1).kind == Kind::plain && is_display(peek(1).text)) {
    const Expression iterable = pop();
    name_displays();
    push(Expression(iterable));
  } else {
    name_displays();
  }
  const Expression iterable = pop();
  const std::uint32_t outside = frame_->stack;
  push_lost(); // the iterator
  if (version_ >= 312) {
    push_lost();
    jump_to(step.target, frame_->stack);
    pop();
  } else {
    jump_to(step.target, outside);
  }
  std::string element = stored_names();
  const Kind kind = element.empty() ? Kind::plain : Kind::targets;
  if (element.empty()) element = stored_name();
  if (element.empty()) element = fresh("i");
  open(step.target, "for " + element + " in " + value(iterable) + ":",
       acts(iterable) ? value(iterable) : std::string(), false);
  push({.text = element, .kind = kind, .atom = true});
}

bool Decompiler::jumps(const Step& step) {
  using enum Instruction;
  switch (step.instruction) {
  case jump_forward:
  case jump_absolute:
  case jump_backward:
  case jump_backward_no_interrupt:
    if (!step.backward) {
      jump_to(step.target, frame_->stack);
      frame_->otherwise = step.target;
    }
    frame_->reachable = false;
    return true;
  case break_loop:
  case continue_loop:
  case reraise:
    frame_->reachable = false;
    return true;
  case pop_jump_if_false:
  case pop_jump_forward_if_false:
  case pop_jump_backward_if_false: {
    const Expression condition = pop();
    branch(step, value(condition), condition);
    return true;
  }
  case pop_jump_if_true:
  case pop_jump_forward_if_true:
  case pop_jump_backward_if_true: {
    const Expression condition = pop();
    branch(step, "not " + value(condition), condition);
    return true;
  }
  case pop_jump_if_none:
  case pop_jump_forward_if_none:
  case pop_jump_backward_if_none: {
    const Expression condition = pop();
    branch(step, value(condition) + " is not None", condition);
    return true;
  }
  case pop_jump_if_not_none:
  case pop_jump_forward_if_not_none:
  case pop_jump_backward_if_not_none: {
    const Expression condition = pop();
    branch(step, value(condition) + " is None", condition);
    return true;
  }
  case jump_if_false_or_pop:
  case jump_if_true_or_pop: {
    spill_at(1);
    jump_to(step.target, frame_->stack);
    const Expression condition = pop();
    const bool positive = step.instruction == jump_if_false_or_pop;
    if (!step.backward)
      open(step.target, (positive ? "if " : "if not ") + value(condition) + ":", {}, true);
    return true;
  }
  case jump_if_not_exc_match:
    pop();
    pop();
    branch(step, "_error", {.text = "_error", .atom = true});
    return true;
  case for_iter:
    write_for(step);
    return true;
  case send:
    if (version_ >= 312) {
      jump_to(step.target, frame_->stack);
    } else {
      const Expression sent = pop();
      jump_to(step.target, frame_->stack);
      push(Expression(sent));
    }
    return true;
  case yield_from:
    pop();
    return true;
  case return_const:
    write_return(constant(item(code().constants, step.argument)));
    return true;
  case return_value:
    write_return(pop());
    return true;
  case yield_value: {
    const Expression what = pop();
    if (frame_->generator) {
      line("_g.append(" + value(what) + ")");
      push_lost();
    } else if (what.text == "None" && !yields_values(frame_->code->flags)) {
      push_lost(); // of an await
    } else if (peek(1).text.starts_with("(yield from ")) {
      push_lost();
    } else {
      push("(yield " + value(what) + ")");
    }
    return true;
  }
  case raise_varargs: {
    const std::string cause = step.argument == 2 ? take() : std::string();
    if (step.argument == 0) {
      line("raise");
    } else {
      const std::string what = take();
      line("raise " + what + (cause.empty() ? "" : " from " + cause));
    }
    frame_->reachable = false;
    return true;
  }
  default:
    return false;
  }
}

// Calls a method of the container at a depth, which needs a name for it.
void Decompiler::method_on(std::uint32_t depth, std::string_view call) {
  if (depth == 0) return;
  spill_at(depth);
  const Expression& container = peek(depth);
  line(operand(container) + std::string(call));
}

void Decompiler::build(std::uint32_t count, std::string_view open_text, std::string_view close_text,
                       bool stars) {
  const std::vector<Expression> items = pop_many(count);
  std::string text(open_text);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i != 0) text += ", ";
    if (stars) text += '*';
    text += value(items[i]);
  }
  if (open_text == "(" && items.size() == 1) text += ',';
  text += close_text;
  push({.text = std::move(text), .other = std::to_string(items.size())});
}

// "{}: {}".format(a, b)
void Decompiler::write_string(std::uint32_t count) {
  const std::vector<Expression> pieces = pop_many(count);
  std::string pattern = "'";
  std::string arguments;
  for (const Expression& piece: pieces) {
    if (piece.kind == Kind::plain && piece.node != k_no_node && piece.text.size() > 1 &&
        piece.text[0] == '\'' && piece.text.size() < k_short_piece) {
      for (const char c: std::string_view(piece.text).substr(1, piece.text.size() - 2)) {
        pattern += c;
        if (c == '{' || c == '}') pattern += c;
      }
      continue;
    }
    pattern += "{}";
    if (!arguments.empty()) arguments += ", ";
    arguments += piece.kind == Kind::formatted ? piece.text : value(piece);
  }
  push(pattern + "'.format(" + arguments + ")");
}

void Decompiler::unpack(std::uint32_t before, bool star, std::uint32_t after) {
  constexpr std::uint32_t k_most = 256;
  if (before > k_most || after > k_most) {
    complete_ = false;
    return;
  }
  Expression what = pop();
  if (what.kind == Kind::targets) {
    std::vector<std::string> names;
    for (std::size_t at = 1, end = 0; (end = what.text.find(", ", at)) != std::string::npos;
         at = end + 2)
      names.push_back(what.text.substr(at, end - at));
    for (std::size_t i = names.size(); i-- > 0;)
      push_name(names[i]);
    return;
  }
  if (!what.atom || what.kind != Kind::plain) {
    const std::string called = fresh("v");
    line(called + " = " + value(what));
    what = {.text = called, .atom = true};
  }
  for (std::uint32_t i = after; i > 0; --i)
    push(what.text + "[-" + std::to_string(after - i + 1) + "]");
  if (star)
    push(what.text + "[" + std::to_string(before) + ":" +
         (after > 0 ? "-" + std::to_string(after) : "") + "]");
  for (std::uint32_t i = before; i > 0; --i)
    push(what.text + "[" + std::to_string(i - 1) + "]");
}

bool Decompiler::containers(const Step& step) {
  using enum Instruction;
  const std::uint32_t argument = step.argument;
  // Adds what lies on top to the display at a depth.
  const auto extend = [&](std::string_view star, std::string_view method) {
    const Expression what = pop();
    Expression into = argument == 1 ? pop() : Expression{};
    const char last = into.text.empty() ? '\0' : into.text.back();
    const bool open = into.kind == Kind::plain && !into.atom && argument == 1 &&
                      is_display(into.text) && (last == ']' || last == '}' || into.text == "set()");
    if (open) {
      if (into.text == "set()") into.text = "{}";
      const bool empty = into.text.size() == 2;
      into.text.insert(into.text.size() - 1,
                       std::string(empty ? "" : ", ") + std::string(star) + value(what));
      into.other.clear();
      push(std::move(into));
      return;
    }
    if (argument == 1) push(std::move(into));
    method_on(argument, "." + std::string(method) + "(" + value(what) + ")");
  };
  switch (step.instruction) {
  case build_list:
    build(argument, "[", "]", false);
    return true;
  case build_tuple:
    build(argument, "(", ")", false);
    return true;
  case build_set:
    build(argument, argument == 0 ? "set(" : "{", argument == 0 ? ")" : "}", false);
    return true;
  case build_list_unpack:
    build(argument, "[", "]", true);
    return true;
  case build_tuple_unpack:
  case build_tuple_unpack_with_call:
    build(argument, "(", ")", true);
    return true;
  case build_set_unpack:
    build(argument, "{", "}", true);
    return true;
  case build_map_unpack:
  case build_map_unpack_with_call: {
    std::string text;
    for (const Expression& part: pop_many(argument))
      text += "**" + value(part) + ", ";
    push("{" + text + "}");
    return true;
  }
  case build_map: {
    constexpr std::uint32_t k_most = 1U << 24;
    const std::vector<Expression> items = pop_many(2 * std::min(argument, k_most));
    std::string text = "{";
    for (std::size_t i = 0; i + 1 < items.size(); i += 2)
      text += (i == 0 ? "" : ", ") + value(items[i]) + ": " + value(items[i + 1]);
    push(text + "}");
    return true;
  }
  case build_const_key_map: {
    const std::uint32_t keys = pop().node;
    const std::vector<Expression> values = pop_many(argument);
    std::string text = "{";
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint32_t key = item(keys, static_cast<std::uint32_t>(i));
      text += (i == 0 ? "" : ", ") + constant(key).text + ": " + value(values[i]);
    }
    push(text + "}");
    return true;
  }
  case build_slice: {
    const std::vector<Expression> parts = pop_many(argument == 3 ? 3 : 2);
    Expression slice{.text = {}, .kind = Kind::slice};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i != 0) slice.text += ':';
      slice.other += (i == 0 ? "" : ", ") + value(parts[i]);
      const std::string part = value(parts[i]);
      if (part != "None") slice.text += part;
    }
    if (parts.size() < 2) slice.text += ':';
    push(std::move(slice));
    return true;
  }
  case build_string:
    write_string(argument);
    return true;
  case format_value: {
    if ((argument & 4) != 0) discard(pop());
    push({.text = take(), .kind = Kind::formatted});
    return true;
  }
  case format_with_spec:
    discard(pop());
    push({.text = take(), .kind = Kind::formatted});
    return true;
  case format_simple:
    push({.text = take(), .kind = Kind::formatted});
    return true;
  case convert_value:
    return true;
  case build_interpolation: {
    if ((argument & 1) != 0) discard(pop());
    pop();
    return true;
  }
  case build_template:
    build(2, "(", ")", false);
    return true;
  case list_append: {
    const std::string what = take();
    method_on(argument, ".append(" + what + ")");
    return true;
  }
  case set_add: {
    const std::string what = take();
    method_on(argument, ".add(" + what + ")");
    return true;
  }
  case map_add: {
    const std::string top = take();
    const std::string below = take();
    const bool key_first = version_ >= 308;
    method_on(argument, "[" + (key_first ? below : top) + "] = " + (key_first ? top : below));
    return true;
  }
  case list_extend:
    extend("*", "extend");
    return true;
  case set_update:
    extend("*", "update");
    return true;
  case dict_update:
  case dict_merge:
    extend("**", "update");
    return true;
  case unpack_sequence:
    unpack(argument, false, 0);
    return true;
  case unpack_ex:
    unpack(argument & 0xff, true, argument >> 8);
    return true;
  default:
    return false;
  }
}

} // namespace hubgate::marshal
