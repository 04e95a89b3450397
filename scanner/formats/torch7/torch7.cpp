// Torch7's files (File.lua, File.c of torch7): Lua values with a type in front, binary or as text.
// A function is its bytecode (string.dump), which Lua runs without any verification.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string>

namespace hubgate {
namespace {

constexpr std::uint32_t k_max_depth = 400;
constexpr std::size_t k_max_name = 256;
constexpr std::size_t k_told = 20;

constexpr std::array<Rule, 2> k_rules{{
    {"torch7-function", "dangerous-call", Severity::malicious, Reach::load, "CWE-502",
     "AML.T0011.000", "RTF-010",
     "a Lua function is stored as bytecode, which torch.load hands to an interpreter that trusts "
     "it"},
    {"torch7-class", "unknown-class", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-010", "an object of a class that is not of torch or nn: its own code reads it"},
}};

const Rule& k_function = k_rules[0];
const Rule& k_class = k_rules[1];

enum Type : std::int32_t {
  k_nil = 0,
  k_number,
  k_string,
  k_table,
  k_object,
  k_boolean,
  k_function_type,
  k_old_recursive,
  k_recursive
};

// Bytes of an element of torch.XStorage and torch.XTensor.
std::uint64_t element_size(std::string_view name) {
  struct Sized {
    std::string_view name;
    std::uint64_t size;
  };
  constexpr std::array<Sized, 8> k_sizes{{{"Byte", 1},
                                          {"Char", 1},
                                          {"Short", 2},
                                          {"Int", 4},
                                          {"Long", 8},
                                          {"Float", 4},
                                          {"Double", 8},
                                          {"Half", 2}}};
  if (name == "Cuda") return 4;
  if (name.starts_with("Cuda")) name.remove_prefix(4);
  for (const Sized& sized: k_sizes)
    if (sized.name == name) return sized.size;
  return 0;
}

class Scan {
public:
  Scan(Source& source, Session& session, bool text)
      : source_(source), session_(session), size_(source.wait_end()), in_(source, 0, size_),
        text_(text) {}
  Reading run();

private:
  bool value();
  bool table();
  bool object();
  bool function(std::int32_t type);
  std::optional<std::int64_t> integer(bool wide);
  std::optional<std::string> string(std::size_t keep);
  bool elements(std::uint64_t count, std::uint64_t each);
  bool skip_word();
  std::optional<std::string> word();
  bool fresh(std::int64_t index) { return seen_.insert(index).second; }

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  Cursor in_;
  bool text_;
  std::uint32_t depth_ = 0;
  std::uint64_t values_ = 0;
  std::size_t told_ = 0;
  bool functions_ = false;
  bool budget_ = false;
  std::set<std::int64_t> seen_;
};

std::optional<std::string> Scan::word() {
  std::string out;
  for (;;) {
    const auto byte = in_.take(1);
    if (!byte) return out.empty() ? std::nullopt : std::optional(out);
    const std::uint8_t c = (*byte)[0];
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      if (!out.empty()) return out;
      continue;
    }
    out += static_cast<char>(c);
    if (out.size() > 64) return std::nullopt;
  }
}

bool Scan::skip_word() {
  return word().has_value();
}

std::optional<std::int64_t> Scan::integer(bool wide) {
  if (!text_) {
    if (wide) return in_.le<std::int64_t>();
    const auto value = in_.le<std::int32_t>();
    return value ? std::optional<std::int64_t>(*value) : std::nullopt;
  }
  const auto text = word();
  std::int64_t value = 0;
  if (!text) return std::nullopt;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), value);
  return result.ptr == text->data() + text->size() ? std::optional(value) : std::nullopt;
}

std::optional<std::string> Scan::string(std::size_t keep) {
  const auto length = integer(false);
  if (!length || *length < 0) return std::nullopt;
  const auto size = static_cast<std::uint64_t>(*length);
  // word() has taken the line end behind the length.
  std::string out;
  const std::uint64_t begin = in_.position();
  if (size > size_ - std::min(size_, begin)) return std::nullopt;
  const auto piece = in_.take(static_cast<std::size_t>(std::min<std::uint64_t>(size, keep)));
  if (!piece) return std::nullopt;
  out = as_text(*piece);
  if (!in_.skip(size - piece->size())) return std::nullopt;
  if (size >= 64) {
    SubSource inner(source_, begin, size);
    session_.embedded("string@" + std::to_string(begin), inner);
  }
  return out;
}

bool Scan::elements(std::uint64_t count, std::uint64_t each) {
  if (!text_) return each != 0 && count <= size_ / each && in_.skip(count * each);
  for (std::uint64_t i = 0; i < count; ++i)
    if (!skip_word()) return false;
  return true;
}

bool Scan::function(std::int32_t type) {
  const std::uint64_t at = in_.position();
  const auto index = integer(false);
  if (!index) return false;
  if (!fresh(*index)) return true;
  const auto code = string(16);
  if (!code) return false;
  functions_ = true;
  if (++told_ <= k_told)
    session_.find(k_function, at, 0,
                  code->starts_with("\x1bLJ")    ? "LuaJIT bytecode"
                  : code->starts_with("\x1bLua") ? "Lua bytecode"
                                                 : "a function of type " + std::to_string(type));
  return value(); // its upvalues
}

