#include "policy/commands/scan_output.hpp"

#include "policy/json.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>

namespace hubgate {
namespace json = boost::json;
namespace {

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> k_units{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < k_units.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, k_units[unit]);
  return text.data();
}

json::array reasons_of(const ScanResult& result) {
  std::set<std::string_view> names;
  for (const auto& gap: result.verdict.gaps)
    names.insert(to_string(gap.reason));
  if (!result.error.empty()) names.insert(to_string(Reason::unreadable));
  json::array out;
  for (const auto name: names)
    out.emplace_back(name);
  return out;
}

class JsonLines final : public ScanOutput {
public:
  JsonLines(std::ostream& out, std::string rules) : out_(out), rules_(std::move(rules)) {}

  void file(const ScanResult& result) override {
    json::object line;
    line["path"] = escaped(result.path);
    if (result.tree) line["tree"] = true;
    line["size"] = result.size;
    line["sha256"] = result.sha256;
    line["format"] = result.report.format;
    line["verdict"] = to_string(result.verdict.kind);
    line["status"] = result.verdict.inconclusive ? "inconclusive" : "complete";
    line["reasons"] = reasons_of(result);
    json::array findings;
    for (const auto& finding: result.verdict.findings)
      findings.push_back(to_json(finding));
    line["findings"] = std::move(findings);
    json::array gaps;
    for (const auto& gap: result.verdict.gaps)
      gaps.push_back(to_json(gap));
    line["gaps"] = std::move(gaps);
    if (result.report.dropped != 0) line["dropped"] = result.report.dropped;
    if (!result.error.empty()) line["error"] = escaped(result.error);
    if (result.decision) {
      line["decision"] = to_string(result.decision->action);
      line["policy_rule"] = result.decision->rule;
    }
    line["engine"] = engine_version();
    line["rules"] = rules_;
    out_ << json::serialize(line) << '\n' << std::flush;
  }

private:
  std::ostream& out_;
  std::string rules_;
};

class Text final : public ScanOutput {
public:
  Text(std::ostream& out, bool colour) : out_(out), colour_(colour) {}

  void file(const ScanResult& result) override {
    // A tree that has nothing to say says nothing.
    if (result.tree && result.verdict.findings.empty() && result.verdict.gaps.empty() &&
        !(result.decision && !result.decision->passes()))
      return;
    if (!result.error.empty()) {
      out_ << paint("unreadable    ", k_yellow) << escaped(result.path) << ": "
           << escaped(result.error) << '\n';
      return;
    }
    const bool bad = result.verdict.kind == VerdictKind::malicious;
    const char* colour = bad                                         ? k_red
                         : result.verdict.kind == VerdictKind::clean ? k_green
                                                                     : k_yellow;
    std::string verdict(to_string(result.verdict.kind));
    verdict.resize(14, ' ');
    out_ << paint(verdict, colour) << escaped(result.path);
    if (result.tree)
      out_ << "  (its files together)";
    else if (!result.report.format.empty())
      out_ << "  (" << result.report.format << ")";
    if (result.decision)
      out_ << "  -> " << to_string(result.decision->action) << " by " << result.decision->rule;
    out_ << '\n';
    for (const auto& finding: result.verdict.findings) {
      out_ << "    " << to_string(finding.severity) << "  " << finding.rule << "  "
           << finding.evidence << '\n';
      if (result.tree)
        out_ << "        at " << finding.where;
      else
        out_ << "        at " << finding.offset << '+' << finding.length;
      if (!result.tree && !finding.where.empty()) out_ << " in " << finding.where;
      if (!finding.cwe.empty()) out_ << "  " << finding.cwe;
      if (!finding.atlas.empty()) out_ << "  " << finding.atlas;
      out_ << '\n';
    }
    if (result.report.dropped != 0)
      out_ << "    and " << result.report.dropped << " findings more\n";
    for (const auto& gap: result.verdict.gaps) {
      out_ << "    inconclusive  " << to_string(gap.reason) << "  " << gap.detail;
      if (!gap.where.empty()) out_ << " (in " << gap.where << ")";
      out_ << '\n';
    }
  }

private:
  static constexpr const char* k_red = "\x1b[31;1m";
  static constexpr const char* k_yellow = "\x1b[33;1m";
  static constexpr const char* k_green = "\x1b[32m";

  std::string paint(const std::string& text, const char* colour) const {
    return colour_ ? colour + text + "\x1b[0m" : text;
  }

  std::ostream& out_;
  bool colour_;
};

// SARIF 2.1.0 (OASIS): one rule an id, binary regions as byteOffset and byteLength.
class Sarif final : public ScanOutput {
public:
  Sarif(std::ostream& out, std::string rules) : out_(out), rules_(std::move(rules)) {}

