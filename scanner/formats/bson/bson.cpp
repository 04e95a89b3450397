// BSON (bsonspec.org 1.1), and what BSON.jl makes of it: Julia values, types and functions as
// documents with a "tag". See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 3> k_rules{{
    {"bson-julia-code", "code", Severity::suspicious, Reach::load, "CWE-502", "AML.T0011.000",
     "RTF-016", "a Julia function or piece of code that loading the file defines"},
    {"bson-julia-name", "dangerous-import", Severity::suspicious, Reach::load, "CWE-502",
     "AML.T0011.000", "RTF-016", "a name that loading the file looks up runs code or commands"},
    {"bson-javascript", "script", Severity::suspicious, Reach::data, "CWE-94", "AML.T0018.002",
     "RTF-016", "a document holds JavaScript for whoever evaluates it"},
}};

const Rule& k_code = k_rules[0];
const Rule& k_name = k_rules[1];
const Rule& k_javascript = k_rules[2];

constexpr std::uint32_t k_max_depth = 200;
constexpr std::size_t k_told = 20;
constexpr std::uint64_t k_max_bytes = std::uint64_t{16} << 20;

// Types that are code, and functions that run some.
constexpr std::string_view k_code_types =
    " Core.CodeInfo Core.Method Core.MethodInstance Core.TypeName Core.Expr Core.MethodTable "
    "Core.CodeInstance Core.OpaqueClosure Core.GlobalRef Core.QuoteNode Expr Core.Task ";
constexpr std::string_view k_names =
    " Base.run Base.Cmd Base.eval Core.eval Base.include Base.include_string Base.pipeline "
    "Base.open "
    "Base.read Base.write Base.rm Base.download Base.invokelatest Base.Libc.Libdl.dlopen "
    "Libdl.dlopen Core.Intrinsics.llvmcall Base.unsafe_load Base.unsafe_store! Base.spawn "
    "Base.exit "
    "Core._apply Base.ENV Meta.parse Base.Meta.parse Base.shell_split Downloads.download ";

bool has(std::string_view words, const std::string& word) {
  return !word.empty() && words.find(" " + word + " ") != std::string_view::npos;
}

Claim probe(const Probe& probe) {
  Reader reader(probe.head);
  const auto size = reader.le<std::uint32_t>();
  const auto type = reader.le<std::uint8_t>();
  if (!size || !type || *size < 5 || *size > 0x7fffffff) return Claim::no;
  if (probe.size_known && *size > probe.size) return Claim::no;
  if (*size == 5) return Claim::no; // an empty document: five bytes that anything may begin with
  if (!((*type >= 1 && *type <= 19) || *type == 0x7f || *type == 0xff)) return Claim::no;
  // A key follows: text to its zero.
  for (int i = 0; i < 256; ++i) {
    const auto c = reader.le<std::uint8_t>();
    if (!c) return Claim::no;
    if (*c == 0) return Claim::maybe;
    if (*c < 0x20 || *c == 0x7f) return Claim::no;
  }
  return Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  struct Document {
    std::uint64_t end;
    std::string tag;  ///< value of "tag"
    std::string path; ///< texts of the array "name" or "path", joined by dots
    std::uint64_t begin;
    bool array;
    bool names; ///< an array whose texts belong to the document around it
  };

  bool document(std::uint64_t at);
  bool element(Cursor& cursor, std::vector<Document>& open);
  void close(const Document& document);
  std::optional<std::string> key(Cursor& cursor);

  void find(const Rule& rule, std::uint64_t at, std::string_view what) {
    if (++told_ <= k_told) findings_.push_back({&rule, at, std::string(what)});
  }

  struct Found {
    const Rule* rule;
    std::uint64_t at;
    std::string what;
  };
  Source& source_;
  Session& session_;
  std::vector<Found> findings_; ///< told when the whole has turned out to be BSON
  std::vector<std::pair<std::uint64_t, std::uint64_t>> binaries_;
  std::size_t told_ = 0;
  std::uint64_t end_ = 0;
  bool too_deep_ = false;
};

std::optional<std::string> Scan::key(Cursor& cursor) {
  std::string out;
  constexpr std::size_t k_longest = 1024;
  while (out.size() < k_longest) {
    const auto c = cursor.le<std::uint8_t>();
    if (!c) return std::nullopt;
    if (*c == 0) return out;
    out += static_cast<char>(*c);
  }
  return std::nullopt;
}

void Scan::close(const Document& document) {
  if (document.tag == "jl_anonymous")
    find(k_code, document.begin, "an anonymous function");
  else if (document.tag == "datatype" && has(k_code_types, document.path))
    find(k_code, document.begin, document.path);
  else if ((document.tag == "ref" || document.tag == "datatype") && has(k_names, document.path))
    find(k_name, document.begin, document.path);
}

