#pragma once
// How `hubgate explain PATH` shows what a scan recovered: for each stream its bytes, disassembly
// and code, then what was found, each pointing at its offset. All text comes escaped from the
// worker's answer. Internal to the commands.
#include "policy/commands/scan_output.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace hubgate {

/// One file, or what a directory's files say together.
struct Explained {
  ScanResult result;
  std::vector<Listing> listings; ///< in the order of the scan
};

struct ExplainStyle {
  bool colour = false;
  std::string stage; ///< "bytes", "disassembly" or "code"; "" = all
  /// Streams of which nothing but the format is known are shown too.
  bool all = false;
};

void explain_as_text(std::ostream& out, const Explained& explained, const ExplainStyle& style);
/// One JSON object, on one line.
void explain_as_json(std::ostream& out, const Explained& explained, const ExplainStyle& style);

/// The sentence that a rule's table has for people; "" if no rule is called so.
std::string_view meaning_of_rule(std::string_view id);

/// `hubgate explain PATH`: scans in workers and shows. Returns the exit code, which is that of
/// `hubgate scan`.
struct ExplainPath {
  std::string path;
  std::string format = "text"; ///< or "json"
  std::string stage;
  std::uint32_t lines = 2000; ///< of each stage of a file; 0: as many as there can be
  bool all = false;
  std::string policy; ///< whose YARA rules look too; "" = none
};
int explain_path(const ExplainPath& options);

} // namespace hubgate
