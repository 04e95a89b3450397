// .pyc: CPython's cache of a compiled module (Lib/importlib/_bootstrap_external.py): a magic
// number, flags, time or hash of the source, and a marshalled code object. See README.md.
#include "scanner/code/marshal/marshal.hpp"
#include "scanner/code/python/bytecode.hpp"
#include "scanner/code/python/tables.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 4> k_rules{{
    {"pyc-bytecode", "code", Severity::suspicious, Reach::load, "CWE-506", "AML.T0011.000",
     "CFG-021", "compiled Python: it runs instead of a source that nobody compared it with"},
    {"pyc-unchecked-hash", "code", Severity::malicious, Reach::load, "CWE-353", "AML.T0011.000",
     "CFG-021", "compiled Python that is marked never to be compared with its source"},
    {"pyc-dangerous-call", "dangerous-call", Severity::suspicious, Reach::load, "CWE-506",
     "AML.T0011.000", "CFG-021", "the compiled code calls something with a known effect"},
    {"pyc-flags", "structure", Severity::suspicious, Reach::load, "CWE-20", "AML.T0076", "CFG-021",
     "the header has flags that no Python writes"},
}};

const Rule& k_bytecode = k_rules[0];
const Rule& k_unchecked = k_rules[1];
const Rule& k_dangerous = k_rules[2];
const Rule& k_flags = k_rules[3];

constexpr std::size_t k_told = 5; ///< dangerous calls of one file

/// Magic numbers of a version's releases and of what led to it.
struct Magic {
  std::uint16_t first;
  std::uint16_t last;
  int version; ///< 0: the opcodes have to tell
  std::uint32_t header;
  marshal::Layout layout;
};

// Include/internal/pycore_magic_number.h, and before 3.14 the list in importlib.
constexpr std::array<Magic, 12> k_magics{{
    {62171, 62211, 207, 8, marshal::Layout::python27},
    {3300, 3351, 306, 12, marshal::Layout::python36},
    {3360, 3379, 306, 12, marshal::Layout::python36},
    {3390, 3394, 307, 16, marshal::Layout::python36},
    {3400, 3413, 308, 16, marshal::Layout::python38},
    {3420, 3425, 309, 16, marshal::Layout::python38},
    {3430, 3439, 310, 16, marshal::Layout::python38},
    {3450, 3495, 311, 16, marshal::Layout::python311},
    {3500, 3531, 312, 16, marshal::Layout::python311},
    {3550, 3571, 313, 16, marshal::Layout::python311},
    {3600, 3649, 314, 16, marshal::Layout::python311},
    {3650, 3699, 0, 16, marshal::Layout::python311},
}};

const Magic* find_magic(Bytes head) {
  Reader reader(head);
  const auto number = reader.le<std::uint16_t>();
  const auto end = reader.le<std::uint16_t>();
  if (!number || end != std::uint16_t{0x0a0d}) return nullptr;
  for (const Magic& magic: k_magics)
    if (*number >= magic.first && *number <= magic.last) return &magic;
  return nullptr;
}

Claim probe(const Probe& probe) {
  const Magic* const magic = find_magic(probe.head);
  if (magic == nullptr || probe.head.size() <= magic->header) return Claim::no;
  return (probe.head[magic->header] & 0x7f) == 'c' ? Claim::yes : Claim::no;
}

void header_flags(const Magic& magic, Bytes head, Session& session) {
  if (magic.header != 16) return;
  Reader reader(head);
  const std::uint32_t flags = reader.skip(4) ? reader.le<std::uint32_t>().value_or(0) : 0;
  if ((flags & ~3U) != 0)
    session.find(k_flags, 4, 4, "flags " + std::to_string(flags));
  else if (flags == 1)
    session.find(k_unchecked, 4, 4, "hash-based, and its check of the source is switched off");
}

