#pragma once
// How `hubgate scan` shows its results: text for people, JSON lines and SARIF for programs.
#include "policy/policy.hpp"
#include "policy/verdict.hpp"

#include <memory>
#include <optional>
#include <ostream>
#include <string>

namespace hubgate {

/// One scanned file, or what a directory's files say together.
struct ScanResult {
  bool tree = false;        ///< of a directory: findings are about the file in `where`
  bool lfs_pointer = false; ///< the file is a Git LFS pointer
  std::string path;
  std::uint64_t size = 0;
  std::string sha256; ///< hex, "" when it could not be read
  Report report;
  Verdict verdict;
  std::optional<Decision> decision; ///< with --policy
  std::string error;                ///< why it could not be read, "" otherwise
};

struct ScanTotals {
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t malicious = 0, suspicious = 0, inconclusive = 0, clean = 0, unreadable = 0;
  std::uint64_t blocked = 0; ///< with --policy
  /// Directories whose files say something together that they don't say alone.
  std::uint64_t trees_malicious = 0, trees_suspicious = 0, trees_inconclusive = 0;
};

class ScanOutput {
public:
  virtual ~ScanOutput() = default;
  virtual void begin() {}
  virtual void file(const ScanResult& result) = 0;
  virtual void end() {}
};

enum class ScanFormat { text, jsonl, sarif };

/// `rules`: the digest of the rules. `colour`: for text only. Writes to `out`, which must outlive
/// the result.
std::unique_ptr<ScanOutput> make_scan_output(ScanFormat format, std::ostream& out,
                                             std::string rules, bool colour);

/// "12 files (3.4 MB): 1 malicious, 0 suspicious, 2 inconclusive, 9 clean".
std::string summary(const ScanTotals& totals, bool with_policy);

} // namespace hubgate
