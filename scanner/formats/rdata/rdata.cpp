// R's serialized objects: .rds, .rda, .RData (R Internals, 1.8; src/main/serialize.c). The tree of
// objects is walked without being built. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/rdata/stream.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

using rdata::Stream;

constexpr std::uint32_t k_max_depth = 1000;
constexpr std::size_t k_max_references = 4'000'000;
constexpr std::size_t k_shown = 120;

constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 6> k_rules{{
    {"r-promise", "dangerous-call", Severity::malicious, Reach::load, "CWE-502", k_atlas, "RTF-001",
     "an expression that R evaluates as soon as the loaded value is touched (CVE-2024-27322)"},
    {"r-dangerous-call", "dangerous-call", Severity::suspicious, Reach::data, "CWE-502", k_atlas,
     "RTF-001",
     "code in the object starts processes, fetches from the network or removes files when it is "
     "called"},
    {"r-autorun", "code", Severity::suspicious, Reach::load, "CWE-502", k_atlas, "RTF-002",
     "a saved workspace brings a function under a name that R calls by itself"},
    {"r-active-binding", "code", Severity::suspicious, Reach::load, "CWE-502", k_atlas, "RTF-002",
     "reading a variable of the object runs a function"},
    {"r-finalizer", "code", Severity::suspicious, Reach::load, "CWE-502", k_atlas,
     "RTF-001 RTF-002",
     "a weak reference or a hook, which runs code when the object is loaded or dropped"},
    {"r-closure", "code", Severity::informational, Reach::data, "", k_atlas, "RTF-001",
     "the object holds functions: models do, and whoever calls them runs them"},
}};

const Rule& k_promise = k_rules[0];
const Rule& k_call = k_rules[1];
const Rule& k_autorun = k_rules[2];
const Rule& k_active = k_rules[3];
const Rule& k_finalizer = k_rules[4];
const Rule& k_closure = k_rules[5];

enum Type : std::uint32_t {
  k_sym = 1,
  k_list = 2,
  k_clo = 3,
  k_env = 4,
  k_prom = 5,
  k_lang = 6,
  k_special = 7,
  k_builtin = 8,
  k_char = 9,
  k_lgl = 10,
  k_int = 13,
  k_real = 14,
  k_cplx = 15,
  k_str = 16,
  k_dot = 17,
  k_vec = 19,
  k_expr = 20,
  k_bcode = 21,
  k_extptr = 22,
  k_weakref = 23,
  k_raw = 24,
  k_s4 = 25,
  k_altrep = 238,
  k_attrlist = 239,
  k_attrlang = 240,
  k_baseenv = 241,
  k_emptyenv = 242,
  k_bcrepref = 243,
  k_bcrepdef = 244,
  k_persist = 247,
  k_package = 248,
  k_namespace = 249,
  k_unbound = 252,
  k_nil = 254,
  k_ref = 255,
};

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_dangerous(std::string_view name) {
  constexpr std::array<std::string_view, 26> k_names{"system",
                                                     "system2",
                                                     "shell",
                                                     "shell.exec",
                                                     "pipe",
                                                     "socketConnection",
                                                     "download.file",
                                                     "download.packages",
                                                     "install.packages",
                                                     "dyn.load",
                                                     "unlink",
                                                     "file.remove",
                                                     "source",
                                                     "sys.source",
                                                     "url",
                                                     "fifo",
                                                     "make.socket",
                                                     "serverSocket",
                                                     "Sys.chmod",
                                                     "file.rename",
                                                     "curl_download",
                                                     "curl_fetch_memory",
                                                     "GET",
                                                     "url.show",
                                                     "browseURL",
                                                     "run_process"};
  return one_of(k_names, name);
}

bool takes_function(std::string_view name) {
  constexpr std::array<std::string_view, 9> k_names{"do.call",     "get",    "match.fun",
                                                    "getFunction", "lapply", "sapply",
                                                    "Map",         "Reduce", "getExportedValue"};
  return one_of(k_names, name);
}

// Names that R calls by itself, or that everybody calls: in .GlobalEnv they stand before base's.
bool runs_by_itself(std::string_view name) {
  constexpr std::array<std::string_view, 20> k_names{
      ".First",     ".Last",     ".First.sys", ".Last.sys", ".onLoad", ".onAttach", ".onUnload",
      ".First.lib", ".Last.lib", "library",    "require",   "print",   "source",    "readRDS",
      "load",       "c",         "q",          "quit",      "data",    "predict"};
  return one_of(k_names, name);
}

