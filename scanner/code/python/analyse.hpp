#pragma once
// What a unit of Python would do: constants are folded, names resolved through imports, attributes
// and getattr, values followed from sources to sinks through the functions and classes of the unit,
// behaviours recognised over what was resolved. Nothing is executed, imported or opened. Strings
// that would reach exec() are units of their own. For any format that carries source code.
#include "scanner/core/session.hpp"

#include <string_view>

namespace hubgate::python {

enum class UnitKind {
  source,  ///< a file that somebody imports or runs
  weights, ///< came out of a model or another thing that should be data: its loader runs it
  cell,    ///< a cell of a notebook: runs when a person says so
};

struct Unit {
  UnitKind kind = UnitKind::source;
  std::uint64_t offset = 0; ///< of the text in the stream that is being scanned
  /// Whether byte n of the text is byte offset + n of the stream. If not (the text was decoded),
  /// every finding points to `offset`.
  bool verbatim = true;
  /// For Finding::condition: under which names of the object the text is run at all.
  std::string_view condition = {};
  /// What the text is, for evidence: "" or for instance "cell 3".
  std::string_view title = {};
  /// Names the imported modules and entry points (Session::refer, informational findings).
  bool describe = false;
  /// How often code was recovered out of code to come here.
  unsigned nesting = 0;
};

struct Summary {
  bool python = false;   ///< the text is Python, or mostly
  bool complete = false; ///< all of it was analysed; otherwise a gap was reported
  std::uint32_t errors = 0;
  std::uint32_t calls = 0; ///< 0: it can do nothing at all
};

/// Analyses `text` (any superset of ASCII) and reports findings and gaps to the session. Time is
/// linear in the text, memory about 20 bytes a byte of it; what exceeds the limits is a gap of
/// reason `budget`.
Summary analyse_python(std::string_view text, const Unit& unit, Session& session);

/// The rules of these findings, for Format::rules of whoever reports them.
std::span<const Rule> python_rules();

/// Names under which a text is run as Python: for Unit::condition and the like.
inline constexpr std::string_view k_python_names = "*.py|*.pyw|*.pyt|*.wsgi";

} // namespace hubgate::python
