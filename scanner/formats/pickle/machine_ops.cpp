// The opcodes that are not on the fast path.
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace hubgate::pickle {
namespace {

constexpr std::size_t k_max_names = 65536;
constexpr std::size_t k_max_name = 1024;   ///< characters of a module or a name
constexpr std::size_t k_max_digits = 4300; ///< Python's own limit for decimal integers

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

} // namespace

Word Machine::keep_text(const std::uint8_t* data, std::size_t n) {
  const std::uint64_t at = texts_.size();
  texts_ += static_cast<char>(n);
  texts_.append(as_text({data, n}));
  names_target_ = names_target_ || is_target(data, n);
  return make_word(Tag::kept_text, at);
}

Flags Machine::flags_of(Word w) const {
  switch (tag_of(w)) {
  case Tag::tuple:
  case Tag::list:
  case Tag::dict:
  case Tag::set:
    return heap_.flags_at(payload_of(w));
  case Tag::global:
    return name_at(w).verdict.standing == Standing::allowed
               ? k_has_global
               : static_cast<Flags>(k_has_global | k_has_bad_global);
  case Tag::object:
    return static_cast<Flags>(k_has_object | heap_.flags_at(payload_of(w)));
  case Tag::persistent:
    return k_has_object;
  default:
    return 0;
  }
}

Word Machine::unset_slot(std::uint64_t index, At at) {
  if (!memo_.lossy()) {
    find(R::memo_slot, at, "GET " + std::to_string(index) + " of an empty slot");
    broken_memo_ = true;
  }
  return make_word(Tag::unknown);
}

// A function that calls none: all of the loop stays in registers.
[[gnu::noinline]] bool Machine::sum_alive(const Heap& heap, const Word* items, std::size_t n,
                                          Flags& flags, float& weight) {
  Flags all = 0;
  float more = 0;
  bool others = false;
  for (std::size_t i = 0; i < n; ++i) {
    const Word w = items[i];
    if ((w & k_not_plain) == 0) continue;
    const std::uint64_t position = payload_of(w);
    if (tag_of(w) <= Tag::set && heap.alive(position)) {
      const Word header = *heap.at(position);
      all |= Heap::flags(header);
      more += Heap::weight(header);
    } else {
      others = true;
    }
  }
  flags |= all;
  weight += more;
  return !others;
}

Flags Machine::sum(const Word* items, std::size_t n, float& weight) const {
  Flags flags = 0;
  if (sum_alive(heap_, items, n, flags, weight)) return flags;
  for (std::size_t i = 0; i < n; ++i)
    if ((items[i] & k_not_plain) != 0) flags |= flags_of(items[i]);
  return flags;
}

void Machine::note_recursion(Word target, const Word* items, std::size_t n) {
  if (recursive_) return;
  if (std::find(items, items + n, target) == items + n) return;
  recursive_ = true;
  find(R::recursive, {position_, 1}, "a container is put into itself");
}

bool Machine::is_quoted(std::string_view line) {
  // Python 3 takes the line as it is, Python 2 without trailing blanks.
  line = trimmed(line);
  return line.size() >= 2 && line.front() == line.back() &&
         (line.front() == '\'' || line.front() == '"');
}

bool Machine::memo_line(std::string_view line, std::uint64_t& index) {
  line = trimmed(line.substr(0, line.find('\0')));
  const bool negative = line.starts_with('-');
  if (negative || line.starts_with('+')) line.remove_prefix(1);
  // Single underscores between digits, as int() takes them.
  std::string digits;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '_')
      digits += line[i];
    else if (i == 0 || i + 1 == line.size() || line[i + 1] == '_')
      return false;
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  // Too large for any reader: each refuses it, but what lies behind is looked at.
  if (error == std::errc::result_out_of_range) index = ~std::uint64_t{0} - 1;
  return (error == std::errc() || error == std::errc::result_out_of_range) &&
         end == digits.data() + digits.size() && (!negative || index == 0);
}

bool Machine::check_number(std::uint8_t code, std::string_view line, At at) {
  if (const std::size_t nul = line.find('\0'); nul != std::string_view::npos) {
    find(R::literal_nul, at, line);
    line = line.substr(0, nul);
  }
  if (code == 'F') {
    const std::string copy(trimmed(line));
    char* end = nullptr;
    const bool hexadecimal = copy.find_first_of("xX") != std::string::npos;
    std::strtod(copy.c_str(), &end);
    if (!copy.empty() && *end == '\0' && !hexadecimal) return true;
    fail("a float that is no number");
    return false;
  }
  std::string_view body = line;
  if (code == 'L' && body.ends_with('L')) body.remove_suffix(1);
  body = trimmed(body);
  if (!body.empty() && (body.front() == '-' || body.front() == '+')) body.remove_prefix(1);
  std::string_view digits = "0123456789_";
  std::string_view figures = body;
  bool other_base = false;
  if (body.size() > 1 && body[0] == '0') {
    const char kind = static_cast<char>(body[1] | 0x20);
    if (kind == 'x' || kind == 'o' || kind == 'b') {
      digits = kind == 'x' ? "0123456789abcdefABCDEF_" : kind == 'o' ? "01234567_" : "01_";
      figures = body.substr(2);
      other_base = true;
    } else {
      // C reads octal here, pickletools decimal.
      other_base = body.find_first_not_of('0') != std::string_view::npos;
    }
  }
  if (figures.empty() || figures.find_first_not_of(digits) != std::string_view::npos ||
      (figures.front() == '_' && !other_base)) {
    fail("an integer that is no number");
    return false;
  }
  if (other_base) find(R::literal_base, at, line);
  if (code == 'I' && line.size() == 2 && (body == "0" || (body == "1" && line[0] != '-')))
    find(R::literal_boolean, at, line);
  if (figures.size() > k_max_digits)
    find(R::number_size, at, "an integer of " + std::to_string(figures.size()) + " digits");
  return true;
}