// What is remembered of an item that was read.
struct Item {
  std::uint32_t type = k_nil;
  std::string text; ///< of a symbol its name, of a string itself, of a call how it looks; bounded
  bool danger = false; ///< a dangerous call stands in it
};

class Scan {
public:
  Scan(Source& source, Session& session, std::uint64_t begin, Stream::Encoding encoding,
       bool workspace)
      : session_(session), size_(source.wait_end()), in_(source, begin, size_, encoding),
        workspace_(workspace) {}
  Reading run();

private:
  bool item(Item& out);
  bool item_of(std::uint32_t flags, Item& out);
  bool pairs(std::uint32_t flags, Item& out);
  bool closure_or_promise(std::uint32_t flags, Item& out, std::uint64_t at);
  bool vector(std::uint32_t type, Item& out);
  bool strings();
  bool bytecode(Item& out);
  bool bytecode_list(std::int32_t type, Item& out);
  bool attributes(std::uint32_t flags, Item& out);
  bool environment(Item& out);
  std::optional<std::uint64_t> length();
  void remember(std::string name) { references_.push_back(std::move(name)); }
  bool fail(Reason reason, std::string_view what) {
    if (!failed_) session_.gap(reason, Reach::load, in_.position(), what);
    failed_ = true;
    return false;
  }
  bool ended() {
    return fail(Reason::truncated, "the bytes end inside an object, or a length is wrong");
  }

  Session& session_;
  std::uint64_t size_;
  Stream in_;
  bool workspace_;
  std::uint32_t depth_ = 0;
  std::uint32_t in_environment_ = 0;
  std::uint32_t in_promise_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t closures_ = 0;
  bool failed_ = false;
  std::vector<std::string> references_; ///< names of symbols, "" for the rest
};

std::optional<std::uint64_t> Scan::length() {
  const auto first = in_.integer();
  if (!first) return std::nullopt;
  if (*first >= 0) return static_cast<std::uint64_t>(*first);
  if (*first != -1) return std::nullopt;
  const auto high = in_.integer();
  const auto low = in_.integer();
  if (!high || !low || *high < 0 || *high > 65536) return std::nullopt;
  return (static_cast<std::uint64_t>(*high) << 32) | static_cast<std::uint32_t>(*low);
}

bool Scan::attributes(std::uint32_t flags, Item& out) {
  if ((flags & 0x200) == 0) return true;
  Item attribute;
  if (!item(attribute)) return false;
  out.danger = out.danger || attribute.danger;
  return true;
}

// 0, count, then strings with flags.
bool Scan::strings() {
  const auto zero = in_.integer();
  const auto count = in_.integer();
  if (!zero || !count || *count < 0) return ended();
  for (std::int32_t i = 0; i < *count; ++i) {
    Item ignored;
    if (!item(ignored)) return false;
  }
  return true;
}

bool Scan::vector(std::uint32_t type, Item& out) {
  const auto count = length();
  if (!count) return ended();
  bool whole = true;
  switch (type) {
  case k_lgl:
  case k_int:
    whole = in_.skip_integers(*count);
    break;
  case k_real:
    whole = in_.skip_doubles(*count);
    break;
  case k_cplx:
    whole = *count < (std::uint64_t{1} << 60) && in_.skip_doubles(*count * 2);
    break;
  case k_raw:
    whole = in_.skip_bytes(*count);
    break;
  default:
    for (std::uint64_t i = 0; i < *count; ++i) {
      Item inner;
      if (!item(inner)) return false;
      if (i == 0 && type == k_str) out.text = inner.text;
      out.danger = out.danger || inner.danger;
    }
  }
  return whole || ended();
}