  void file(const ScanResult& result) override {
    const std::string path = escaped(result.path);
    const auto uri_of = [&](const std::string& where) {
      return result.tree && !where.empty() ? path + "/" + where : path;
    };
    for (const auto& finding: result.verdict.findings) {
      json::object properties{{"reach", to_string(finding.reach)},
                              {"class", finding.klass},
                              {"where", finding.where},
                              {"sha256", result.sha256},
                              {"techniques", finding.techniques}};
      add(finding.rule,
          finding.severity == Severity::malicious    ? "error"
          : finding.severity == Severity::suspicious ? "warning"
                                                     : "note",
          finding.evidence.empty() ? finding.rule : finding.evidence, uri_of(finding.where),
          result.tree ? std::string() : finding.where, finding.offset, finding.length,
          std::move(properties), finding.cwe, finding.atlas);
    }
    for (const auto& gap: result.verdict.gaps)
      add("inconclusive-" + std::string(to_string(gap.reason)), "warning",
          gap.detail.empty() ? std::string(to_string(gap.reason)) : gap.detail, uri_of(gap.where),
          result.tree ? std::string() : gap.where, gap.offset, 0,
          {{"reach", to_string(gap.reach)}, {"sha256", result.sha256}}, "", "");
    if (!result.error.empty())
      add("inconclusive-unreadable", "error", escaped(result.error), path, "", 0, 0, {}, "", "");
  }

  void end() override {
    json::array rules;
    for (const auto& [id, tags]: ids_) {
      json::array list;
      for (const auto& tag: tags)
        list.emplace_back(tag);
      rules.push_back(json::object{{"id", id}, {"properties", {{"tags", std::move(list)}}}});
    }
    const json::object driver{{"name", "hubgate"},
                              {"version", engine_version()},
                              {"rules", std::move(rules)},
                              {"properties", {{"rulesDigest", rules_}}}};
    const json::object run{{"tool", {{"driver", driver}}}, {"results", std::move(results_)}};
    out_ << json::serialize(json::object{
                {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                {"version", "2.1.0"},
                {"runs", json::array{run}},
            })
         << '\n';
  }

private:
  void add(const std::string& rule, std::string_view level, const std::string& message,
           const std::string& uri, const std::string& where, std::uint64_t offset,
           std::uint64_t length, json::object properties, const std::string& cwe,
           const std::string& atlas) {
    auto& tags = ids_[rule];
    if (!cwe.empty()) tags.insert(cwe);
    if (!atlas.empty()) tags.insert(atlas);
    json::object physical{{"artifactLocation", {{"uri", uri}}},
                          {"region", {{"byteOffset", offset}, {"byteLength", length}}}};
    json::object location{{"physicalLocation", std::move(physical)}};
    if (!where.empty())
      location["logicalLocations"] = json::array{json::object{{"fullyQualifiedName", where}}};
    results_.push_back(json::object{
        {"ruleId", rule},
        {"level", level},
        {"message", {{"text", message}}},
        {"locations", json::array{std::move(location)}},
        {"partialFingerprints",
         {{"hubgate/v1", rule + "|" + where + "|" + std::to_string(offset)}}},
        {"properties", std::move(properties)},
    });
  }

  std::ostream& out_;
  std::string rules_;
  std::map<std::string, std::set<std::string>> ids_;
  json::array results_;
};

} // namespace

std::unique_ptr<ScanOutput> make_scan_output(ScanFormat format, std::ostream& out,
                                             std::string rules, bool colour) {
  switch (format) {
  case ScanFormat::jsonl:
    return std::make_unique<JsonLines>(out, std::move(rules));
  case ScanFormat::sarif:
    return std::make_unique<Sarif>(out, std::move(rules));
  case ScanFormat::text:
    break;
  }
  return std::make_unique<Text>(out, colour);
}

std::string summary(const ScanTotals& totals, bool with_policy) {
  std::string out = std::to_string(totals.files) + (totals.files == 1 ? " file (" : " files (") +
                    human_size(totals.bytes) + "): " + std::to_string(totals.malicious) +
                    " malicious, " + std::to_string(totals.suspicious) + " suspicious, " +
                    std::to_string(totals.inconclusive) + " inconclusive, " +
                    std::to_string(totals.clean) + " clean";
  if (totals.unreadable != 0) out += ", " + std::to_string(totals.unreadable) + " unreadable";
  std::string together;
  const auto count = [&](std::uint64_t number, const char* what) {
    if (number == 0) return;
    together += (together.empty() ? "; files together: " : ", ") + std::to_string(number) + what;
  };
  count(totals.trees_malicious, " malicious");
  count(totals.trees_suspicious, " suspicious");
  count(totals.trees_inconclusive, " inconclusive");
  out += together;
  if (with_policy) out += "; the policy blocks " + std::to_string(totals.blocked);
  return out;
}

} // namespace hubgate