Word Machine::import(std::string_view module, std::string_view name, At at) {
  std::string key;
  key.reserve(module.size() + name.size() + 2);
  key += protocol_ < 3 ? '2' : '3';
  key += module;
  key += '\0';
  key += name;
  auto found = name_index_.find(key);
  if (found == name_index_.end()) {
    if (names_.size() >= k_max_names) {
      budget("more names than any pickle imports");
      gap(Reason::budget, at.offset, "more imported names than the limit");
      return make_word(Tag::unknown);
    }
    Name entry{.module = std::string(module.substr(0, k_max_name)),
               .name = std::string(name.substr(0, k_max_name)),
               .verdict = {},
               .well_formed = is_dotted_name(module) && is_dotted_name(name) &&
                              module.size() <= k_max_name && name.size() <= k_max_name};
    if (protocol_ < 3) map_python2(entry.module, entry.name);
    entry.verdict = judge_name(entry.module, entry.name);
    found = name_index_.emplace(std::move(key), static_cast<std::uint32_t>(names_.size())).first;
    names_.push_back(std::move(entry));
  }
  Name& entry = names_[found->second];
  if (!entry.imported) {
    entry.imported = true;
    if (!entry.well_formed)
      find(R::malformed_name, at, "import " + entry.module + " / " + entry.name);
    if (program_) program_->on_import(found->second, entry.module, entry.name, at.offset);
    if (entry.verdict.standing != Standing::allowed)
      pending_imports_.emplace_back(found->second, at.offset);
  }
  return make_word(Tag::global, at.offset, found->second);
}

void Machine::flush_imports() {
  for (const auto& [index, offset]: pending_imports_) {
    const Name& name = names_[index];
    if (name.reports != 0) continue; // its call says more
    const std::string full = name.module + "." + name.name;
    switch (name.verdict.standing) {
    case Standing::dangerous:
      did_harm_ = true;
      find(R::dangerous_import, {offset, 1}, full + ", which " + std::string(name.verdict.effect));
      break;
    case Standing::unknown_call:
      find(R::unknown_call, {offset, 1}, "import " + full);
      break;
    case Standing::unknown_class:
      find(R::unknown_class, {offset, 1}, "import " + full);
      break;
    case Standing::allowed:
      break;
    }
  }
  pending_imports_.clear();
}

Word Machine::stack_global(Word module, Word name, At at) {
  const auto is_text = [](Word w) {
    return tag_of(w) == Tag::text || tag_of(w) == Tag::kept_text || tag_of(w) == Tag::bytes;
  };
  if (is_text(module) && is_text(name)) {
    const auto module_text = text_of(module, std::size_t{1} << 16);
    const auto name_text = text_of(name, std::size_t{1} << 16);
    if (module_text && name_text) return import(*module_text, *name_text, at);
    find(R::malformed_name, at, "a name longer than 64 KiB, or that can't be read back");
    did_harm_ = true;
    return make_word(Tag::unknown);
  }
  if (tag_of(module) == Tag::unknown || tag_of(name) == Tag::unknown) {
    gap(memo_.lossy() ? Reason::budget : Reason::malformed, at.offset,
        "an imported name that the memo does not hold");
    return make_word(Tag::unknown);
  }
  did_harm_ = true;
  find(R::computed_name, at, "import " + render(module, 120) + " . " + render(name, 120));
  return make_word(Tag::unknown);
}

Word Machine::extension(std::int64_t code, At at) {
  did_harm_ = true;
  if (code <= 0)
    find(R::extension_code, at, "extension " + std::to_string(code));
  else
    find(R::extension, at, "copyreg extension " + std::to_string(code));
  return make_word(Tag::unknown);
}

Word Machine::persistent(Word id, At at) {
  const bool known = observer_ != nullptr && observer_->on_persistent_id(view(id), at.offset);
  if (!known && !is_torch_storage(id))
    find(R::persistent_id, at, "persistent_load(" + render(id, 200) + ")");
  const std::uint64_t position = heap_.allocate(2);
  heap_.at(position)[0] = Heap::header(k_has_object, 1, 1.0f);
  heap_.at(position)[1] = id;
  return make_word(Tag::persistent, position);
}