// A pairlist or a call: attributes, tag and value of each cell, the next cell; without recursion
// along the list.
bool Scan::pairs(std::uint32_t flags, Item& out) {
  const std::uint32_t kind = flags & 0xff;
  const std::uint64_t at = in_.position();
  const bool top = workspace_ && depth_ == 1;
  constexpr std::uint32_t k_active_bit = 1U << 15;
  Item function;
  for (std::size_t cell = 0;; ++cell) {
    if (!attributes(flags, out)) return false;
    Item tag;
    if ((flags & 0x400) != 0 && !item(tag)) return false;
    const std::uint64_t value_at = in_.position();
    Item value;
    if (!item(value)) return false;
    out.danger = out.danger || value.danger;
    if (((flags >> 12) & k_active_bit) != 0 && kind == k_list)
      session_.find(k_active, value_at, 0, "reading " + tag.text + " runs a function");
    if (top && value.type == k_clo && runs_by_itself(tag.text))
      session_.find(k_autorun, value_at, 0, "the workspace defines " + tag.text);
    if (kind == k_lang) {
      if (cell == 0) {
        function = value;
        out.text = value.text + "(";
        // base::system(…) is a call of a call.
        if (function.type == k_lang && function.text.ends_with(")")) {
          const std::size_t last = function.text.rfind(", ");
          if (last != std::string::npos &&
              (function.text.starts_with("::(") || function.text.starts_with(":::(")))
            function.text = function.text.substr(last + 2, function.text.size() - last - 3);
        }
        if (is_dangerous(function.text)) out.danger = true;
      } else {
        if (out.text.size() < k_shown) out.text += (cell == 1 ? "" : ", ") + value.text;
        if (takes_function(function.text) && value.type == k_str && is_dangerous(value.text))
          out.danger = true;
        if (takes_function(function.text) && value.type == k_sym && is_dangerous(value.text))
          out.danger = true;
      }
    }
    const auto next = in_.integer();
    if (!next) return ended();
    flags = static_cast<std::uint32_t>(*next);
    const std::uint32_t type = flags & 0xff;
    if (type == k_nil) break;
    if (type != k_list && type != k_lang && type != k_dot) {
      // A pair whose second half is no list: the state of deferred strings.
      Item rest;
      if (!item_of(flags, rest)) return false;
      out.danger = out.danger || rest.danger;
      break;
    }
    if (++steps_ % 65536 == 0 && !session_.budget().time_left())
      return fail(Reason::budget, "out of time");
  }
  if (kind == k_lang) {
    if (out.text.size() > k_shown) out.text.resize(k_shown);
    out.text += ")";
    if (out.danger && in_promise_ == 0 && is_dangerous(function.text))
      session_.find(k_call, at, 0, out.text);
    if (out.danger && in_promise_ == 0 && takes_function(function.text))
      session_.find(k_call, at, 0, out.text);
  }
  return true;
}

// attributes, environment, then formals and body, or value and expression.
bool Scan::closure_or_promise(std::uint32_t flags, Item& out, std::uint64_t at) {
  const bool promise = (flags & 0xff) == k_prom;
  Item environment;
  Item first;
  Item second;
  if (!attributes(flags, out)) return false;
  if ((flags & 0x400) != 0 && !item(environment)) return false;
  if (promise) ++in_promise_;
  const bool whole = item(first) && item(second);
  if (promise) --in_promise_;
  if (!whole) return false;
  out.danger = first.danger || second.danger;
  if (!promise) {
    ++closures_;
    return true;
  }
  const bool pending = first.type == k_unbound;
  const bool code = second.type == k_lang || second.type == k_bcode || second.type == k_sym;
  // Environments of closures keep the arguments that nobody has looked at yet; a value that is
  // a promise by itself is written by nobody.
  if (pending && code && (in_environment_ == 0 || out.danger))
    session_.find(k_promise, at, 0, second.text.empty() ? "compiled code" : second.text);
  return true;
}

bool Scan::environment(Item& out) {
  if (!in_.integer()) return ended(); // locked
  remember("");
  ++in_environment_;
  bool whole = true;
  for (int part = 0; part < 4 && whole; ++part) { // enclosure, frame, hash table, attributes
    Item inner;
    whole = item(inner);
    out.danger = out.danger || inner.danger;
  }
  --in_environment_;
  return whole;
}