// Prose (texts of documentation) is only looked through for commands; what has no blanks may be
// encoded, and bytes may be anything.
void constant(Session& session, std::string_view text, std::uint64_t offset) {
  const bool prose =
      text.find(' ') != std::string_view::npos && std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<std::uint8_t>(c) >= ' ' || c == '\n' || c == '\t';
      });
  if (!prose) return scan_text_value(session, "constant", text, offset);
  if (const auto hit = find_script(text))
    session.find(
        k_rule_embedded_script, offset, 0,
        std::string(hit->what) + ": " +
            std::string(text.substr(hit->offset, std::min<std::size_t>(hit->length, 200))));
}

Reading scan(Source& source, Session& session) {
  std::vector<std::uint8_t> head;
  {
    const Bytes view = source.view(0, 64);
    head.assign(view.begin(), view.end());
  }
  const Magic* const magic = find_magic(head);
  if (magic == nullptr || head.size() <= magic->header) return Reading::none;
  header_flags(*magic, head, session);

  const std::uint64_t size = source.wait_end();
  const std::uint64_t body = size - std::min<std::uint64_t>(size, magic->header);
  const Bytes view = source.view(
      magic->header, static_cast<std::size_t>(std::min<std::uint64_t>(body, marshal::k_max_bytes)));
  const std::vector<std::uint8_t> code(view.begin(), view.end());
  marshal::Object object = marshal::read(code, magic->layout);
  if (object.state == marshal::Object::State::malformed) object = marshal::read_any(code);
  const marshal::Listing listing = marshal::list(code, object, magic->version);

  python::Unit unit;
  unit.offset = magic->header;
  unit.title = "compiled code";
  const python::Summary summary =
      python::analyse_bytecode(code, object, unit, session, magic->version);
  const bool whole = object.state == marshal::Object::State::complete;
  if (!summary.complete && listing.version >= 306 && whole)
    session.gap(Reason::unsupported, Reach::load, magic->header,
                "compiled code that can't be followed in full");
  // What became source again in full was judged as any module is: that nobody could read it is no
  // reproach then.
  FindOptions as_source;
  const bool read = summary.complete && whole && magic->version != 0;
  if (read) as_source.severity = Severity::informational;
  session.find(k_bytecode, 0, size, listing.text, as_source);

  std::size_t told = 0;
  for (const marshal::Call& call: listing.calls) {
    if (call.text.starts_with("import ") || call.text.starts_with("from ")) {
      session.refer("import", magic->header + call.offset,
                    call.module == "builtins" ? call.name : call.module + "." + call.name);
      continue;
    }
    const std::string_view effect = marshal::effect_of(call.module, call.name);
    if (effect.empty() || ++told > k_told) continue;
    // Of code that was read in full only what runs something; the rest was followed.
    const std::string path = python::canonical(call.module + "." + call.name);
    const python::Callable* const known = python::find_callable(path);
    FindOptions told_as;
    if (read && (known == nullptr || !python::runs_something(known->op)))
      told_as.severity = Severity::informational;
    session.find(k_dangerous, magic->header + call.offset, 1, call.text + " " + std::string(effect),
                 told_as);
  }
  for (const std::string& text: listing.strings)
    constant(session, text, magic->header);

  switch (object.state) {
  case marshal::Object::State::complete:
    session.ends_at(magic->header + object.end);
    return Reading::valid;
  case marshal::Object::State::truncated:
    if (body > marshal::k_max_bytes)
      session.gap(Reason::budget, Reach::load, magic->header, "a code object longer than 64 MiB");
    else
      session.gap(Reason::truncated, Reach::load, magic->header + object.end,
                  "the code object is cut");
    break;
  case marshal::Object::State::malformed:
    session.gap(Reason::malformed, Reach::load, magic->header + object.end,
                "the code object can't be read");
    break;
  case marshal::Object::State::limit:
    session.gap(Reason::budget, Reach::load, magic->header + object.end,
                "the code object has too many values or is nested too deep");
    break;
  }
  return Reading::broken;
}

} // namespace

extern const Format format_pyc;
const Format format_pyc{.name = "pyc",
                        .family = "pyc",
                        .probe = probe,
                        .scan = scan,
                        .rules = k_rules,
                        .data_version = "pyc 3"};

} // namespace hubgate
