#include "policy/verdict.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace hubgate {
namespace {

constexpr std::array<std::pair<VerdictKind, std::string_view>, 4> k_kinds{{
    {VerdictKind::clean, "clean"},
    {VerdictKind::inconclusive, "inconclusive"},
    {VerdictKind::suspicious, "suspicious"},
    {VerdictKind::malicious, "malicious"},
}};

} // namespace

std::optional<Gap> unlisted_gap(const Report& report) {
  if (report.dropped == 0) return std::nullopt;
  // The scanner drops the mildest, so what is not listed is no worse than the mildest listed.
  const bool harmless =
      std::any_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
        return finding.severity == Severity::informational;
      });
  if (harmless) return std::nullopt;
  Gap gap;
  gap.reason = Reason::budget;
  gap.reach = Reach::load;
  gap.detail = std::to_string(report.dropped) + " more findings are not listed";
  return gap;
}

Verdict verdict_of(const Report& report, std::string_view path) {
  Verdict out;
  out.kind = VerdictKind::clean;
  for (const auto& gap: report.gaps)
    if (holds_under(gap.condition, gap.where, path)) out.gaps.push_back(gap);
  if (auto gap = unlisted_gap(report)) out.gaps.push_back(std::move(*gap));
  out.inconclusive = !out.gaps.empty();
  if (out.inconclusive) out.kind = VerdictKind::inconclusive;
  for (const auto& finding: report.findings) {
    if (!holds_under(finding.condition, finding.where, path)) continue;
    if (finding.severity == Severity::malicious) out.kind = VerdictKind::malicious;
    if (finding.severity == Severity::suspicious)
      out.kind = std::max(out.kind, VerdictKind::suspicious);
    out.findings.push_back(finding);
  }
  return out;
}

std::string_view to_string(VerdictKind value) {
  for (const auto& [kind, name]: k_kinds)
    if (kind == value) return name;
  return "?";
}

std::optional<VerdictKind> verdict_kind_from(std::string_view text) {
  for (const auto& [kind, name]: k_kinds)
    if (name == text) return kind;
  return std::nullopt;
}

} // namespace hubgate