bool Scan::bytecode_list(std::int32_t type, Item& out) {
  if (++depth_ > k_max_depth) return fail(Reason::budget, "nested too deep");
  bool whole = true;
  for (;;) {
    if (type == k_bcrepref) {
      whole = in_.integer().has_value() || ended();
      break;
    }
    std::uint32_t kind = static_cast<std::uint32_t>(type);
    if (kind == k_bcrepdef) {
      const auto position = in_.integer();
      const auto inner = in_.integer();
      if (!position || !inner) {
        whole = ended();
        break;
      }
      kind = static_cast<std::uint32_t>(*inner);
    }
    if (kind != k_lang && kind != k_list && kind != k_attrlang && kind != k_attrlist) {
      whole = item(out);
      break;
    }
    Item part;
    if (kind == k_attrlang || kind == k_attrlist) whole = item(part);
    whole = whole && item(part); // tag
    const auto first = whole ? in_.integer() : std::nullopt;
    Item value;
    whole = whole && (first ? bytecode_list(*first, value) : ended());
    if (!whole) break;
    out.danger = out.danger || value.danger ||
                 (kind == k_lang && value.type == k_sym && is_dangerous(value.text));
    if (out.text.size() < k_shown) out.text += (out.text.empty() ? "" : " ") + value.text;
    const auto next = in_.integer();
    if (!next) {
      whole = ended();
      break;
    }
    type = *next;
    if (++steps_ % 65536 == 0 && !session_.budget().time_left()) {
      whole = fail(Reason::budget, "out of time");
      break;
    }
  }
  --depth_;
  return whole;
}

// The code, then its constants, among which are the expressions that it was compiled from.
bool Scan::bytecode(Item& out) {
  if (++depth_ > k_max_depth) return fail(Reason::budget, "nested too deep");
  Item code;
  bool whole = item(code);
  const auto count = whole ? in_.integer() : std::nullopt;
  if (whole && (!count || *count < 0)) whole = ended();
  for (std::int32_t i = 0; whole && i < *count; ++i) {
    const auto type = in_.integer();
    if (!type) return ended();
    Item constant;
    switch (static_cast<std::uint32_t>(*type)) {
    case k_bcode:
      whole = bytecode(constant);
      break;
    case k_lang:
    case k_list:
    case k_bcrepdef:
    case k_bcrepref:
    case k_attrlang:
    case k_attrlist:
      whole = bytecode_list(*type, constant);
      break;
    default:
      whole = item(constant);
    }
    if (constant.danger && !out.danger && in_promise_ == 0)
      session_.find(k_call, in_.position(), 0, constant.text);
    out.danger = out.danger || constant.danger;
    if (out.text.empty()) out.text = constant.text;
  }
  --depth_;
  return whole;
}

bool Scan::item(Item& out) {
  if (failed_) return false;
  const auto flags = in_.integer();
  return flags ? item_of(static_cast<std::uint32_t>(*flags), out) : ended();
}

bool Scan::item_of(std::uint32_t flags, Item& out) {
  if (depth_ >= k_max_depth) return fail(Reason::budget, "nested too deep");
  if (++steps_ % 65536 == 0 && !session_.budget().time_left())
    return fail(Reason::budget, "out of time");
  if (references_.size() > k_max_references) return fail(Reason::budget, "too many names");
  const std::uint64_t at = in_.position();
  const std::uint32_t type = flags & 0xff;
  out.type = type;
  ++depth_;
  bool whole = true;
  bool late_attributes = false;
  switch (type) {
  case k_nil:
  case k_unbound:
  case 251: // missing argument
  case 250: // base namespace
  case 253: // global environment
  case k_emptyenv:
  case k_baseenv:
    break;
  case k_ref: {
    std::uint32_t index = flags >> 8;
    if (index == 0) {
      const auto wide = in_.integer();
      if (!wide) whole = ended();
      index = static_cast<std::uint32_t>(wide.value_or(0));
    }
    if (whole && (index == 0 || index > references_.size()))
      whole = fail(Reason::malformed, "a reference to nothing");
    if (whole && !references_[index - 1].empty()) {
      out.type = k_sym;
      out.text = references_[index - 1];
    }
    break;
  }
  case k_sym: {
    Item name;
    whole = item(name);
    out.text = name.text;
    remember(name.text);
    break;
  }
  case k_char: {
    const auto length = in_.integer();
    if (!length || *length < -1) {
      whole = ended();
      break;
    }
    const auto text = in_.string(*length < 0 ? 0 : static_cast<std::uint64_t>(*length), k_shown);
    if (!text) {
      whole = ended();
      break;
    }
    out.text = *text;
    late_attributes = true;
    break;
  }
  case k_list:
  case k_lang:
  case k_dot:
    whole = pairs(flags, out);
    break;
  case k_clo:
  case k_prom:
    whole = closure_or_promise(flags, out, at);
    break;
  case k_env:
    whole = environment(out);
    break;
  case k_special:
  case k_builtin: {
    const auto length = in_.integer();
    const auto name = length && *length >= 0
                          ? in_.string(static_cast<std::uint64_t>(*length), k_shown)
                          : std::nullopt;
    if (!name) whole = ended();
    out.text = name.value_or("");
    break;
  }
  case k_lgl:
  case k_int:
  case k_real:
  case k_cplx:
  case k_str:
  case k_vec:
  case k_expr:
  case k_raw:
    whole = vector(type, out);
    late_attributes = true;
    break;
  case k_bcode:
    whole = in_.integer() ? bytecode(out) : ended();
    late_attributes = true;
    break;
  case k_extptr: {
    remember("");
    Item part;
    whole = item(part) && item(part);
    late_attributes = true;
    break;
  }
  case k_weakref:
    remember("");
    session_.find(k_finalizer, at, 0, "a weak reference");
    late_attributes = true;
    break;
  case k_s4:
    late_attributes = true;
    break;
  case k_altrep: {
    Item part;
    whole = item(part) && item(part) && item(part);
    break;
  }
  case k_namespace:
  case k_package:
    whole = strings();
    remember("");
    break;
  case k_persist:
    whole = strings();
    remember("");
    session_.find(k_finalizer, at, 0, "a persistent name, which a hook of the loader resolves");
    break;
  default:
    whole = fail(Reason::malformed, "an object of type " + std::to_string(type));
  }
  whole = whole && (!late_attributes || attributes(flags, out));
  --depth_;
  return whole;
}