// APPEND(S), SETITEM(S) and ADDITEMS on something that is not the list, dict or set they are for.
void Machine::check_item_target(Word target, At at, bool mapping) {
  switch (tag_of(target)) {
  case Tag::object: {
    const Word callee = callee_of(target);
    if (tag_of(callee) != Tag::global) return; // a finding by itself
    const Name& name = name_at(callee);
    if (name.verdict.standing != Standing::allowed) return;
    switch (name.verdict.use) {
    case Use::factory:
    case Use::ordered_dict:
    case Use::object:
    case Use::estimator:
    case Use::reconstructor:
    case Use::newobj:
    case Use::module_class:
    case Use::getter:
      return;
    case Use::value:
      // set, list, dict, deque, bytearray … made by a call; tensors and arrays are not among them.
      if (!mapping || name.name == "dict") return;
      break;
    default:
      break;
    }
    break;
  }
  case Tag::unknown:
  case Tag::set:
    if (!mapping) return;
    break;
  case Tag::list:
  case Tag::dict:
  default:
    break;
  }
  if (tag_of(target) == Tag::unknown) return;
  find(R::item_target, at, "items are written into " + render(target, 200));
}

void Machine::show_items(Word target, const Word* items, std::size_t n, bool mapping) {
  program_->on_items(target, items, n, mapping, position_ - 1);
  touched_ = true;
}

Machine::Step Machine::build(Word object, Word state, At at) {
  if (program_) {
    program_->on_build(object, state, at.offset);
    touched_ = true;
  }
  switch (tag_of(object)) {
  case Tag::object: {
    const std::uint64_t position = payload_of(object);
    const Flags flags = flags_of(state);
    if (heap_.alive(position)) heap_.at(position)[4] = state;
    heap_.taint(position, flags);
    check_state(object, state, at);
    return after_build(object, at.offset + at.length);
  }
  case Tag::unknown:
    break;
  case Tag::global:
    did_harm_ = true;
    if (name_at(object).reports == 0) ++names_[aux_of(object)].reports;
    find(R::state_injection, at,
         name_of(object) + ".__dict__.update(" + render(state, 200) +
             "), on the class or function itself");
    break;
  default:
    find(R::state_injection, at, render(object, 80) + ".__setstate__(" + render(state, 200) + ")",
         {.severity = Severity::suspicious});
  }
  return Step::more;
}

Machine::Step Machine::after_build(Word object, std::uint64_t next) {
  const Word callee = callee_of(object);
  const bool wrapper = tag_of(callee) == Tag::global &&
                       name_at(callee).verdict.standing == Standing::allowed &&
                       name_at(callee).verdict.use == Use::array_wrapper;
  Inline what;
  std::optional<Inline> said;
  if (observer_ != nullptr) said = observer_->on_build(view(object), next);
  if (said) {
    what = *said;
    touched_ = true;
  } else if (wrapper) {
    what = joblib_array(view(object), source_, next);
    touched_ = true;
  }
  switch (what.what) {
  case Inline::What::opcodes:
    break;
  case Inline::What::raw:
    if (what.bytes > (std::uint64_t{1} << 60)) return fail("an array larger than any file");
    frame_end_ = 0;
    if (!wait_for(next, next + what.bytes)) {
      position_ = next;
      return Step::need;
    }
    position_ = next + what.bytes;
    if (program_) program_->skip(next, position_);
    break;
  case Inline::What::pickle: {
    constexpr unsigned k_max_depth = 8;
    if (depth_ >= k_max_depth) return budget("arrays of objects nested too deep");
    frame_end_ = 0;
    Machine inner(source_, session_, options_, observer_, depth_ + 1);
    const Outcome outcome = inner.run(next);
    did_harm_ = did_harm_ || inner.did_harm_;
    position_ = outcome.end;
    if (program_) program_->skip(next, position_);
    if (outcome.how == End::truncated) return Step::need;
    if (outcome.how != End::stop) {
      over_budget_ = outcome.how == End::budget;
      return fail(outcome.why);
    }
    break;
  }
  }
  return Step::more;
}

void Machine::check_long(std::uint8_t code, At at) {
  if (quiet()) return;
  std::uint64_t header = 1;
  std::uint64_t tail = 0;
  switch (k_opcodes[code].arg) {
  case Arg::data1:
    header = 2;
    break;
  case Arg::data4:
  case Arg::data4s:
    header = 5;
    break;
  case Arg::data8:
    header = 9;
    break;
  default: // a line: S has quotes
    header = code == 'S' ? 2 : 1;
    tail = code == 'S' ? 2 : 1;
  }
  if (at.length <= header + tail || code == 0x8a || code == 0x8b) return;
  const bool text = code != 'B' && code != 'C' && code != 0x8e && code != 0x96;
  scan_literal(at.offset, at.offset + header, at.length - header - tail, text);
}

} // namespace hubgate::pickle