bool Scan::element(Cursor& cursor, std::vector<Document>& open) {
  const std::uint64_t at = cursor.position();
  const auto type = cursor.le<std::uint8_t>();
  if (!type) return false;
  if (*type == 0) {
    if (cursor.position() != open.back().end) return false;
    const Document done = std::move(open.back());
    open.pop_back();
    close(done);
    if (done.names && !open.empty()) {
      open.back().path = done.path;
      if (open.back().path.starts_with("Main.")) open.back().path.erase(0, 5);
    }
    return true;
  }
  const auto name = key(cursor);
  if (!name) return false;
  const std::uint64_t room = open.back().end - std::min(open.back().end, cursor.position());
  const auto skip = [&](std::uint64_t n) { return n <= room && cursor.skip(n); };
  const auto sized_text = [&]() -> std::optional<std::string> {
    const auto size = cursor.le<std::uint32_t>();
    if (!size || *size == 0 || *size > room) return std::nullopt;
    constexpr std::uint32_t k_longest = 4096;
    const auto text = cursor.take(std::min(*size, k_longest));
    if (!text) return std::nullopt;
    std::string out(as_text(*text));
    if (*size <= k_longest) {
      if (out.back() != 0) return std::nullopt;
      out.pop_back();
    }
    if (*size > k_longest && !cursor.skip(*size - k_longest)) return std::nullopt;
    return out;
  };
  switch (*type) {
  case 1:
  case 9:
  case 17:
  case 18:
    return skip(8);
  case 2:
  case 14: {
    const auto text = sized_text();
    if (!text) return false;
    Document& document = open.back();
    if (*name == "tag" && !document.array) document.tag = *text;
    if (document.array && document.path.size() < 400)
      document.path += (document.path.empty() ? "" : ".") + *text;
    return true;
  }
  case 3:
  case 4: {
    const std::uint64_t begin = cursor.position();
    const auto size = cursor.le<std::uint32_t>();
    if (!size || *size < 5 || *size > room) return false;
    if (open.size() >= k_max_depth) {
      too_deep_ = true;
      cursor.seek(begin);
      return skip(*size);
    }
    const bool names = *type == 4 && (*name == "name" || *name == "path");
    open.push_back({begin + *size, {}, {}, begin, *type == 4, names});
    return true;
  }
  case 5: {
    const auto size = cursor.le<std::uint32_t>();
    if (!size || *size > room || !cursor.skip(1)) return false;
    if (*size >= 16 && *size <= k_max_bytes) binaries_.emplace_back(cursor.position(), *size);
    return skip(*size);
  }
  case 6:
  case 10:
  case 0x7f:
  case 0xff:
    return true;
  case 7:
    return skip(12);
  case 8: {
    const auto value = cursor.le<std::uint8_t>();
    return value && *value <= 1;
  }
  case 11:
    return key(cursor) && key(cursor);
  case 12:
    return sized_text() && skip(12);
  case 13: {
    const auto text = sized_text();
    if (text) find(k_javascript, at, *text);
    return text.has_value();
  }
  case 15: {
    const auto size = cursor.le<std::uint32_t>();
    if (!size || *size < 14 || *size > room) return false;
    find(k_javascript, at, "code with a scope");
    return skip(*size - 4);
  }
  case 16:
    return skip(4);
  case 19:
    return skip(16);
  default:
    return false;
  }
}

bool Scan::document(std::uint64_t at) {
  const auto size = Cursor(source_, at).le<std::uint32_t>();
  if (!size || *size < 5 || *size > end_ - at) return false;
  Cursor cursor(source_, at + 4, at + *size);
  std::vector<Document> open{{at + *size, {}, {}, at, false, false}};
  while (!open.empty())
    if (!element(cursor, open)) return false;
  return cursor.position() == at + *size;
}

Reading Scan::run() {
  end_ = source_.wait_end();
  // A dump is documents in a row. Without a magic number only what reads to its end is BSON.
  for (std::uint64_t at = 0; at < end_;) {
    if (!document(at)) return Reading::none;
    Cursor cursor(source_, at);
    at += cursor.le<std::uint32_t>().value_or(5);
  }
  for (const Found& found: findings_)
    session_.find(*found.rule, found.at, 0, found.what);
  constexpr std::size_t k_binaries = 10'000;
  for (std::size_t i = 0; i < std::min(binaries_.size(), k_binaries); ++i) {
    SubSource inner(source_, binaries_[i].first, binaries_[i].second);
    session_.embedded("binary@" + std::to_string(binaries_[i].first), inner);
  }
  if (too_deep_ || binaries_.size() > k_binaries)
    session_.gap(Reason::budget, Reach::load, 0, "nested too deep, or too many binaries");
  return Reading::valid;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_bson;
const Format format_bson{"bson", "bson", probe, scan, k_rules};

} // namespace hubgate
