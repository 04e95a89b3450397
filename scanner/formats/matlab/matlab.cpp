// MATLAB's .mat files of level 5 ("MAT-File Format", MathWorks); level 7.3 is HDF5,
// level 4 an asset. See
// README.md.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/cursor.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 2> k_rules{{
    {"matlab-object", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-015", "a MATLAB function or object whose code runs when the file is loaded"},
    {"matlab-data-object", "code", Severity::informational, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-015", "an object of a MATLAB class that only holds data"},
}};

const Rule& k_object = k_rules[0];
const Rule& k_data_object = k_rules[1];

constexpr std::size_t k_header = 128;
constexpr std::uint32_t k_max_depth = 64;
constexpr std::uint64_t k_max_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t k_max_text = std::uint64_t{1} << 20;
constexpr std::size_t k_told = 20;

enum DataType : std::uint32_t {
  k_int8 = 1,
  k_uint8 = 2,
  k_matrix = 14,
  k_compressed = 15,
  k_utf8 = 16,
};

enum ArrayClass : std::uint8_t {
  k_cell = 1,
  k_struct = 2,
  k_class = 3,
  k_char = 4,
  k_class_int8 = 8,
  k_class_uint8 = 9,
  k_function = 16,
  k_opaque = 17,
};

constexpr std::string_view k_data_classes =
    " string table timetable datetime duration categorical calendarDuration containers.Map "
    "dictionary FileWrapper__ ";

bool is_level5(Bytes head) {
  if (head.size() < k_header) return false;
  const bool little = head[126] == 'I' && head[127] == 'M' && head[125] == 1;
  const bool big = head[126] == 'M' && head[127] == 'I' && head[124] == 1;
  return (little || big) && starts_with(head, "MATLAB");
}

Claim probe(const Probe& probe) {
  return is_level5(probe.head) ? Claim::yes : Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  struct Tag {
    std::uint32_t type = 0;
    std::uint64_t size = 0;
    std::uint64_t begin = 0;
    std::uint64_t next = 0; ///< behind the padding
  };

  std::uint32_t number(std::uint32_t raw) const { return big_ ? __builtin_bswap32(raw) : raw; }
  std::optional<Tag> tag(Cursor& cursor, std::uint64_t end) const;
  void elements(Source& source, std::uint64_t begin, std::uint64_t end, std::uint32_t depth);
  void matrix(Source& source, std::uint64_t begin, std::uint64_t end, std::uint32_t depth);
  void opaque(Source& source, Cursor& cursor, std::uint64_t end);
  void compressed(Source& source, const Tag& tag, std::uint32_t depth);
  std::string text(Source& source, const Tag& tag) const;
  void find(std::uint64_t offset, const std::string& what);
  void bad(Reason reason, std::uint64_t offset, std::string_view what) {
    broken_ = true;
    session_.gap(reason, Reach::load, offset, what);
  }

  Source& source_;
  Session& session_;
  bool big_ = false;
  bool broken_ = false;
  std::size_t told_ = 0;
};

void Scan::find(std::uint64_t offset, const std::string& what) {
  if (++told_ > k_told) return;
  const std::string klass = what.substr(what.rfind(' ') + 1);
  const bool data = k_data_classes.find(" " + klass + " ") != std::string_view::npos;
  session_.find(data ? k_data_object : k_object, offset, 0, what);
}

std::optional<Scan::Tag> Scan::tag(Cursor& cursor, std::uint64_t end) const {
  const std::uint64_t at = cursor.position();
  const auto first = cursor.le<std::uint32_t>();
  const auto second = cursor.le<std::uint32_t>();
  if (!first || !second) return std::nullopt;
  Tag out;
  const std::uint32_t type = number(*first);
  if (type >> 16 != 0) { // small: the data stand in the tag
    out.type = type & 0xffff;
    out.size = type >> 16;
    out.begin = at + 4;
    out.next = at + 8;
    if (out.size > 4) return std::nullopt;
  } else {
    out.type = type;
    out.size = number(*second);
    out.begin = at + 8;
    const std::uint64_t padding = type == k_compressed ? 0 : (8 - out.size % 8) % 8;
    out.next = out.begin + out.size + padding;
  }
  if (out.begin + out.size > end) return std::nullopt;
  return out;
}

std::string Scan::text(Source& source, const Tag& tag) const {
  constexpr std::uint64_t k_longest = 256;
  const Bytes bytes =
      source.view(tag.begin, static_cast<std::size_t>(std::min(tag.size, k_longest)));
  return std::string(as_text(bytes));
}

