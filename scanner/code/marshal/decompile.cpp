// The walk over a code object: instructions, blocks, what the stack holds where ways meet.
#include "scanner/code/marshal/decompile.hpp"

#include "scanner/code/marshal/decompiler.hpp"

#include <algorithm>
#include <utility>

namespace hubgate::marshal {
namespace {

constexpr std::size_t k_max_steps = 1'000'000; ///< instructions of one object
constexpr std::size_t k_max_blocks = 30;       ///< nested in one function
constexpr std::size_t k_max_indent = 90;       ///< CPython: 100
constexpr std::uint32_t k_flag_new_locals = 2; ///< a function, no module or class

bool is_conditional(Instruction instruction) {
  using enum Instruction;
  switch (instruction) {
  case pop_jump_if_true:
  case pop_jump_if_false:
  case pop_jump_if_none:
  case pop_jump_if_not_none:
  case jump_if_not_exc_match:
    return true;
  default:
    return false;
  }
}

// How an instruction names its target.
enum class Jump { none, absolute, forward, backward };

Jump jump_of(Instruction instruction, int version) {
  using enum Instruction;
  switch (instruction) {
  case jump_absolute:
  case continue_loop:
    return Jump::absolute;
  case jump_if_false_or_pop:
  case jump_if_true_or_pop:
    return version >= 311 ? Jump::forward : Jump::absolute;
  case jump_forward:
  case for_iter:
  case setup_finally:
  case setup_except:
  case setup_loop:
  case setup_with:
  case setup_async_with:
  case call_finally:
  case send:
  case pop_jump_forward_if_false:
  case pop_jump_forward_if_true:
  case pop_jump_forward_if_none:
  case pop_jump_forward_if_not_none:
    return Jump::forward;
  case jump_backward:
  case jump_backward_no_interrupt:
  case pop_jump_backward_if_false:
  case pop_jump_backward_if_true:
  case pop_jump_backward_if_none:
  case pop_jump_backward_if_not_none:
    return Jump::backward;
  default:
    return !is_conditional(instruction) ? Jump::none
           : version >= 311             ? Jump::forward
                                        : Jump::absolute;
  }
}

} // namespace

Decompiler::Decompiler(Bytes input, const Object& object, int version)
    : input_(input), object_(object), version_(version), set_(instruction_set(version)) {
  cells_.push_back({{.text = "_unknown", .kind = Kind::lost, .atom = true}, 0, 0});
  written_.resize(object.codes.size());
}

bool Decompiler::spend(std::size_t bytes) {
  if (prologue_.size() + out_.size() + bytes <= k_max_decompiled) return true;
  complete_ = false;
  return false;
}

void Decompiler::decode(Frame& frame) const {
  const std::string_view bytes = raw(frame.code->bytecode);
  const std::uint32_t unit = version_ >= 310 ? 2 : 1;
  std::uint32_t extended = 0;
  for (std::size_t at = 0; at + 1 < bytes.size();) {
    const auto number = static_cast<std::uint8_t>(bytes[at]);
    const Instruction instruction = set_->by_number[number];
    const std::uint32_t argument = extended | static_cast<std::uint8_t>(bytes[at + 1]);
    if (instruction == Instruction::extended_arg) {
      extended = argument << 8;
      at += 2;
      continue;
    }
    Step step{.offset = static_cast<std::uint32_t>(at),
              .next = static_cast<std::uint32_t>(at + 2 + 2U * set_->caches[number]),
              .argument = argument,
              .target = 0,
              .instruction = instruction,
              .backward = false};
    const std::uint64_t distance = std::uint64_t{argument} * unit;
    std::uint64_t target = 0;
    switch (jump_of(instruction, version_)) {
    case Jump::none:
      break;
    case Jump::absolute:
      target = distance;
      break;
    case Jump::forward:
      target = step.next + distance;
      break;
    case Jump::backward:
      target = distance <= step.next ? step.next - distance : 0;
      step.backward = true;
      break;
    }
    step.target = static_cast<std::uint32_t>(std::min<std::uint64_t>(target, bytes.size()));
    if (jump_of(instruction, version_) == Jump::absolute) step.backward = step.target <= at;
    // A jump may end at the EXTENDED_ARG before an instruction.
    if (extended != 0) step.offset = frame.steps.empty() ? 0 : frame.steps.back().next;
    extended = 0;
    at = step.next;
    frame.steps.push_back(step);
  }
}

// What has to be known of a function before its first line.
void Decompiler::declarations(Frame& frame) {
  using enum Instruction;
  std::set<std::string> global;
  std::set<std::string> outer;
  bool handlers = false;
  frame_ = &frame;
  for (const Step& step: frame.steps) {
    handlers = handlers || step.instruction == push_exc_info;
    switch (step.instruction) {
    case load_global:
      frame.globals.insert(name(version_ >= 311 ? step.argument >> 1 : step.argument));
      break;
    case load_name:
    case delete_name:
      frame.globals.insert(name(step.argument));
      break;
    case store_global:
      frame.globals.insert(name(step.argument));
      if (!frame.module && global.size() < 64) global.insert(name(step.argument));
      break;
    case store_deref:
      if (!frame.module && is_nonlocal(step.argument) && outer.size() < 64)
        outer.insert(free_name(step.argument));
      break;
    default:
      break;
    }
    // A loop; the handlers behind a function jump back into it.
    if (step.backward && !handlers && step.target < step.offset) {
      std::uint32_t& end = frame.loops[step.target];
      end = std::max(end, step.next);
    }
  }
  for (const Step& step: frame.steps)
    if (step.instruction == for_iter || step.instruction == send) frame.loops.erase(step.offset);
  for (const std::string& text: global)
    line("global " + text);
  for (const std::string& text: outer)
    if (!global.contains(text)) line("nonlocal " + text);
}

void Decompiler::flush_blocks() {
  for (std::size_t i = 0; i < frame_->blocks.size(); ++i) {
    Block& block = frame_->blocks[i];
    if (block.written) continue;
    block.written = true;
    if (!spend(block.header.size() + k_max_indent)) continue;
    const bool otherwise = block.mark != 0 && block.mark == out_.size();
    out_.append(frame_->indent + i, ' ');
    out_ += block.mark == 0 ? block.header : otherwise ? "else:" : "if _other:";
    out_ += '\n';
  }
}

void Decompiler::line(std::string_view text) {
  flush_blocks();
  if (!spend(text.size() + k_max_indent)) return;
  out_.append(frame_->indent + frame_->blocks.size(), ' ');
  out_ += text;
  out_ += '\n';
}

void Decompiler::open(std::uint32_t end, std::string header, std::string test, bool condition,
                      std::size_t mark) {
  Frame& frame = *frame_;
  if (!frame.blocks.empty()) end = std::min(end, frame.blocks.back().end);
  if (frame.blocks.size() >= k_max_blocks || frame.indent + frame.blocks.size() >= k_max_indent) {
    if (!test.empty()) line(test);
    return;
  }
  frame.blocks.push_back({.end = end,
                          .header = std::move(header),
                          .test = std::move(test),
                          .written = false,
                          .condition = condition,
                          .mark = mark});
}

void Decompiler::close(std::uint32_t offset) {
  Frame& frame = *frame_;
  while (!frame.blocks.empty() && frame.blocks.back().end <= offset) {
    const Block block = std::move(frame.blocks.back());
    frame.blocks.pop_back();
    frame.closed = block.written && block.condition && block.mark == 0 ? out_.size() : 0;
    if (!block.written && !block.test.empty()) line(block.test);
  }
}

// What the stack is where two ways meet.
std::uint32_t Decompiler::merged(std::uint32_t left, std::uint32_t right) {
  if (left == right || cells_[left].depth != cells_[right].depth) return right;
  constexpr std::size_t k_most = 16;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
  std::uint32_t a = left;
  std::uint32_t b = right;
  while (a != b && a != frame_->bottom && b != frame_->bottom) {
    if (pairs.size() >= k_most) return right;
    pairs.emplace_back(a, b);
    a = cells_[a].below;
    b = cells_[b].below;
  }
  frame_->stack = b;
  for (std::size_t i = pairs.size(); i-- > 0;) {
    Expression one = cells_[pairs[i].first].expression;
    Expression two = cells_[pairs[i].second].expression;
    if (one.text == two.text || one.kind == Kind::lost || two.kind != Kind::plain)
      push(std::move(two));
    else if (two.kind == Kind::lost || one.kind != Kind::plain)
      push(std::move(one));
    else
      push("(" + two.text + " if _other else " + one.text + ")");
  }
  return frame_->stack;
}

void Decompiler::jump_to(std::uint32_t target, std::uint32_t stack) {
  const auto [at, fresh] = frame_->states.try_emplace(target, stack);
  if (fresh || at->second == stack) return;
  const std::uint32_t now = frame_->stack;
  const std::uint32_t both = merged(at->second, stack);
  frame_->stack = now;
  frame_->states[target] = both;
}

// Blocks end and begin, ways meet.
void Decompiler::arrive(std::uint32_t offset) {
  Frame& frame = *frame_;
  close(offset);
  const bool lost = !frame.reachable;
  const std::uint32_t otherwise = std::exchange(frame.otherwise, 0);
  if (const auto state = frame.states.find(offset); state != frame.states.end()) {
    frame.stack = lost ? state->second : merged(state->second, frame.stack);
    frame.dead = false;
  } else if (lost) {
    frame.stack = frame.bottom;
    frame.dead = true;
  }
  frame.reachable = true;
  if (lost && otherwise > offset) {
    const std::size_t mark =
        frame.closed == out_.size() && frame.closed != 0 ? out_.size() : ~std::size_t{0};
    open(otherwise, {}, {}, true, mark);
  }
  if (const auto loop = frame.loops.find(offset); loop != frame.loops.end()) {
    name_displays();
    open(loop->second, "while True:", {}, false);
  }
}

// __doc__ of a function, which its own code or another's may read.
void Decompiler::documentation(const Frame& frame) {
  const std::uint32_t node = documentation_of(object_, *frame.code, version_);
  const bool loaded = std::any_of(frame.steps.begin(), frame.steps.end(), [](const Step& step) {
    return step.instruction == Instruction::load_const && step.argument == 0;
  });
  if (node == k_no_node || loaded) return;
  std::string text;
  render(text, node, 0);
  line(text);
}

void Decompiler::body(Frame& frame) {
  const std::size_t cells = cells_.size();
  cells_.push_back({{.text = "_unknown", .kind = Kind::lost, .atom = true}, 0, 0});
  frame.bottom = frame.stack = static_cast<std::uint32_t>(cells);
  const std::size_t memory = memory_;
  const std::size_t begin = out_.size();
  decode(frame);
  Frame* const outer = frame_;
  declarations(frame);
  frame_ = &frame;
  if (!frame.klass && !frame.module && !frame.generator) documentation(frame);
  if (frame.generator) line("_g = []");
  for (frame.at = 0; frame.at < frame.steps.size(); ++frame.at) {
    if (++steps_ > k_max_steps || !spend(0)) {
      complete_ = false;
      break;
    }
    const Step now = frame.steps[frame.at];
    arrive(now.offset);
    step(now);
  }
  // Every block ends.
  close(~std::uint32_t{0});
  if (out_.size() == begin && !frame.module) line("pass");
  cells_.resize(cells);
  memory_ = memory;
  frame_ = outer;
}

void Decompiler::nested(const Code& inner, bool klass, bool module, bool generator) {
  Frame next;
  next.code = &inner;
  next.klass = klass;
  next.module = module;
  next.generator = generator;
  if (frame_ != nullptr)
    next.indent = frame_->indent + static_cast<std::uint32_t>(frame_->blocks.size()) + 1;
  ++nesting_;
  body(next);
  --nesting_;
}

// A code object on its own: a module, or a function.
void Decompiler::whole(std::uint32_t index, bool root) {
  const Code& inner = object_.codes[index];
  if (written_[index] != 0) return;
  Frame top;
  top.code = &inner;
  top.module = true;
  if ((inner.flags & k_flag_new_locals) == 0) {
    written_[index] = 1;
    body(top);
    return;
  }
  cells_.resize(1);
  frame_ = &top;
  top.code = &inner;
  const std::string called = function(index, fresh("f"), {}, {});
  if (root) line(called + "(*_given)");
  frame_ = nullptr;
}

Decompiled Decompiler::run() {
  Decompiled out{.text = {}, .complete = false, .version = version_};
  if (set_ == nullptr || object_.codes.empty()) return out;
  // Names that are looked up outside of functions, for all code objects at once.
  std::size_t steps = 0;
  for (const Code& each: object_.codes) {
    Frame frame;
    frame.code = &each;
    decode(frame);
    steps += frame.steps.size();
    if (steps > k_max_steps) break;
    frame_ = &frame;
    for (const Step& step: frame.steps) {
      if (step.instruction == Instruction::load_global)
        outside_.insert(name(version_ >= 311 ? step.argument >> 1 : step.argument));
      else if (step.instruction == Instruction::load_name)
        outside_.insert(name(step.argument));
    }
    frame_ = nullptr;
  }
  const bool rooted = object_.root != k_no_node && object_.nodes[object_.root].type == 'c';
  if (rooted) whole(object_.nodes[object_.root].begin, true);
  // Code that nothing makes a function of: run by exec(), or by other means.
  for (std::size_t i = object_.codes.size(); i-- > 0;)
    whole(static_cast<std::uint32_t>(i), false);
  out.text = prologue_ + out_;
  out.complete = complete_;
  return out;
}

std::string Decompiler::listing(std::size_t lines) {
  std::string out;
  if (set_ == nullptr) return out;
  for (std::size_t i = object_.codes.size(); i-- > 0 && lines > 0;) {
    Frame frame;
    frame.code = &object_.codes[i];
    frame_ = &frame;
    decode(frame);
    out += "code " + identifier(raw(frame.code->name)) + ":\n";
    for (const Step& step: frame.steps) {
      if (lines == 0) break;
      --lines;
      const std::string_view called = name_of(step.instruction);
      std::string row = std::to_string(step.offset);
      row.insert(0, 6 - std::min<std::size_t>(row.size(), 6), ' ');
      row += ' ' + std::string(called.empty() ? "?" : called);
      std::string argument = std::to_string(step.argument);
      using enum Instruction;
      switch (step.instruction) {
      case load_const:
      case return_const:
        argument = constant(item(code().constants, step.argument)).text;
        break;
      case load_global:
        argument = name(version_ >= 311 ? step.argument >> 1 : step.argument);
        break;
      case load_attr:
        argument = name(version_ >= 312 ? step.argument >> 1 : step.argument);
        break;
      case load_name:
      case store_name:
      case store_global:
      case store_attr:
      case load_method:
      case import_name:
      case import_from:
        argument = name(step.argument);
        break;
      case load_fast:
      case store_fast:
      case load_fast_check:
      case load_fast_borrow:
        argument = local(step.argument);
        break;
      default:
        if (step.target != 0) argument = "to " + std::to_string(step.target);
        break;
      }
      constexpr std::size_t k_shown = 120;
      out += row + ' ' + argument.substr(0, k_shown) + '\n';
    }
    frame_ = nullptr;
  }
  return out;
}

Decompiled decompile(Bytes input, const Object& object, int version) {
  return Decompiler(input, object, version != 0 ? version : guess_version(input, object)).run();
}

std::string disassemble(Bytes input, const Object& object, int version, std::size_t lines) {
  return Decompiler(input, object, version != 0 ? version : guess_version(input, object))
      .listing(lines);
}

} // namespace hubgate::marshal
