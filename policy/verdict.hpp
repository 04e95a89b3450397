#pragma once
// Verdict: a report seen under a path. The report knows no name; some findings hold only under one
// ("if the file is named *.pth"), and those that don't hold here are left out.
#include "scanner/core/glob.hpp"
#include "scanner/core/report.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace hubgate {

/// From best to worst; the order is the meaning.
enum class VerdictKind { clean, inconclusive, suspicious, malicious };

struct Verdict {
  /// The worst of what was seen. Informational findings alone leave it clean.
  VerdictKind kind = VerdictKind::inconclusive;
  /// The status: some bytes were not accounted for, whatever else was found.
  bool inconclusive = true;
  std::vector<Finding> findings; ///< those that hold under the path, as the report orders them
  std::vector<Gap> gaps;         ///< likewise, and one more where findings went unlisted
};

/// `path` is the object's path in its repository; empty when nobody knows it, and then every
/// conditional finding holds. Names inside containers (Finding::where) count like the path's own.
Verdict verdict_of(const Report& report, std::string_view path);

/// The gap that stands for findings beyond the report's limit, if they could matter: a report full
/// of mild findings must not hide the one that a policy blocks.
std::optional<Gap> unlisted_gap(const Report& report);

std::string_view to_string(VerdictKind);
std::optional<VerdictKind> verdict_kind_from(std::string_view);

} // namespace hubgate
