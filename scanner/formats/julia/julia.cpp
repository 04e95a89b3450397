// Files of Julia's standard library Serialization (.jls, and models that are saved with it): one
// value, written by tags. Values of plain data are walked; code is found; a value whose layout only
// its type tells can't be read without Julia. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/session.hpp"

#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 2> k_rules{{
    {"julia-code", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000", "RTF-016",
     "Julia code: loading the file defines functions, expressions or types"},
    {"julia-object", "unknown-class", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-016", "an object of a type that is made without its constructor being asked"},
}};

const Rule& k_code = k_rules[0];
const Rule& k_object = k_rules[1];

// Places in the table TAGS of Serialization.jl; since version 0.7 the first sixty have kept theirs.
enum Tag : std::uint8_t {
  k_symbol = 1,
  k_int8 = 2,
  k_char = 15,
  k_datatype = 16,
  k_typename = 19,
  k_tuple = 20,
  k_array = 21,
  k_expr = 22,
  k_line = 23,
  k_codeinfo = 27,
  k_methodinstance = 30,
  k_module = 31,
  k_task = 32,
  k_string = 33,
  k_svec = 34,
  k_method = 35,
  k_globalref = 36,
  k_undefined = 41,
  k_backref = 42,
  k_long_backref = 43,
  k_short_backref = 44,
  k_long_tuple = 45,
  k_long_symbol = 46,
  k_long_expr = 47,
  k_long_string = 48,
  k_short_int64 = 49,
  k_full_datatype = 50,
  k_full_globalref = 54,
  k_header = 55,
  k_shared = 57,
  k_first_value = 68, ///< from here on a tag is a whole value
};

constexpr std::array<std::uint8_t, 16> k_widths{0, 0, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 2, 4, 8, 4};

constexpr std::uint32_t k_max_depth = 200;

std::string_view code_name(std::uint8_t tag) {
  switch (tag) {
  case k_typename:
    return "a type of its own";
  case k_expr:
  case k_long_expr:
    return "an expression";
  case k_codeinfo:
    return "compiled code";
  case k_methodinstance:
  case k_method:
    return "a method";
  case k_task:
    return "a task";
  case k_globalref:
  case k_full_globalref:
    return "a reference to a global";
  case k_full_datatype:
    return "a type with its definition";
  default:
    return {};
  }
}

Claim probe(const Probe& probe) {
  return probe.head.size() > 8 && starts_with(probe.head, "7JL") && probe.head[3] < 64 &&
                 probe.head[5] == 0 && probe.head[6] == 0 && probe.head[7] == 0
             ? Claim::yes
             : Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), cursor_(source, 8) {}
  Reading run();

private:
  enum class Step { good, code, unknown, cut, deep };
  Step value(std::uint32_t depth);
  Step items(std::uint64_t count, std::uint32_t depth);
  Step array(std::uint32_t depth);
  Step skip(std::uint64_t n) {
    if (!cursor_.skip(n) || (n != 0 && source_.view(cursor_.position() - 1, 1).empty()))
      return Step::cut;
    return Step::good;
  }

  Source& source_;
  Session& session_;
  Cursor cursor_;
  std::uint64_t at_ = 0;
  std::uint8_t tag_ = 0;
};

Scan::Step Scan::items(std::uint64_t count, std::uint32_t depth) {
  for (std::uint64_t i = 0; i < count; ++i)
    if (const Step step = value(depth + 1); step != Step::good) return step;
  return Step::good;
}

// An element type (none for bytes), a length, and the data: numbers as they are, else values.
Scan::Step Scan::array(std::uint32_t depth) {
  const auto first = cursor_.le<std::uint8_t>();
  if (!first) return Step::cut;
  std::uint64_t width = 1;
  if (*first == 0) {
    const auto type = cursor_.le<std::uint8_t>();
    if (!type) return Step::cut;
    if (*type < k_int8 || *type > k_char) return Step::unknown;
    width = k_widths[*type];
  } else if (*first == k_datatype) {
    return Step::unknown;
  } else {
    cursor_.seek(cursor_.position() - 1);
  }
  const auto tag = cursor_.le<std::uint8_t>();
  if (!tag) return Step::cut;
  std::uint64_t length = 0;
  constexpr unsigned k_zero64 = 255 - 33 + 1; // small integers are tags of their own
  if (*tag == k_short_int64)
    length = cursor_.le<std::uint32_t>().value_or(0);
  else if (*tag == 8)
    length = cursor_.le<std::uint64_t>().value_or(0);
  else if (*tag >= k_zero64)
    length = *tag - k_zero64;
  else
    return depth > k_max_depth ? Step::deep : Step::unknown;
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(length, width, &bytes)) return Step::cut;
  return skip(bytes);
}

Scan::Step Scan::value(std::uint32_t depth) {
  if (depth > k_max_depth) return Step::deep;
  at_ = cursor_.position();
  const auto tag = cursor_.le<std::uint8_t>();
  if (!tag) return Step::cut;
  tag_ = *tag;
  if (*tag >= k_first_value) return Step::good;
  if (!code_name(*tag).empty()) return Step::code;
  if (*tag >= k_int8 && *tag <= k_char) return skip(k_widths[*tag]);
  const auto counted = [&](auto number, auto then) {
    return number ? then(static_cast<std::uint64_t>(*number)) : Step::cut;
  };
  const auto over = [&](std::uint64_t n) { return skip(n); };
  const auto each = [&](std::uint64_t n) { return items(n, depth); };
  switch (*tag) {
  case 0: // a tag that is meant as itself: a type
    return skip(1);
  case k_symbol:
  case k_string:
    return counted(cursor_.le<std::uint8_t>(), over);
  case k_long_symbol:
    return counted(cursor_.le<std::uint32_t>(), over);
  case k_long_string:
    return counted(cursor_.le<std::uint64_t>(), over);
  case k_tuple:
    return counted(cursor_.le<std::uint8_t>(), each);
  case k_long_tuple:
  case k_svec:
    return counted(cursor_.le<std::uint32_t>(), each);
  case k_array:
    return array(depth);
  case k_shared:
    return value(depth + 1);
  case k_undefined:
    return Step::good;
  case k_short_backref:
    return skip(2);
  case k_backref:
  case k_short_int64:
    return skip(4);
  case k_long_backref:
    return skip(8);
  default:
    return Step::unknown;
  }
}

Reading Scan::run() {
  switch (value(0)) {
  case Step::good:
    session_.ends_at(cursor_.position());
    return Reading::valid;
  case Step::code:
    session_.find(k_code, at_, 1, code_name(tag_));
    session_.gap(Reason::unsupported, Reach::load, at_, "what follows Julia code is not read");
    return Reading::valid;
  case Step::unknown:
    session_.find(k_object, at_, 1, "tag " + std::to_string(tag_));
    session_.gap(Reason::unsupported, Reach::load, at_,
                 "a Julia object whose layout only its type tells");
    return Reading::valid;
  case Step::deep:
    session_.gap(Reason::budget, Reach::load, at_, "nested too deep");
    return Reading::broken;
  case Step::cut:
    break;
  }
  session_.gap(Reason::truncated, Reach::load, at_, "the value is cut");
  return Reading::broken;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_julia;
const Format format_julia{"julia", "julia", probe, scan, k_rules};

} // namespace hubgate