bool Scan::table() {
  const auto index = integer(false);
  if (!index) return false;
  if (!fresh(*index)) return true;
  const auto size = integer(false);
  if (!size || *size < 0 || static_cast<std::uint64_t>(*size) > size_) return false;
  for (std::int64_t i = 0; i < *size; ++i)
    if (!value() || !value()) return false;
  return true;
}

// Index, "V 1", name of the class, and what the class writes.
bool Scan::object() {
  const auto index = integer(false);
  if (!index) return false;
  if (!fresh(*index)) return true;
  const std::uint64_t at = in_.position();
  auto name = string(k_max_name);
  if (!name) return false;
  if (name->starts_with("V ")) name = string(k_max_name);
  if (!name) return false;
  const std::string_view full = *name;
  if (full.starts_with("torch.") && full.ends_with("Storage")) {
    const auto count = integer(true);
    return count && *count >= 0 &&
           elements(static_cast<std::uint64_t>(*count),
                    element_size(full.substr(6, full.size() - 13)));
  }
  if (full.starts_with("torch.") && full.ends_with("Tensor") &&
      element_size(full.substr(6, full.size() - 12)) != 0) {
    const auto dims = integer(false);
    if (!dims || *dims < 0 || *dims > 64) return false;
    for (std::int64_t i = 0; i < 2 * *dims + 1; ++i)
      if (!integer(true)) return false;
    return value();
  }
  constexpr std::array<std::string_view, 12> k_known{"nn.",   "torch.", "cudnn.", "nngraph.",
                                                     "nnlr.", "inn.",   "cunn.",  "optnet.",
                                                     "tds.",  "graph.", "dpnn.",  "rnn."};
  if (std::none_of(k_known.begin(), k_known.end(),
                   [&](std::string_view prefix) { return full.starts_with(prefix); }) &&
      ++told_ <= k_told)
    session_.find(k_class, at, full.size(), full);
  return value();
}

bool Scan::value() {
  if (++depth_ > k_max_depth || (++values_ % 16384 == 0 && !session_.budget().time_left())) {
    budget_ = true;
    return false;
  }
  const auto type = integer(false);
  bool whole = type.has_value();
  if (whole) {
    switch (*type) {
    case k_nil:
      break;
    case k_number:
      whole = text_ ? skip_word() : in_.skip(8);
      break;
    case k_string:
      whole = string(k_max_name).has_value();
      break;
    case k_table:
      whole = table();
      break;
    case k_object:
      whole = object();
      break;
    case k_boolean:
      whole = integer(false).has_value();
      break;
    case k_function_type:
    case k_old_recursive:
    case k_recursive:
      whole = function(static_cast<std::int32_t>(*type));
      break;
    default:
      whole = false;
    }
  }
  --depth_;
  return whole;
}

Reading Scan::run() {
  const bool whole = value();
  if (!whole) {
    // Four small numbers are no proof: it takes an object with its class, or a function.
    const bool known = functions_ || source_.view(0, 1).empty() ||
                       starts_with(source_.view(text_ ? 6 : 12, 2), "V ");
    if (!known && values_ < 16) return Reading::none;
    session_.gap(budget_ ? Reason::budget : Reason::malformed, Reach::load, in_.position(),
                 "a Torch7 value that can't be read to its end");
    return Reading::broken;
  }
  session_.ends_at(in_.position());
  session_.release(in_.position() - std::min(in_.position(), k_held_tail));
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  if (head.starts_with("4\n1\n3\nV 1\n")) return Claim::yes;
  if (head.starts_with("6\n1\n") || head.starts_with("8\n1\n") || head.starts_with("3\n1\n"))
    return Claim::maybe;
  if (probe.head.size() < 13) return Claim::no;
  Reader in(probe.head);
  const auto type = in.le<std::int32_t>().value_or(0);
  const auto index = in.le<std::int32_t>().value_or(0);
  const auto next = in.le<std::int32_t>().value_or(0);
  if (index != 1) return Claim::no;
  if (type == k_object) return next == 3 && head.substr(12, 2) == "V " ? Claim::yes : Claim::no;
  if (type == k_function_type || type == k_old_recursive || type == k_recursive)
    return head.substr(12, 1) == "\x1b" ? Claim::yes : Claim::no;
  if (type != k_table || next < 1 || next > 10'000'000) return Claim::no;
  const auto key = in.le<std::int32_t>().value_or(0);
  return key == k_number || key == k_string ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const Bytes head = source.view(0, 2);
  const bool text = head.size() == 2 && head[0] >= '0' && head[0] <= '9' && head[1] == '\n';
  return Scan(source, session, text).run();
}

} // namespace

extern const Format format_torch7;
const Format format_torch7{
    .name = "torch7", .family = "torch7", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
