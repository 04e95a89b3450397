#include "policy/json.hpp"

namespace hubgate {
namespace json = boost::json;
namespace {

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::uint64_t number_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() >= 0)
    return static_cast<std::uint64_t>(value->get_int64());
  return 0;
}

} // namespace

json::object to_json(const Finding& finding) {
  json::object out;
  out["rule"] = finding.rule;
  out["class"] = finding.klass;
  out["severity"] = to_string(finding.severity);
  out["reach"] = to_string(finding.reach);
  out["where"] = finding.where;
  out["offset"] = finding.offset;
  out["length"] = finding.length;
  out["evidence"] = finding.evidence;
  out["cwe"] = finding.cwe;
  out["atlas"] = finding.atlas;
  out["techniques"] = finding.techniques;
  if (!finding.condition.empty()) out["condition"] = finding.condition;
  return out;
}

json::object to_json(const Gap& gap) {
  json::object out;
  out["reason"] = to_string(gap.reason);
  out["reach"] = to_string(gap.reach);
  out["where"] = gap.where;
  out["offset"] = gap.offset;
  out["detail"] = gap.detail;
  if (!gap.condition.empty()) out["condition"] = gap.condition;
  return out;
}

json::object to_json(const Reference& reference) {
  json::object out;
  out["kind"] = reference.kind;
  out["target"] = reference.target;
  out["where"] = reference.where;
  out["offset"] = reference.offset;
  if (!reference.condition.empty()) out["condition"] = reference.condition;
  return out;
}

json::object to_json(const Report& report) {
  json::object out;
  out["format"] = report.format;
  out["size"] = report.size;
  out["status"] = report.complete() ? "complete" : "inconclusive";
  json::array findings;
  for (const auto& finding: report.findings)
    findings.push_back(to_json(finding));
  out["findings"] = std::move(findings);
  json::array gaps;
  for (const auto& gap: report.gaps)
    gaps.push_back(to_json(gap));
  out["gaps"] = std::move(gaps);
  if (!report.references.empty()) {
    json::array references;
    for (const auto& reference: report.references)
      references.push_back(to_json(reference));
    out["references"] = std::move(references);
  }
  if (report.dropped != 0) out["dropped"] = report.dropped;
  return out;
}

Result<Report> report_from_json(const json::value& value) {
  if (!value.is_object()) return Error{"a report is not a JSON object"};
  const json::object& object = value.get_object();
  Report out;
  out.format = text_of(object, "format");
  out.size = number_of(object, "size");
  out.dropped = number_of(object, "dropped");
  const json::value* findings = object.if_contains("findings");
  const json::value* gaps = object.if_contains("gaps");
  if (findings == nullptr || !findings->is_array()) return Error{"a report has no findings array"};
  if (gaps == nullptr || !gaps->is_array()) return Error{"a report has no gaps array"};
  for (const auto& item: findings->get_array()) {
    if (!item.is_object()) return Error{"a finding is not an object"};
    const json::object& raw = item.get_object();
    Finding finding;
    const auto severity = severity_from(text_of(raw, "severity"));
    const auto reach = reach_from(text_of(raw, "reach"));
    if (!severity || !reach) return Error{"a finding has no valid severity or reach"};
    finding.rule = text_of(raw, "rule");
    finding.klass = text_of(raw, "class");
    finding.severity = *severity;
    finding.reach = *reach;
    finding.where = text_of(raw, "where");
    finding.offset = number_of(raw, "offset");
    finding.length = number_of(raw, "length");
    finding.evidence = text_of(raw, "evidence");
    finding.cwe = text_of(raw, "cwe");
    finding.atlas = text_of(raw, "atlas");
    finding.techniques = text_of(raw, "techniques");
    finding.condition = text_of(raw, "condition");
    out.findings.push_back(std::move(finding));
  }
  for (const auto& item: gaps->get_array()) {
    if (!item.is_object()) return Error{"a gap is not an object"};
    const json::object& raw = item.get_object();
    Gap gap;
    const auto reason = reason_from(text_of(raw, "reason"));
    const auto reach = reach_from(text_of(raw, "reach"));
    if (!reason || !reach) return Error{"a gap has no valid reason or reach"};
    gap.reason = *reason;
    gap.reach = *reach;
    gap.where = text_of(raw, "where");
    gap.offset = number_of(raw, "offset");
    gap.detail = text_of(raw, "detail");
    gap.condition = text_of(raw, "condition");
    out.gaps.push_back(std::move(gap));
  }
  const json::value* references = object.if_contains("references");
  if (references == nullptr) return out;
  if (!references->is_array()) return Error{"a report's references are no array"};
  for (const auto& item: references->get_array()) {
    if (!item.is_object()) return Error{"a reference is not an object"};
    const json::object& raw = item.get_object();
    out.references.push_back({text_of(raw, "kind"), text_of(raw, "target"), text_of(raw, "where"),
                              number_of(raw, "offset"), text_of(raw, "condition")});
  }
  return out;
}

} // namespace hubgate