Reading Scan::run() {
  const auto version = in_.integer();
  const auto writer = in_.integer();
  const auto reader = in_.integer();
  if (!version || !writer || !reader || *version < 2 || *version > 3) {
    session_.gap(Reason::unsupported, Reach::load, 0,
                 "a version of R's serialization that is not known");
    return Reading::broken;
  }
  if (*version == 3) {
    const auto length = in_.integer();
    if (!length || *length < 0 || *length > 256 ||
        !in_.string(static_cast<std::uint64_t>(*length), 256)) {
      ended();
      return Reading::broken;
    }
  }
  Item root;
  const bool whole = item(root);
  if (closures_ > 0) session_.find(k_closure, 0, 0, std::to_string(closures_) + " functions");
  if (!whole) return Reading::broken;
  session_.ends_at(in_.position());
  session_.release(in_.position() - std::min(in_.position(), k_held_tail));
  return Reading::valid;
}

struct Head {
  std::uint64_t begin;
  Stream::Encoding encoding;
  bool workspace;
};

std::optional<Head> head_of(Bytes head) {
  std::string_view text = as_text(head);
  Head out{0, Stream::Encoding::xdr, false};
  if (text.size() > 7 && text.starts_with("RD") && (text[3] == '2' || text[3] == '3') &&
      text[4] == '\n' && (text[2] == 'X' || text[2] == 'A' || text[2] == 'B')) {
    out.workspace = true;
    out.begin = 5;
    text.remove_prefix(5);
  }
  out.begin += 2;
  if (text.size() < 8) return std::nullopt;
  const auto small = [](char c) { return c == 2 || c == 3; };
  if (text.starts_with("X\n") && text.substr(2, 3) == std::string_view("\0\0\0", 3) &&
      small(text[5]))
    return out;
  if (text.starts_with("B\n") && small(text[2]) &&
      text.substr(3, 3) == std::string_view("\0\0\0", 3)) {
    out.encoding = Stream::Encoding::native;
    return out;
  }
  if (text.starts_with("A\n") && (text[2] == '2' || text[2] == '3') && text[3] == '\n' &&
      text[4] >= '0' && text[4] <= '9') {
    out.encoding = Stream::Encoding::text;
    return out;
  }
  return std::nullopt;
}

Claim probe(const Probe& probe) {
  return head_of(probe.head) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const auto head = head_of(source.view(0, 32));
  if (!head) return Reading::none;
  return Scan(source, session, head->begin, head->encoding, head->workspace).run();
}

} // namespace

extern const Format format_rdata;
const Format format_rdata{
    .name = "rdata", .family = "rdata", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
