#pragma once
// What the scanner says of an object. These are the words of the design: a finding is one thing
// seen, a status says whether every byte was accounted for, a report (an "analysis" once it is
// stored) is both. A report knows no file name: a finding that depends on one says so in
// `condition`, and the policy sees the report under a path.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

enum class Severity { informational, suspicious, malicious };

/// load: whoever opens the object runs it. data: it lies in the bytes and runs only if something
/// else takes it out.
enum class Reach { load, data };

/// Why bytes were not accounted for.
enum class Reason {
  truncated,     ///< the bytes end before the format does
  budget,        ///< a limit of Limits was spent
  crash,         ///< the worker died
  timeout,       ///< the worker overran its time
  out_of_memory, ///< the worker overran its memory
  encrypted,     ///< a key would be needed
  unsupported,   ///< a codec, version or container that hubgate does not read
  malformed,     ///< claims a format and can't be read as it
  opaque,        ///< no format claims it and the generic scan found nothing
  unreadable,    ///< the source failed, or the bytes were given up before they were wanted
};

struct Finding {
  std::string rule;  ///< stable id, kebab-case, e.g. "pickle-dangerous-call"
  std::string klass; ///< "class" in every output: what policies match, e.g. "unknown-call"
  Severity severity = Severity::informational;
  Reach reach = Reach::data;
  std::string where; ///< path inside the containers, "" = the object itself; parts joined by '!'
  std::uint64_t offset = 0; ///< first byte, in the innermost container named by `where`
  std::uint64_t length = 0; ///< bytes
  std::string evidence;     ///< already escaped, masked and bounded (see evidence.hpp)
  std::string cwe;          ///< "CWE-502" or ""
  std::string atlas;        ///< MITRE ATLAS technique id or ""
  std::string techniques;   ///< ids of the technique catalogue, space-separated, or ""
  /// Globs, separated by '|', one of which the file name (the object's, or that of a container or
  /// member in `where`) must match for the finding to hold; "" = always.
  std::string condition;
};

/// One reason why the status is inconclusive.
struct Gap {
  Reason reason = Reason::opaque;
  Reach reach = Reach::data; ///< load: a loader would execute what could not be read
  std::string where;
  std::uint64_t offset = 0;
  std::string detail;         ///< one line for a person, escaped
  std::string condition = {}; ///< as in Finding
};

/// References that a report lists at most; more of them are a gap.
inline constexpr std::size_t k_max_references = 8192;

/// Something that the object names outside of itself: what the tree verdict follows. Never opened
/// by the scanner. Kinds (kebab-case) are listed in scanner/README.md.
struct Reference {
  std::string kind;   ///< "code", "file", "repository", "import"…
  std::string target; ///< as the object writes it, escaped and bounded
  std::string where;  ///< as in Finding
  std::uint64_t offset = 0;
  std::string condition; ///< as in Finding
};

/// A line of what the scan made of the bytes, for who asked to have it explained
/// (Limits::listings): opcodes, recovered code, the parts of a container. No part of a report.
struct Listing {
  std::string kind;  ///< kebab-case, one of those in scanner/README.md: "disassembly", "code"…
  std::string where; ///< as in Finding
  std::uint64_t offset = 0;
  std::string text; ///< one line, leading blanks kept, escaped, masked and bounded
};

struct Report {
  std::string format;     ///< the format that accounts for the first byte, "" = none
  std::uint64_t size = 0; ///< bytes that the scanner saw
  std::vector<Finding> findings;
  std::vector<Gap> gaps;
  std::vector<Reference> references;
  std::uint64_t dropped = 0; ///< findings beyond the limit that are not listed

  /// Under every name that the object could have.
  bool complete() const { return gaps.empty(); }
};

std::string_view to_string(Severity);
std::string_view to_string(Reach);
std::string_view to_string(Reason);
std::optional<Severity> severity_from(std::string_view);
std::optional<Reach> reach_from(std::string_view);
std::optional<Reason> reason_from(std::string_view);

/// The scanner's version, and the digest (hex) of every rule and default limit that can change a
/// report. A stored analysis is valid for exactly one pair.
std::string_view engine_version();

} // namespace hubgate