void Scan::compressed(Source& source, const Tag& tag, std::uint32_t depth) {
  DecodedSource inner(decode_zlib(source, tag.begin, tag.begin + tag.size), session_.budget());
  elements(inner, 0, ~std::uint64_t{0}, depth + 1);
  if (inner.fault() != Fault::none)
    bad(inner.fault() == Fault::budget ? Reason::budget : Reason::malformed, tag.begin,
        "a compressed element can't be decoded");
}

// Names of the variable, of the system that the object belongs to, and of its class.
void Scan::opaque(Source& source, Cursor& cursor, std::uint64_t end) {
  std::string names;
  for (int i = 0; i < 3; ++i) {
    const auto part = tag(cursor, end);
    if (!part || (part->type != k_int8 && part->type != k_utf8 && part->type != k_uint8)) break;
    if (!names.empty()) names += ' ';
    names += text(source, *part);
    cursor.seek(part->next);
  }
  find(cursor.position(), "opaque object " + names);
}

void Scan::matrix(Source& source, std::uint64_t begin, std::uint64_t end, std::uint32_t depth) {
  Cursor cursor(source, begin, end);
  const auto flags = tag(cursor, end);
  if (!flags) {
    if (begin != end) bad(Reason::malformed, begin, "an array without flags");
    return;
  }
  const auto word = [&]() -> std::uint32_t {
    cursor.seek(flags->begin);
    return number(cursor.le<std::uint32_t>().value_or(0));
  }();
  const auto klass = static_cast<std::uint8_t>(word & 0xff);
  cursor.seek(flags->next);
  if (klass == k_opaque) {
    opaque(source, cursor, end);
    elements(source, cursor.position(), end, depth + 1);
    return;
  }
  const auto dimensions = tag(cursor, end);
  if (!dimensions) return bad(Reason::malformed, begin, "an array without dimensions");
  cursor.seek(dimensions->next);
  const auto name = tag(cursor, end);
  if (!name) return bad(Reason::malformed, begin, "an array without a name");
  cursor.seek(name->next);
  if (klass == k_function) find(begin, "function handle " + text(source, *name));
  if (klass == k_class) {
    const auto class_name = tag(cursor, end);
    if (!class_name) return bad(Reason::malformed, begin, "an object without a class");
    find(begin, "object of class " + text(source, *class_name));
    cursor.seek(class_name->next);
  }
  if (klass == k_struct || klass == k_class) {
    for (int i = 0; i < 2; ++i) { // the length of field names, and the names
      const auto part = tag(cursor, end);
      if (!part) return bad(Reason::malformed, begin, "a structure without fields");
      cursor.seek(part->next);
    }
  }
  if (klass == k_cell || klass == k_struct || klass == k_class || klass == k_function)
    return elements(source, cursor.position(), end, depth + 1);
  const auto data = tag(cursor, end);
  if (!data || data->size < 16) return;
  const bool bytes = klass == k_class_int8 || klass == k_class_uint8;
  if (klass == k_char && data->size <= k_max_text && data->type != 4) {
    const Bytes view = source.view(data->begin, static_cast<std::size_t>(data->size));
    const std::string copy(as_text(view));
    scan_text_value(session_, "text " + text(source, *name), copy, data->begin);
  } else if (bytes && data->size <= k_max_bytes) {
    SubSource inner(source, data->begin, data->size);
    session_.embedded("bytes " + text(source, *name), inner);
  }
}

void Scan::elements(Source& source, std::uint64_t begin, std::uint64_t end, std::uint32_t depth) {
  if (depth > k_max_depth) return bad(Reason::budget, begin, "arrays nested too deep");
  std::uint64_t at = begin;
  while (at < end) {
    if (source.view(at, 1).empty()) return; // the end of what was decoded
    Cursor cursor(source, at, end);
    const auto found = tag(cursor, end);
    if (!found) return bad(Reason::malformed, at, "an element is longer than what it lies in");
    if (found->size != 0 && source.view(found->begin + found->size - 1, 1).empty())
      return bad(Reason::truncated, at, "an element is cut");
    if (found->type == k_matrix)
      matrix(source, found->begin, found->begin + found->size, depth);
    else if (found->type == k_compressed && depth == 0)
      compressed(source, *found, depth);
    else if (found->type == 0 || found->type > 18)
      return bad(Reason::malformed, at, "an element of an unknown type");
    at = found->next;
  }
}

Reading Scan::run() {
  const Bytes head = source_.view(0, k_header);
  big_ = head[126] == 'M';
  const std::uint64_t size = source_.wait_end();
  elements(source_, k_header, size, 0);
  return broken_ ? Reading::broken : Reading::valid;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_matlab;
const Format format_matlab{"matlab", "matlab", probe, scan, k_rules};

} // namespace hubgate
