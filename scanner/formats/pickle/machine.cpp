#include "scanner/formats/pickle/machine.hpp"

#include "scanner/formats/pickle/walk.hpp"

#include <cmath>

namespace hubgate::pickle {
namespace {

constexpr std::size_t k_window = std::size_t{64} << 10;
/// Arguments up to here are executed from one contiguous view.
constexpr std::uint64_t k_long_argument = std::uint64_t{1} << 20;
constexpr std::uint64_t k_end_of_data = ~std::uint64_t{0};
/// A length beyond this is no truncated download but an attempt to make a loader allocate.
constexpr std::uint64_t k_absurd_length = std::uint64_t{1} << 42;

} // namespace

Machine::Machine(Source& source, Session& session, const Options& options, Observer* observer,
                 unsigned depth)
    : source_(source), session_(session), options_(options), observer_(observer), depth_(depth),
      shown_(options.reports == Options::Reports::all) {}

void Machine::start(std::uint64_t begin) {
  begin_ = position_ = begin;
  frame_end_ = 0;
  why_ = {};
  protocol_ = 0;
  has_protocol_ = did_harm_ = names_target_ = recursive_ = straddled_ = broken_memo_ =
      over_budget_ = false;
  result_ = 0;
  calls_ = 0;
  next_tick_ = 0;
  callable_states_ = 0;
  seen_.fill(0);
  stack_size_ = 0;
  mark_count_ = 0;
  heap_.reset();
  memo_.reset();
  names_.clear();
  name_index_.clear();
  pending_imports_.clear();
  texts_.clear();
  program_.reset();
  if (shown_ && session_.showing() && frames_ == Frames::linear)
    program_ = std::make_unique<Program>(*this, session_);
}

// Room for `room` pushes and as many marks: one opcode makes at most one of them.
void Machine::grow_stack(std::size_t room) {
  if (mark_capacity_ - mark_count_ < room) {
    mark_capacity_ = std::max(mark_count_ + room, mark_capacity_ + mark_capacity_ / 2);
    auto grown = std::make_unique_for_overwrite<std::uint64_t[]>(mark_capacity_);
    std::copy_n(marks_.get(), mark_count_, grown.get());
    marks_ = std::move(grown);
  }
  if (stack_capacity_ - stack_size_ >= room) return;
  const std::size_t capacity = std::max(stack_size_ + room, stack_capacity_ + stack_capacity_ / 2);
  auto grown = std::make_unique_for_overwrite<Word[]>(capacity);
  std::copy_n(stack_.get(), stack_size_, grown.get());
  stack_ = std::move(grown);
  stack_capacity_ = capacity;
}

// What lies before the next opcode is judged: say so.
void Machine::settle() {
  flush_imports();
  if (!quiet() && frames_ == Frames::linear && depth_ == 0) session_.release(position_);
}

Machine::Outcome Machine::run(std::uint64_t begin) {
  start(begin);
  for (;;) {
    if (position_ >= next_tick_) {
      next_tick_ = position_ + k_window;
      if (!session_.budget().time_left()) {
        why_ = "out of time";
        return finish(End::budget);
      }
      settle();
    }
    if (stack_size_ > k_max_stack || mark_count_ > k_max_stack) {
      why_ = "a stack deeper than any pickler makes it";
      return finish(End::budget);
    }
    Bytes window = source_.some(position_, k_window);
    if (window.empty()) return finish(End::truncated);
    if (frame_end_ != 0) {
      if (position_ >= frame_end_)
        frame_end_ = 0;
      else
        window = window.first(static_cast<std::size_t>(
            std::min<std::uint64_t>(window.size(), frame_end_ - position_)));
    }
    grow_stack(window.size() + 1);
    Step step = run_some(window);
    if (step == Step::need) step = run_long();
    switch (step) {
    case Step::more:
      break;
    case Step::stop:
      return finish(End::stop);
    case Step::fail:
      return finish(over_budget_ ? End::budget : End::broken);
    case Step::need:
      return finish(End::truncated);
    }
  }
}

// Waits until the source holds [from, upto), a piece at a time so that a slow sender is not held
// up.
bool Machine::wait_for(std::uint64_t from, std::uint64_t upto) {
  while (from < upto) {
    const Bytes piece =
        source_.some(from, static_cast<std::size_t>(std::min(k_long_argument, upto - from)));
    if (piece.empty()) return false;
    from += piece.size();
    // Inside a frame an argument may turn out to cross its end, and then all is read anew.
    if (frame_end_ == 0 && !quiet() && frames_ == Frames::linear && depth_ == 0)
      session_.release(from);
  }
  return true;
}

std::uint64_t Machine::find_newline(std::uint64_t from) {
  for (;;) {
    const Bytes piece = source_.some(from, k_window);
    if (piece.empty()) return k_end_of_data;
    const auto at = std::find(piece.begin(), piece.end(), std::uint8_t{'\n'});
    from += static_cast<std::uint64_t>(at - piece.begin());
    if (at != piece.end()) return from;
  }
}

Machine::Located Machine::locate(std::uint64_t at) {
  Located out;
  const Bytes head = source_.view(at, 9);
  if (head.empty()) {
    out.truncated = true;
    return out;
  }
  const Opcode& op = k_opcodes[head[0]];
  std::size_t field = 0;
  switch (op.arg) {
  case Arg::invalid:
  case Arg::none:
    out.next = at + 1;
    break;
  case Arg::fixed:
    out.next = at + 1 + op.size;
    out.truncated = head.size() < 1u + op.size;
    break;
  case Arg::data1:
    field = 1;
    break;
  case Arg::data4:
  case Arg::data4s:
    field = 4;
    break;
  case Arg::data8:
    field = 8;
    break;
  case Arg::line:
  case Arg::lines: {
    out.data = at + 1;
    std::uint64_t newline = find_newline(at + 1);
    if (newline != k_end_of_data && op.arg == Arg::lines) newline = find_newline(newline + 1);
    out.truncated = newline == k_end_of_data;
    out.length = out.truncated ? 0 : newline - out.data;
    out.next = newline + 1;
    break;
  }
  }
  if (field != 0) {
    if (head.size() < 1 + field) {
      out.truncated = true;
      return out;
    }
    out.length = little(head.data() + 1, field);
    out.data = at + 1 + field;
    if (out.length > k_absurd_length) {
      find(R::number_size, {at, 1 + field}, "a length of " + std::to_string(out.length) + " bytes");
      out.truncated = true;
      return out;
    }
    out.next = out.data + out.length;
    out.truncated = !wait_for(out.data, out.next);
  }
  out.ok = !out.truncated;
  return out;
}

// The opcode at position_ does not fit into its window: at the end of the window, of the frame or
// of the source, or because its argument is long.
Machine::Step Machine::run_long() {
  if (frame_end_ != 0 && frames_ == Frames::restart) return run_restarted();
  const Located op = locate(position_);
  if (!op.ok) return Step::need;
  if (frame_end_ != 0 && op.next > frame_end_) {
    report_straddle({position_, op.next - position_});
    frame_end_ = 0;
  }
  if (op.next - position_ <= k_long_argument) {
    const Bytes window = source_.view(position_, static_cast<std::size_t>(op.next - position_));
    if (window.size() != op.next - position_) return Step::need;
    grow_stack(window.size() + 1);
    return run_some(window);
  }
  const std::uint8_t code = source_.view(position_, 1)[0];
  seen_[code] = 1;
  const At at{position_, op.next - position_};
  Tag tag = Tag::text;
  switch (code) {
  case 'X':
  case 'T':
  case 0x8d:
  case 'S':
  case 'V':
    break;
  case 'B':
  case 0x8e:
  case 0x96:
    tag = Tag::bytes;
    break;
  case 0x8b:
    tag = Tag::integer;
    find(R::number_size, at, "an integer of " + std::to_string(op.length) + " bytes");
    break;
  default:
    return fail("a line longer than any name or number");
  }
  grow_stack(1);
  stack_[stack_size_++] = make_word(tag, position_);
  position_ = op.next;
  if (tag != Tag::integer) check_long(code, at);
  if (tracer_ != nullptr) tracer_->on_opcode(code, at.offset);
  return Step::more;
}

void Machine::report_straddle(At at) {
  if (straddled_) return;
  straddled_ = true;
  find(R::frame_straddle, at,
       "the argument ends " + std::to_string(at.offset + at.length - frame_end_) +
           " bytes behind the frame");
  // The other reading is not read in yet another way.
  if (quiet() || depth_ != 0 || frames_ == Frames::restart) return;
  // What the older readers run from here on: everything anew, under the other model.
  Machine other(source_, session_, options_, nullptr, depth_);
  other.frames_ = Frames::restart;
  other.report_from_ = at.offset;
  other.run(begin_);
  did_harm_ = did_harm_ || other.did_harm_;
}

// The old C unpickler (cpython 154848): each read that does not fit into the frame drops the rest
// of the frame and reads from behind it.
Machine::Step Machine::run_restarted() {
  const std::uint64_t start = position_;
  std::uint64_t end = frame_end_;
  std::uint64_t cursor = position_ + 1;
  std::string synthetic(1, static_cast<char>(source_.view(position_, 1)[0]));
  bool kept = true;
  const auto take = [&](std::uint64_t n) {
    if (n > end - std::min(cursor, end)) cursor = std::max(cursor, end);
    if (!wait_for(cursor, cursor + n)) return false;
    if (n <= k_window)
      synthetic += as_text(source_.view(cursor, static_cast<std::size_t>(n)));
    else
      kept = false;
    cursor += n;
    end = std::max(end, cursor);
    return true;
  };
  const auto take_line = [&] {
    std::uint64_t newline = find_newline(cursor);
    if (newline != k_end_of_data && newline >= end && cursor < end) {
      cursor = end;
      newline = find_newline(cursor);
    }
    return newline != k_end_of_data && take(newline + 1 - cursor);
  };
  const auto code = static_cast<std::uint8_t>(synthetic[0]);
  const Opcode& op = k_opcodes[code];
  bool whole = true;
  switch (op.arg) {
  case Arg::invalid:
  case Arg::none:
    break;
  case Arg::fixed:
    whole = take(op.size);
    break;
  case Arg::line:
    whole = take_line();
    break;
  case Arg::lines:
    whole = take_line() && take_line();
    break;
  case Arg::data1:
  case Arg::data4:
  case Arg::data4s:
  case Arg::data8: {
    const std::size_t field = op.arg == Arg::data1 ? 1 : op.arg == Arg::data8 ? 8 : 4;
    whole = take(field);
    if (!whole) break;
    const std::uint64_t length = little(as_bytes(synthetic).data() + 1, field);
    whole = length <= k_absurd_length && take(length);
    break;
  }
  }
  if (!whole) return Step::need;
  if (cursor >= frame_end_) frame_end_ = 0;
  grow_stack(synthetic.size() + 1);
  if (!kept) {
    stack_[stack_size_++] = make_word(Tag::unknown);
    position_ = cursor;
    return Step::more;
  }
  const std::size_t before = stack_size_;
  const Step step = run_some(as_bytes(synthetic));
  if (step == Step::more && position_ == start + synthetic.size()) position_ = cursor;
  // A literal names its place in the source, and this one has none.
  if (stack_size_ == before + 1 && tag_of(stack_[before]) >= Tag::integer &&
      tag_of(stack_[before]) <= Tag::bytes)
    stack_[before] = make_word(Tag::unknown);
  return step;
}

bool Machine::enter_frame(std::uint64_t length, At at) {
  if (length > k_absurd_length) {
    find(R::frame_structure, at, "a frame of " + std::to_string(length) + " bytes");
    frame_end_ = 0;
    return true;
  }
  if (frame_end_ > position_) {
    find(R::frame_structure, at, "a frame begins inside of another");
    if (position_ + length > frame_end_) {
      report_straddle({at.offset, position_ + length - at.offset});
      if (frames_ == Frames::restart) position_ = frame_end_;
    } else if (frames_ == Frames::restart) {
      return true;
    }
  }
  frame_end_ = position_ + length;
  return true;
}

void Machine::protocol_byte(std::uint8_t version, std::uint64_t offset) {
  const At at{offset, 2};
  if (offset != begin_)
    find(R::protocol, at, "PROTO " + std::to_string(version) + " in the middle of the pickle");
  else if (version > 5)
    find(R::protocol, at, "protocol " + std::to_string(version) + " does not exist");
  protocol_ = version;
  has_protocol_ = true;
}

// What shows only when the STOP is there.
void Machine::check_end() {
  const At stop{position_ - 1, 1};
  if (stack_size_ != 0 || mark_count_ != 0)
    find(R::residue, stop,
         std::to_string(stack_size_) + " values and " + std::to_string(mark_count_) +
             " marks are left");
  if (frame_end_ > position_ && source_.view(frame_end_ - 1, 1).empty())
    find(R::frame_structure, {begin_, position_ - begin_},
         "the frame claims bytes up to " + std::to_string(frame_end_) + ", behind the end");
  const int declared = has_protocol_ ? protocol_ : 1;
  for (std::size_t code = 0; code < seen_.size(); ++code) {
    if (seen_[code] == 0 || k_opcodes[code].protocol <= declared) continue;
    find(R::protocol, {begin_, 2},
         (has_protocol_ ? "the header says protocol " + std::to_string(protocol_)
                        : std::string("there is no protocol header")) +
             ", an opcode is of protocol " + std::to_string(k_opcodes[code].protocol));
    break;
  }
  const Tag tag = tag_of(result_);
  if ((tag == Tag::tuple || tag == Tag::list || tag == Tag::dict || tag == Tag::set) &&
      heap_.alive(payload_of(result_))) {
    const float weight = Heap::weight(*heap_.at(payload_of(result_)));
    if (weight > 1e8f && weight > 1000.0f * static_cast<float>(position_ - begin_))
      find(R::expansion, {begin_, position_ - begin_},
           std::to_string(position_ - begin_) + " bytes stand for more than 10^" +
               std::to_string(static_cast<int>(std::log10(weight))) + " values");
  }
}

Machine::Outcome Machine::finish(End how) {
  flush_imports();
  if (how == End::stop) {
    check_end();
    judge_configuration();
    if (observer_ != nullptr) observer_->on_stop(view(result_), position_);
    if (program_) program_->on_stop(result_, position_ - 1);
  } else if (did_harm_ && how != End::budget) {
    find(R::broken_after_call, {position_, 1},
         how == End::truncated ? std::string_view("the pickle ends without STOP") : why_);
  }
  if (program_) {
    const std::string_view why = how == End::stop        ? std::string_view()
                                 : how == End::truncated ? "there is no STOP"
                                                         : why_;
    disassemble(source_, session_, begin_, position_, program_->skipped(), why);
  }
  return {how, position_, why_};
}

} // namespace hubgate::pickle
